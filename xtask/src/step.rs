//! One training step of a MiniLM-shaped encoder: its matrix products alone, and all of it.

use std::time::Instant;

use anyhow::{Context, Result};
use gemm::Parallelism;
use rayon::prelude::*;
use serde_json::json;
use topwork_engine::{AdamW, AdamWOptions, CrossEntropy, Gradients, Mode, Parameters, Pool, Rates, Sequences, Tape};
use topwork_models::bert::{BertClassifier, ClassifierDropout, EncoderDropout, Tokens};
use topwork_models::{FamilyConfig, Head, ModelConfig, ParameterKind};

pub(crate) const LAYERS: usize = 6;
const HIDDEN: usize = 384;
const HEADS: usize = 12;
const MIDDLE: usize = 1536;
const VOCABULARY: usize = 30_522;

/// Milliseconds of one part of a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepTimes {
    pub(crate) forward: f64,
    pub(crate) backward: f64,
    pub(crate) optimizer: f64,
}

impl StepTimes {
    pub(crate) fn total(self) -> f64 {
        self.forward + self.backward + self.optimizer
    }
}

/// A model of MiniLM's shape with arbitrary weights, and a batch of random tokens, with dropout as in training.
pub(crate) struct Step {
    parameters: Parameters,
    gradients: Gradients,
    adamw: AdamW,
    model: BertClassifier,
    pool: Pool,
    ids: Vec<u32>,
    positions: Vec<u32>,
    type_ids: Vec<u32>,
    targets: Vec<u32>,
    sequences: Sequences,
}

impl Step {
    /// A step on `batch` sequences of `tokens` tokens; the lowest `frozen` layers and the embeddings are frozen.
    pub(crate) fn new(batch: usize, tokens: usize, frozen: usize) -> Result<Self> {
        let config = json!({
            "model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "intermediate_size": MIDDLE, "max_position_embeddings": 512,
        });
        let config = ModelConfig::parse("config.json".as_ref(), config)?;
        let mut parameters = Parameters::new();
        for spec in config.parameters(Head::Classification { classes: 2 }) {
            let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ spec.name.len() as u64;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 24) as f32 - 0.5
            };
            let values: Vec<f32> = match spec.kind {
                ParameterKind::Weight | ParameterKind::Embedding => (0..spec.len()).map(|_| 0.07 * next()).collect(),
                ParameterKind::LayerNorm if spec.name.ends_with("weight") => vec![1.0; spec.len()],
                ParameterKind::LayerNorm | ParameterKind::Bias => vec![0.0; spec.len()],
            };
            let id = parameters.add(spec.name.clone(), &spec.shape, &values);
            let is_frozen = match spec.block {
                topwork_models::Block::Embeddings => frozen > 0,
                topwork_models::Block::Layer(index) => index < frozen,
                topwork_models::Block::Final | topwork_models::Block::Head => false,
            };
            parameters.get_mut(id).trainable = !is_frozen;
        }
        let FamilyConfig::Bert(bert) = &config.family else { anyhow::bail!("the bench is of a BERT") };
        let encoder = EncoderDropout { hidden: 0.1, attention: 0.1 };
        let model = BertClassifier::new(bert, &parameters, ClassifierDropout { encoder, classifier: 0.1 })?;
        let gradients = Gradients::new(&parameters, &model.sparse_tables());
        let adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
        let count = batch * tokens;
        Ok(Self {
            ids: (0..count).map(|i| (i * 7919 % VOCABULARY) as u32).collect(),
            positions: (0..count).map(|i| (i % tokens) as u32).collect(),
            type_ids: vec![0; count],
            targets: (0..batch).map(|i| (i % 2) as u32).collect(),
            sequences: Sequences::new((0..=batch).map(|i| i * tokens).collect(), (0..batch as u64).collect()),
            pool: Pool::new(),
            parameters,
            gradients,
            adamw,
            model,
        })
    }

    /// Forward, backward and optimizer once.
    pub(crate) fn run(&mut self) -> StepTimes {
        let Self { parameters, gradients, adamw, model, pool, .. } = self;
        let mut times = StepTimes::default();
        let start = Instant::now();
        gradients.clear();
        let mut tape = Tape::new(parameters, pool, Mode::Training);
        let tokens =
            Tokens { ids: &self.ids, positions: &self.positions, type_ids: &self.type_ids, sequences: &self.sequences };
        let logits = model.logits(&mut tape, &tokens);
        let normaliser = CrossEntropy::normaliser(&self.targets, None);
        let loss = CrossEntropy { targets: &self.targets, class_weights: None, label_smoothing: 0.0, normaliser };
        let loss = tape.cross_entropy(logits, &loss);
        times.forward = milliseconds(start);
        let start = Instant::now();
        tape.backward(loss, gradients);
        times.backward = milliseconds(start);
        let start = Instant::now();
        // Clipping to norm 1, as the peer does.
        let clip = (1.0 / (gradients.norm() + 1e-6)).min(1.0) as f32;
        adamw.step(parameters, gradients, clip, |_| Rates { learning_rate: 2e-5, weight_decay: 0.01 });
        times.optimizer = milliseconds(start);
        times
    }
}

/// The matrix products of a training step and nothing else, on memory that is there already.
pub(crate) struct Products {
    /// Layers of which every token's output is computed.
    whole_layers: usize,
    batch: usize,
    tokens: usize,
    narrow: [Vec<f32>; 3],
    wide: Vec<f32>,
    square: Vec<f32>,
    weights: [Vec<f32>; 2],
}

impl Products {
    /// Those of a step through `whole_layers` layers for every token, and through the others for the first tokens only.
    pub(crate) fn new(batch: usize, tokens: usize, whole_layers: usize) -> Self {
        let filled = |len: usize| (0..len).map(|i| (i % 17) as f32 * 0.01).collect::<Vec<f32>>();
        let rows = batch * tokens;
        Self {
            whole_layers,
            batch,
            tokens,
            narrow: [(); 3].map(|()| filled(rows * HIDDEN)),
            wide: filled(rows * MIDDLE),
            square: filled(batch * HEADS * tokens * tokens),
            weights: [filled(HIDDEN * HIDDEN), filled(HIDDEN * MIDDLE)],
        }
    }

    /// Runs them all; gives milliseconds.
    pub(crate) fn run(&mut self) -> f64 {
        let start = Instant::now();
        let all = self.batch * self.tokens;
        for layer in 0..LAYERS {
            let asked = if layer < self.whole_layers { all } else { self.batch };
            let [x, y, _] = &mut self.narrow;
            // Keys, values, queries and the attention's output: forward, gradient of the input, of the weight.
            for rows in [all, all, asked, asked] {
                product([rows, HIDDEN, HIDDEN], y, (x, false), (&self.weights[0], true), Parallelism::Rayon(0));
                product([rows, HIDDEN, HIDDEN], y, (x, false), (&self.weights[0], false), Parallelism::Rayon(0));
                product([HIDDEN, HIDDEN, rows], &mut self.weights[0], (x, true), (y, false), Parallelism::Rayon(0));
            }
            // The two maps of the middle.
            let (middle, weight, rows) = (&mut self.wide, &mut self.weights[1], asked);
            product([rows, MIDDLE, HIDDEN], middle, (x, false), (weight, true), Parallelism::Rayon(0));
            product([rows, HIDDEN, MIDDLE], y, (middle, false), (weight, true), Parallelism::Rayon(0));
            product([rows, MIDDLE, HIDDEN], middle, (x, false), (weight, false), Parallelism::Rayon(0));
            product([rows, HIDDEN, MIDDLE], y, (middle, false), (weight, false), Parallelism::Rayon(0));
            product([HIDDEN, MIDDLE, rows], weight, (x, true), (middle, false), Parallelism::Rayon(0));
            product([MIDDLE, HIDDEN, rows], weight, (middle, true), (x, false), Parallelism::Rayon(0));
            // One query a sequence makes no products worth counting.
            if layer < self.whole_layers {
                self.attention();
            }
        }
        milliseconds(start)
    }

    /// Two products forward and four backward for each sequence and head.
    fn attention(&mut self) {
        let (n, d) = (self.tokens, HIDDEN / HEADS);
        let [x, y, _] = &mut self.narrow;
        let heads = self.square.par_chunks_mut(n * n).zip(y.par_chunks_mut(n * d)).zip(x.par_chunks(n * d));
        heads.for_each(|((square, y), x)| {
            for _ in 0..2 {
                product([n, n, d], square, (x, false), (x, true), Parallelism::None);
                product([n, d, n], y, (square, false), (x, false), Parallelism::None);
            }
            product([n, d, n], y, (square, true), (x, false), Parallelism::None);
            product([n, d, n], y, (square, true), (x, false), Parallelism::None);
        });
    }
}

/// `target[m, n] = left · right` over `k`; a factor marked `true` is stored transposed.
pub(crate) fn product(
    [m, n, k]: [usize; 3],
    target: &mut [f32],
    left: (&[f32], bool),
    right: (&[f32], bool),
    p: Parallelism,
) {
    let strides = |transposed: bool, rows: usize, columns: usize| if transposed { (1, rows) } else { (columns, 1) };
    let ((lr, lc), (rr, rc)) = (strides(left.1, m, k), strides(right.1, k, n));
    assert!(target.len() >= m * n && left.0.len() >= m * k && right.0.len() >= k * n, "sizes of a product");
    // SAFETY: the slices hold the matrices, as just checked, and the target is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target.as_mut_ptr(),
            1,
            n as isize,
            false,
            left.0.as_ptr(),
            lc as isize,
            lr as isize,
            right.0.as_ptr(),
            rc as isize,
            rr as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            p,
        );
    }
}

pub(crate) fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The middle of several measurements.
pub(crate) fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("nothing was measured")
}
