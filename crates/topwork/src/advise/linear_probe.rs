//! Which model, where rows have no classes: a linear head on the untouched features, asked about rows that it was not fitted to
//! and scored by the task's own metric. Rows with the same text are in the same fold. How well that tells which model is
//! best after fine-tuning was not measured, as it was for the scores of classes.

use rayon::prelude::*;
use serde_json::{Map, json};
use topwork_data::Strata;
use topwork_metrics::Mat;
use topwork_metrics::transferability::{FOLDS, standardise};

use super::transferability::{Candidate, LayerScores, Scored};
use crate::judge::transfer::linear_outputs;
use crate::network::features::LayerFeatures;
use crate::session::inputs::{Inputs, Split};
use crate::tasks::Part;

/// Scores a candidate on these rows; it has no score where the task has no linear head.
pub(crate) fn score(model: &str, parameters: usize, inputs: &Inputs, rows: &Split, features: &LayerFeatures) -> Scored {
    let metric = inputs.task.headline();
    let asked: Vec<Option<f64>> = match inputs.task.why_not(Part::FrozenHead) {
        Some(_) => Vec::new(),
        None => {
            let strata = Strata::new(&inputs.scoring.space, &rows.targets);
            let folds = strata.folds(&rows.examples, FOLDS, inputs.plan.seed.value);
            let sets = [features.layer_mean(), features.pooled()];
            sets.par_iter().map(|features| cross_validated(inputs, rows, features, &folds)).collect()
        }
    };
    let scores = |value: &Option<f64>| Map::from_iter([(metric.name().to_string(), json!(value))]);
    let mut of_mean = asked.first().map_or_else(Map::new, scores);
    of_mean.insert("parameters".into(), json!(parameters));
    let pooled = asked.get(1).map(|value| LayerScores { layer: "pooled".to_string(), scores: scores(value) });
    let candidate = Candidate {
        model: model.to_string(),
        num_hidden_layers: features.layers.len() - 1,
        hidden_size: features.hidden_size,
        parameters,
        scores: of_mean,
        by_layer: pooled.into_iter().collect(),
        mean_rank: 1.0,
    };
    Scored { candidate, probe: None, best_predictions: None, probes: Vec::new() }
}

/// The headline metric of a linear head, each row answered by one that was fitted without its fold. None where there are too few
/// different rows, or the metric is undefined.
fn cross_validated(inputs: &Inputs, rows: &Split, features: &Mat<f64>, folds: &[Vec<usize>]) -> Option<f64> {
    let features = standardise(features.as_ref());
    let of_rows = |rows: &[usize]| -> Vec<f32> {
        let of_row = |&row: &usize| (0..features.ncols()).map(move |column| (row, column));
        rows.iter().flat_map(of_row).map(|place| features[place] as f32).collect()
    };
    let width = inputs.scoring.outputs();
    let mut outputs = vec![0.0f32; rows.len() * width];
    for fold in folds.iter().filter(|fold| !fold.is_empty()) {
        let others: Vec<usize> = (0..rows.len()).filter(|row| fold.binary_search(row).is_err()).collect();
        if others.is_empty() {
            return None;
        }
        let said = linear_outputs(inputs, &of_rows(&others), &rows.select(&others), &of_rows(fold))?;
        for (&row, said) in fold.iter().zip(said.chunks_exact(width)) {
            outputs[row * width..(row + 1) * width].copy_from_slice(said);
        }
    }
    let scores = inputs.task.evaluate(&outputs, &rows.targets, &inputs.scoring);
    scores.get(inputs.task.headline()).filter(|value| value.is_finite())
}
