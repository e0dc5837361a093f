//! What the layers of an untouched model say about texts: one pass over the rows, from which all advice is drawn.

use std::collections::HashMap;

use topwork_data::TokenizedTexts;
use topwork_engine::{Mode, Parameters, Pool, Tape};
use topwork_metrics::{Mat, matrix};
use topwork_models::{HeadKind, Model};

use crate::network::batch::Batch;

/// Tokens of one forward pass: enough for long products, and few enough for the caches.
const TOKENS_A_BATCH: usize = 2048;

/// The features of each row, layer by layer.
#[derive(Clone, Debug)]
pub struct LayerFeatures {
    /// Columns of each matrix.
    pub hidden_size: usize,
    /// The output of the embeddings and of each layer, the mean over a row's tokens: `[rows, hidden]` each.
    pub layers: Vec<Vec<f32>>,
    /// What the classifier sees of the first token or of the mean, `[rows, hidden]`. Empty of a head for words, which sees each of them.
    pub pooled: Vec<f32>,
}

impl LayerFeatures {
    /// Runs all texts through the model without dropout, in order. Equal texts are run once, so that their features are the same
    /// to the bit and they are known as equal when rows are parted.
    pub fn of(model: &Model, parameters: &Parameters, texts: &TokenizedTexts) -> Self {
        let mut known: HashMap<(&[u32], &[u32]), usize> = HashMap::new();
        let mut different: Vec<usize> = Vec::new();
        let place_of: Vec<usize> = (0..texts.len())
            .map(|row| {
                *known.entry(texts.row(row)).or_insert_with(|| {
                    different.push(row);
                    different.len() - 1
                })
            })
            .collect();
        if different.len() == texts.len() {
            return Self::of_different(model, parameters, texts);
        }
        let once = Self::of_different(model, parameters, &texts.select(&different));
        let width = once.hidden_size;
        let spread = |values: &[f32]| -> Vec<f32> {
            if values.is_empty() {
                return Vec::new();
            }
            place_of.iter().flat_map(|&place| &values[place * width..(place + 1) * width]).copied().collect()
        };
        Self {
            hidden_size: width,
            layers: once.layers.iter().map(|layer| spread(layer)).collect(),
            pooled: spread(&once.pooled),
        }
    }

    fn of_different(model: &Model, parameters: &Parameters, texts: &TokenizedTexts) -> Self {
        let pool = Pool::new();
        let mut features = Self { hidden_size: 0, layers: Vec::new(), pooled: Vec::new() };
        let mut start = 0;
        while start < texts.len() {
            let mut end = start + 1;
            let mut tokens = texts.length(start);
            while end < texts.len() && tokens + texts.length(end) <= TOKENS_A_BATCH {
                tokens += texts.length(end);
                end += 1;
            }
            let rows: Vec<usize> = (start..end).collect();
            let batch = Batch::gather(texts, &rows, |_| 0);
            let mut tape = Tape::new(parameters, &pool, Mode::Inference);
            let tokens = batch.tokens();
            let states = model.hidden_states(&mut tape, &tokens);
            features.layers.resize_with(states.len(), Vec::new);
            for (state, layer) in states.iter().zip(&mut features.layers) {
                features.hidden_size = state.columns();
                // The windows of a row follow on each other, so that its tokens do.
                let mut sequence = 0;
                for &row in &rows {
                    let last = sequence + texts.sequences_of(row).len() - 1;
                    let tokens = tokens.sequences.range(sequence).start..tokens.sequences.range(last).end;
                    layer.extend(mean_row(state.values(), state.columns(), tokens));
                    sequence = last + 1;
                }
            }
            if let Some(last) = states.last().filter(|_| matches!(model.kind(), HeadKind::Sequence { .. })) {
                let pooled = model.features_of_last(&mut tape, last, tokens.sequences);
                features.pooled.extend_from_slice(pooled.values());
            }
            start = end;
        }
        features
    }

    /// The mean of all layers but the embeddings, `[rows, hidden]`: what predicts best how well a text model can be tuned
    /// (Garbas et al., "Choose Your Transformer: Improved Transferability Estimation of Transformer Models on
    /// Classification Tasks", ACL Findings 2024).
    pub fn layer_mean(&self) -> Mat<f64> {
        let layers = self.layers.get(1..).filter(|layers| !layers.is_empty()).unwrap_or(&self.layers);
        let mut sum = vec![0.0f32; layers.first().map_or(0, Vec::len)];
        for layer in layers {
            sum.iter_mut().zip(layer).for_each(|(sum, value)| *sum += value);
        }
        sum.iter_mut().for_each(|sum| *sum /= layers.len().max(1) as f32);
        matrix(&sum, self.hidden_size)
    }

    /// The features of a layer; 0 is the embeddings.
    pub fn layer(&self, index: usize) -> Mat<f64> {
        matrix(&self.layers[index], self.hidden_size)
    }

    /// What the classifier sees.
    pub fn pooled(&self) -> Mat<f64> {
        matrix(&self.pooled, self.hidden_size)
    }
}

fn mean_row(values: &[f32], columns: usize, tokens: std::ops::Range<usize>) -> Vec<f32> {
    let mut sum = vec![0.0f32; columns];
    for token in tokens.clone() {
        let row = &values[token * columns..(token + 1) * columns];
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|sum| *sum /= tokens.len().max(1) as f32);
    sum
}
