//! What frozen layers say of rows, computed once: trainings that tune only the layers above start from there.

use topwork_data::{PackedBatch, TokenizedTexts};
use topwork_engine::{Mode, Parameters, Pool, Sequences, Tape, Tensor, Value};
use topwork_models::{Input, Model};

use crate::network::batch::{Batch, outputs, streams};

/// Rows of one forward pass.
const ROWS_A_BATCH: usize = 32;

/// The output of the lowest layers for every row, without dropout.
#[derive(Clone, Debug)]
pub struct Prefix {
    layers: usize,
    hidden_size: usize,
    /// The rows: where their sequences and words are.
    texts: TokenizedTexts,
    /// The bounds of the rows' tokens.
    offsets: Vec<usize>,
    /// `[tokens, hidden]`
    values: Vec<f32>,
}

impl Prefix {
    /// Runs the texts through the embeddings and the lowest `layers` layers.
    ///
    /// # Panics
    /// When the model has fewer layers.
    pub fn of(model: &Model, parameters: &Parameters, texts: &TokenizedTexts, layers: usize) -> Self {
        let pool = Pool::new();
        let mut prefix = Self { layers, hidden_size: 0, texts: texts.clone(), offsets: vec![0], values: Vec::new() };
        let rows: Vec<usize> = (0..texts.len()).collect();
        for rows in rows.chunks(ROWS_A_BATCH) {
            let batch = Batch::gather(texts, rows, |_| 0);
            let mut tape = Tape::new(parameters, &pool, Mode::Inference);
            let hidden = model.hidden_below(&mut tape, &batch.tokens(), layers);
            prefix.hidden_size = hidden.columns();
            prefix.values.extend_from_slice(hidden.values());
            let mut end = prefix.offsets[prefix.offsets.len() - 1];
            for &row in rows {
                end += texts.length(row);
                prefix.offsets.push(end);
            }
        }
        prefix
    }

    /// The bytes that the prefix of so many tokens takes.
    pub fn bytes(tokens: usize, hidden_size: usize) -> usize {
        tokens * hidden_size * size_of::<f32>()
    }

    /// The prefix of these rows, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let (layers, hidden_size) = (self.layers, self.hidden_size);
        let mut own =
            Self { layers, hidden_size, texts: self.texts.select(rows), offsets: vec![0], values: Vec::new() };
        for &row in rows {
            let tokens = self.offsets[row]..self.offsets[row + 1];
            own.values.extend_from_slice(&self.values[tokens.start * self.hidden_size..tokens.end * self.hidden_size]);
            own.offsets.push(own.offsets[own.offsets.len() - 1] + tokens.len());
        }
        own
    }

    /// The outputs of rows, a line for each row, or for each word that has a token; `stream` names each row's random stream.
    pub(crate) fn outputs(
        &self,
        model: &Model,
        tape: &mut Tape<'_>,
        rows: &[usize],
        stream: impl Fn(usize) -> u64,
    ) -> Value {
        let packed = PackedBatch::gather(&self.texts, rows);
        let words: Vec<u32> = packed.words.iter().map(|word| word.token as u32).collect();
        let sequences = Sequences::new(packed.offsets, streams(&self.texts, rows, stream));
        let values: Vec<f32> = rows.iter().flat_map(|&row| self.row(row)).copied().collect();
        let hidden = tape.constant(Tensor::from_values(&values, sequences.tokens(), self.hidden_size));
        outputs(model, tape, Input::Hidden { layers: self.layers, hidden, sequences: &sequences }, &words)
    }

    /// The output for the tokens of a row, `[tokens, hidden]`.
    fn row(&self, row: usize) -> &[f32] {
        &self.values[self.offsets[row] * self.hidden_size..self.offsets[row + 1] * self.hidden_size]
    }

    /// The outputs of all rows, without dropout, in order; words without a token have none.
    pub(crate) fn infer(&self, model: &Model, parameters: &Parameters, batch_size: usize) -> Vec<f32> {
        let pool = Pool::new();
        let rows: Vec<usize> = (0..self.offsets.len() - 1).collect();
        let mut all = Vec::new();
        for rows in rows.chunks(batch_size.max(1)) {
            let mut tape = Tape::new(parameters, &pool, Mode::Inference);
            all.extend_from_slice(self.outputs(model, &mut tape, rows, |_| 0).values());
        }
        all
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use topwork_models::HubSettings;

    use super::*;
    use crate::events::NoObserver;
    use crate::network::batch::{Output, infer};
    use crate::plan::recipe::{Options, Recipe};
    use crate::session::inputs::Inputs;
    use crate::session::training::{LoadedModel, TrainingSetup};

    /// Forty rows and the tiny model.
    pub(crate) fn inputs() -> Inputs {
        let folder = tempfile::tempdir().unwrap();
        let train = folder.path().join("train.csv");
        let rows: String = (0..40).map(|row| format!("the people of the {row} place,{}\n", row % 2)).collect();
        std::fs::write(&train, format!("text,label\n{rows}")).unwrap();
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-bert");
        let mut recipe = Recipe::default();
        recipe.say("train_file", train.to_str().unwrap(), "TRAIN").unwrap();
        recipe.say("model_name_or_path", model, "--model").unwrap();
        Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).unwrap()
    }

    #[test]
    fn starting_from_the_prefix_changes_nothing() {
        let inputs = inputs();
        let LoadedModel { parameters, model, .. } =
            LoadedModel::load(&inputs, &TrainingSetup::planned(&inputs), 1).unwrap();
        let texts = &inputs.train.texts;
        let whole = infer(&model, &parameters, texts, 8, Output::Logits);
        for layers in 0..=inputs.plan.facts.model.num_hidden_layers {
            let logits = Prefix::of(&model, &parameters, texts, layers).infer(&model, &parameters, 8);
            let difference = whole.iter().zip(&logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(whole.len() == logits.len() && difference < 1e-5, "{layers} layers: {difference}");
        }
    }
}
