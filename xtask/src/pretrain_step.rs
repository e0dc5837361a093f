//! One pre-training step (hidden words) of the carried model's shape: its matrix products alone, and all of it.

use std::time::Instant;

use anyhow::Result;
use gemm::Parallelism;
use rayon::prelude::*;
use serde_json::json;
use topwork_engine::{AdamW, AdamWOptions, CrossEntropy, Gradients, Mode, Parameters, Pool, Rates, Sequences, Tape};
use topwork_models::{HeadKind, Model, ModelConfig, ModelOptions, Tokens, Weights};

use crate::step::{milliseconds, product};

/// The shape of the step: the carried model's, and the part of the tokens that is hidden.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) vocabulary: usize,
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    /// Hidden tokens of each sequence.
    pub(crate) masked: usize,
}

pub(crate) const SHAPE: Shape =
    Shape { layers: 4, hidden: 256, heads: 4, vocabulary: 5_120, batch: 32, tokens: 128, masked: 19 };

/// A model with random weights and a batch of random tokens.
pub(crate) struct PretrainStep {
    parameters: Parameters,
    gradients: Gradients,
    adamw: AdamW,
    model: Model,
    pool: Pool,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    masked: Vec<u32>,
    words: Vec<u32>,
    sequences: Sequences,
}

impl PretrainStep {
    pub(crate) fn new(shape: Shape) -> Result<Self> {
        let Shape { layers, hidden, heads, vocabulary, batch, tokens, masked } = shape;
        let config = json!({
            "model_type": "bert", "vocab_size": vocabulary, "hidden_size": hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "intermediate_size": 4 * hidden, "max_position_embeddings": tokens,
        });
        let config = ModelConfig::parse("config.json".as_ref(), config)?;
        let head = HeadKind::MASKED_WORDS;
        let parameters = Weights::initial(&config, head, 0)?.parameters();
        let model = Model::bind(&config, &parameters, ModelOptions::of(head))?;
        let gradients = Gradients::new(&parameters, &model.sparse_tables());
        let adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
        let count = batch * tokens;
        let masked: Vec<u32> = (0..batch)
            .flat_map(|row| (0..masked).map(move |i| (row * tokens + 1 + i * (tokens - 2) / masked) as u32))
            .collect();
        Ok(Self {
            ids: (0..count).map(|i| (i * 7919 % vocabulary) as u32).collect(),
            type_ids: vec![0; count],
            words: masked.iter().map(|&i| i * 31 % vocabulary as u32).collect(),
            masked,
            sequences: Sequences::new((0..=batch).map(|i| i * tokens).collect(), (0..batch as u64).collect()),
            pool: Pool::new(),
            parameters,
            gradients,
            adamw,
            model,
        })
    }

    /// Forward, backward, clipping and optimizer once; gives milliseconds.
    pub(crate) fn run(&mut self) -> f64 {
        let Self { parameters, gradients, adamw, model, pool, .. } = self;
        let start = Instant::now();
        gradients.clear();
        let mut tape = Tape::new(parameters, pool, Mode::Training);
        let tokens = Tokens { ids: &self.ids, type_ids: &self.type_ids, sequences: &self.sequences };
        let words = model.pretraining_logits(&mut tape, &tokens, &self.masked).words;
        let normaliser = self.words.len() as f64;
        let loss = CrossEntropy { targets: &self.words, class_weights: None, label_smoothing: 0.0, normaliser };
        let loss = tape.cross_entropy(words, &loss);
        tape.backward(loss, gradients);
        let clip = (1.0 / (gradients.norm() + 1e-6)).min(1.0) as f32;
        adamw.step(parameters, gradients, clip, |_| Rates { learning_rate: 1e-3, weight_decay: 0.01 });
        milliseconds(start)
    }
}

/// The matrix products of that step and nothing else: of the last layer those for hidden tokens only, and the
/// vocabulary's for them alone.
pub(crate) struct PretrainProducts {
    shape: Shape,
    x: Vec<f32>,
    y: Vec<f32>,
    wide: Vec<f32>,
    square: Vec<f32>,
    words: Vec<f32>,
    small: Vec<f32>,
    large: Vec<f32>,
    table: Vec<f32>,
}

impl PretrainProducts {
    pub(crate) fn new(shape: Shape) -> Self {
        let filled = |len: usize| (0..len).map(|i| (i % 17) as f32 * 0.01).collect::<Vec<f32>>();
        let Shape { hidden, heads, vocabulary, batch, tokens, masked, .. } = shape;
        Self {
            shape,
            x: filled(batch * tokens * hidden),
            y: filled(batch * tokens * hidden),
            wide: filled(batch * tokens * 4 * hidden),
            square: filled(batch * heads * tokens * tokens),
            words: filled(batch * masked * vocabulary),
            small: filled(hidden * hidden),
            large: filled(4 * hidden * hidden),
            table: filled(vocabulary * hidden),
        }
    }

    /// Runs them all; gives milliseconds.
    pub(crate) fn run(&mut self) -> f64 {
        let Shape { layers, hidden, vocabulary, batch, tokens, masked, .. } = self.shape;
        let start = Instant::now();
        for layer in 0..layers {
            let queries = if layer + 1 < layers { tokens } else { masked };
            let (all, asked) = (batch * tokens, batch * queries);
            // Keys, values, queries and the attention's output.
            for rows in [all, all, asked, asked] {
                linear([rows, hidden, hidden], &mut self.y, &self.x, &mut self.small);
            }
            linear([asked, hidden, 4 * hidden], &mut self.wide, &self.x, &mut self.large);
            linear([asked, 4 * hidden, hidden], &mut self.y, &self.wide, &mut self.large);
            self.attention(queries);
        }
        linear([batch * masked, hidden, hidden], &mut self.y, &self.x, &mut self.small);
        linear([batch * masked, hidden, vocabulary], &mut self.words, &self.x, &mut self.table);
        milliseconds(start)
    }

    /// Two products forward and four backward for each sequence and head.
    fn attention(&mut self, queries: usize) {
        let Shape { hidden, heads, tokens, .. } = self.shape;
        let d = hidden / heads;
        let squares = self.square.par_chunks_mut(tokens * tokens);
        let tasks = squares.zip(self.y.par_chunks_mut(tokens * d)).zip(self.x.par_chunks(tokens * d));
        tasks.for_each(|((square, y), x)| {
            for _ in 0..2 {
                product([queries, tokens, d], square, (x, false), (x, true), Parallelism::None);
                product([queries, d, tokens], y, (square, false), (x, false), Parallelism::None);
                product([tokens, d, queries], y, (square, true), (x, false), Parallelism::None);
            }
        });
    }
}

/// A linear map `[rows, inputs] → [rows, outputs]`: forward, gradient of the input (into memory that is there: `x` is only
/// read, so a product of the same size stands for it), gradient of the weight.
fn linear([rows, inputs, outputs]: [usize; 3], y: &mut [f32], x: &[f32], weight: &mut [f32]) {
    let all = Parallelism::Rayon(0);
    product([rows, outputs, inputs], y, (x, false), (weight, true), all);
    product([outputs, inputs, rows], weight, (y, true), (x, false), all);
    BACK.with_borrow_mut(|back| {
        back.resize(back.len().max(rows * inputs), 0.0);
        product([rows, inputs, outputs], back, (y, false), (weight, false), all);
    });
}

thread_local! {
    /// Where gradients of inputs go.
    static BACK: std::cell::RefCell<Vec<f32>> = const { std::cell::RefCell::new(Vec::new()) };
}
