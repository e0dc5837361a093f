//! Which features tell most of the rows, of several poolings or layers: ridge regression of the targets on each, and its error on rows
//! that it was not fitted to, exactly, for the price of one fit ([`Ridge`]).

use topwork_data::{Targets, TokenizedTexts};
use topwork_engine::Parameters;
use topwork_metrics::ridge::Ridge;
use topwork_metrics::{Mat, matrix};
use topwork_models::{
    Checkpoint, Dropouts, HeadKind, HeadRule, Model, ModelConfig, ModelOptions, Pooling, WeightOptions, Weights,
};

use crate::error::Error;
use crate::network::batch::{Output, infer};
use crate::network::features::LayerFeatures;
use crate::plan::facts::{LayerProbe, PoolingProbe};
use crate::session::split::spread;

/// Rows that are read at most to choose a pooling, so that the choice costs little beside any training.
const MOST_ROWS: usize = 128;
/// Rows that are read at most: to choose layers, whose features differ less.
pub(crate) const MOST: usize = 512;

/// The pretrained model that is read.
pub(crate) struct Pretrained<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) head: HeadKind,
    /// Draws what the checkpoint lacks below the output layer, as in the run.
    pub(crate) seed: u64,
    pub(crate) batch_size: usize,
}

/// At most so many of the rows, spread over them: their texts, and their targets as numbers.
fn spread_rows(texts: &TokenizedTexts, targets: &Targets, most: usize) -> (TokenizedTexts, Option<Mat<f64>>) {
    let rows = spread(&(0..targets.len()).collect::<Vec<_>>(), most);
    (texts.select(&rows), as_numbers(&targets.select(&rows)))
}

/// What a linear head tells of these rows, or of some that are spread over them, by each pooling that it can be fitted to.
///
/// # Errors
/// When the weights cannot be read.
pub(crate) fn of_poolings(
    pretrained: &Pretrained<'_>,
    texts: &TokenizedTexts,
    targets: &Targets,
) -> Result<PoolingProbe, Error> {
    let (texts, wanted) = spread_rows(texts, targets, MOST_ROWS);
    let rows = texts.len();
    let mut found = PoolingProbe { rows, explained: Vec::new() };
    let Some(wanted) = wanted else { return Ok(found) };
    for pooling in Pooling::ALL {
        let features = pretrained.features(pooling, &texts)?;
        let part = explained(&matrix(&features, features.len() / rows.max(1)), &wanted);
        found.explained.extend(part.map(|part| (pooling, part)));
    }
    Ok(found)
}

/// What a linear head tells of these rows, or of some that are spread over them, on the mean of the tokens after each layer of the upper
/// half.
///
/// # Errors
/// When the weights cannot be read.
pub(crate) fn of_layers(
    pretrained: &Pretrained<'_>,
    texts: &TokenizedTexts,
    targets: &Targets,
) -> Result<LayerProbe, Error> {
    let (texts, wanted) = spread_rows(texts, targets, MOST);
    let mut found = LayerProbe { rows: texts.len(), explained: Vec::new() };
    let Some(wanted) = wanted else { return Ok(found) };
    let (model, parameters) = pretrained.bind(Pooling::MeanTokens)?;
    let features = LayerFeatures::of(&model, &parameters, &texts);
    let all = features.layers.len().saturating_sub(1);
    for layers in all.div_ceil(2)..=all {
        // After the last layer the head reads what the model's own files make of the mean.
        let features = if layers == all { features.pooled() } else { standardised(features.layer(layers)) };
        let part = explained(&features, &wanted);
        found.explained.extend(part.map(|part| (layers, part)));
    }
    Ok(found)
}

/// Each row in deviations from its own mean, as a head that reads the mean of the tokens takes it.
fn standardised(mut features: Mat<f64>) -> Mat<f64> {
    let columns = features.ncols().max(1) as f64;
    for row in 0..features.nrows() {
        let values = features.row(row);
        let mean = values.iter().sum::<f64>() / columns;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / columns).sqrt();
        let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
        features.row_mut(row).iter_mut().for_each(|value| *value = (*value - mean) * scale);
    }
    features
}

impl Pretrained<'_> {
    /// The model and its weights.
    fn bind(&self, pooling: Pooling) -> Result<(Model, Parameters), Error> {
        let &Self { config, checkpoint, head, seed, .. } = self;
        let head_rule = HeadRule::New("a linear head is fitted");
        let weights = Weights::load(checkpoint, config, &WeightOptions { seed, head, head_rule, pooling })?;
        let parameters = weights.parameters();
        let model = Model::bind(config, &parameters, ModelOptions { head, pooling, dropouts: Dropouts::NONE })?;
        Ok((model, parameters))
    }

    /// What the output layer reads of each text, `[rows, hidden]`.
    fn features(&self, pooling: Pooling, texts: &TokenizedTexts) -> Result<Vec<f32>, Error> {
        let (model, parameters) = self.bind(pooling)?;
        Ok(infer(&model, &parameters, texts, self.batch_size, Output::Features))
    }
}

/// R² of ridge regression on rows left out: 1 minus its squared error over that of the targets' mean.
fn explained(features: &Mat<f64>, wanted: &Mat<f64>) -> Option<f64> {
    let fitted = Ridge::fit(features.as_ref(), wanted.as_ref(), &Ridge::penalties(features.as_ref()))?;
    let (rows, columns) = (wanted.nrows() as f64, wanted.ncols());
    let squares = |column: usize| {
        let values = wanted.col(column);
        let mean = values.iter().sum::<f64>() / rows;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    // The mean of the other rows is farther from a row than the mean of all: by n / (n − 1).
    let of_mean = (0..columns).map(squares).sum::<f64>() * (rows / (rows - 1.0)).powi(2);
    (of_mean > 0.0).then(|| 1.0 - fitted.left_out_error * rows * columns as f64 / of_mean)
}

/// Targets as numbers `[rows, outputs]`: 1 of a row's class or labels and 0 of others; values in units of their deviation.
fn as_numbers(targets: &Targets) -> Option<Mat<f64>> {
    match targets {
        Targets::Class(classes) => {
            let count = classes.iter().max().map_or(0, |most| *most as usize + 1);
            Some(Mat::from_fn(classes.len(), count, |row, class| f64::from(u8::from(classes[row] as usize == class))))
        }
        Targets::Labels(labels) => {
            let (values, width) = (labels.values(), labels.width());
            Some(Mat::from_fn(values.len() / width.max(1), width, |row, label| f64::from(values[row * width + label])))
        }
        Targets::Values(values) => {
            let (all, width) = (values.values(), values.width());
            let table = Mat::from_fn(values.rows(), width, |row, output| all[row * width + output]);
            let unit = |column: usize| {
                let mean = table.col(column).iter().sum::<f64>() / values.rows().max(1) as f64;
                let squares = table.col(column).iter().map(|value| (value - mean).powi(2)).sum::<f64>();
                if squares > 0.0 { (squares / values.rows() as f64).sqrt() } else { 1.0 }
            };
            let units: Vec<f64> = (0..width).map(unit).collect();
            Some(Mat::from_fn(values.rows(), width, |row, output| table[(row, output)] / units[output]))
        }
        Targets::Tags(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use topwork_data::{Matrix, Stream};

    use super::*;

    #[test]
    fn rows_that_were_spread_are_spread_again_as_all_would_be() {
        for all in [1, 100, 512, 513, 1000, 5452, 120_000] {
            let rows: Vec<usize> = (0..all).collect();
            let some = spread(&rows, MOST);
            assert!(some.len() == all.min(MOST) && some.is_sorted_by(|a, b| a < b), "{all}");
            assert_eq!(spread(&some, MOST_ROWS), spread(&rows, MOST_ROWS), "{all}");
        }
    }

    /// Numbers from −1 to 1.
    fn noise(name: &str, seed: u64, rows: usize, columns: usize) -> Mat<f64> {
        let mut stream = Stream::named(name, seed);
        let mut next = || stream.below(20_001) as f64 / 10_000.0 - 1.0;
        let values: Vec<f64> = (0..rows * columns).map(|_| next()).collect();
        Mat::from_fn(rows, columns, |row, column| values[row * columns + column])
    }

    #[test]
    fn labels_in_random_order_are_explained_by_nothing() {
        let of = |seed: u64| {
            let mut classes: Vec<u32> = (0..64).map(|row| row % 4).collect();
            Stream::named("order", seed).shuffle(&mut classes);
            let wanted = as_numbers(&Targets::Class(classes)).unwrap();
            // A vector of which a part tells the class, before the labels were put in random order.
            let features = Mat::from_fn(64, 48, |row, column| f64::from(u8::from(row % 4 == column % 7)));
            explained(&(features + noise("features", seed, 64, 48)), &wanted).unwrap()
        };
        let found: Vec<f64> = (0..10).map(of).collect();
        let mean = found.iter().sum::<f64>() / 10.0;
        assert!(mean.abs() < 0.03 && found.iter().all(|part| *part < 0.1), "{found:?}");
    }

    #[test]
    fn what_tells_more_is_explained_better_whatever_the_targets_are() {
        let hidden = noise("hidden", 1, 60, 3);
        let blur = noise("blur", 2, 60, 3);
        let vague = Mat::from_fn(60, 3, |row, column| hidden[(row, column)] + 3.0 * blur[(row, column)]);
        let numbers = |row: usize| hidden[(row, 0)] - 2.0 * hidden[(row, 1)];
        let values: Vec<f64> = (0..60).map(|row| 1_000.0 * numbers(row)).collect();
        let targets = [
            Targets::Class((0..60).map(|row| u32::from(numbers(row) > 0.0)).collect()),
            Targets::Values(Matrix::new(1, values)),
            Targets::Labels(Matrix::new(1, (0..60).map(|row| numbers(row) > 0.3).collect())),
        ];
        for targets in targets {
            let wanted = as_numbers(&targets).unwrap();
            let [clear, vague] = [&hidden, &vague].map(|features| explained(features, &wanted).unwrap());
            assert!(clear > 0.4 && clear > vague && clear <= 1.0, "{clear}, {vague}");
        }
        assert!(explained(&hidden, &as_numbers(&Targets::Class(vec![1; 60])).unwrap()).is_none(), "one class only");
    }
}
