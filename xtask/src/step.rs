//! One training step of an encoder, and the matrix products alone of one of MiniLM's shape.

use std::time::Instant;

use anyhow::{Context, Result};
use gemm::Parallelism;
use rayon::prelude::*;
use serde_json::json;
use topwork_engine::{AdamW, AdamWOptions, CrossEntropy, Gradients, Mode, Parameters, Pool, Rates, Sequences, Tape};
use topwork_models::{Block, HeadKind, Model, ModelConfig, ModelOptions, Pooling, Tokens, Weights};

pub(crate) const LAYERS: usize = 6;
const HIDDEN: usize = 384;
const HEADS: usize = 12;
const MIDDLE: usize = 1536;
const VOCABULARY: usize = 30_522;
/// Ids below belong to special tokens, the padding among them.
const SPECIAL: usize = 5;

/// The configuration of MiniLM's shape.
pub(crate) fn minilm() -> Result<ModelConfig> {
    let config = json!({
        "model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": MIDDLE, "max_position_embeddings": 512,
    });
    Ok(ModelConfig::parse("config.json".as_ref(), config)?)
}

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

/// The sizes of a batch without padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// Sequences.
    pub(crate) sequences: usize,
    /// Tokens of each.
    pub(crate) tokens: usize,
}

/// A model with random weights, and a batch of random tokens, with the dropout of its configuration.
pub(crate) struct Step {
    parameters: Parameters,
    gradients: Gradients,
    adamw: AdamW,
    model: Model,
    pool: Pool,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    targets: Vec<u32>,
    sequences: Sequences,
}

impl Step {
    /// A step of that model on `batch`, whose head reads the first token; the lowest `frozen` layers and the embeddings are frozen.
    pub(crate) fn new(config: &ModelConfig, head: HeadKind, batch: Batch, frozen: usize) -> Result<Self> {
        Self::with_pooling(config, head, Pooling::FirstToken, batch, frozen)
    }

    /// As [`Step::new`], with what the head reads.
    pub(crate) fn with_pooling(
        config: &ModelConfig,
        head: HeadKind,
        pooling: Pooling,
        batch: Batch,
        frozen: usize,
    ) -> Result<Self> {
        let weights = Weights::initial(config, head, 0)?;
        let mut parameters = weights.parameters();
        for ((_, parameter), spec) in parameters.iter_mut().zip(&weights.specs) {
            let is_frozen = match spec.block {
                Block::Embeddings => frozen > 0,
                Block::Layer(index) => index < frozen,
                Block::Final | Block::Head => false,
            };
            parameter.trainable = !is_frozen;
        }
        drop(weights);
        let dropouts = config.encoder().dropouts(head).into();
        let options = ModelOptions { dropouts, pooling, ..ModelOptions::of(head) };
        let model = Model::bind(config, &parameters, options)?;
        let gradients = Gradients::new(&parameters, &model.sparse_tables());
        let adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
        let Batch { sequences, tokens } = batch;
        let (count, words) = (sequences * tokens, config.encoder().sizes().vocab_size - SPECIAL);
        let outputs = head.outputs().context("a head with outputs")?;
        let targets = if matches!(head, HeadKind::Token { .. }) { count } else { sequences };
        Ok(Self {
            ids: (0..count).map(|i| (SPECIAL + i * 7919 % words) as u32).collect(),
            type_ids: vec![0; count],
            targets: (0..targets).map(|i| (i % outputs) as u32).collect(),
            sequences: Sequences::new((0..=sequences).map(|i| i * tokens).collect(), (0..sequences as u64).collect()),
            pool: Pool::new(),
            parameters,
            gradients,
            adamw,
            model,
        })
    }

    /// The number of values that the model has.
    pub(crate) fn parameters(&self) -> usize {
        self.parameters.iter().map(|(_, parameter)| parameter.values.len()).sum()
    }

    /// Forward, backward and optimizer once.
    pub(crate) fn run(&mut self) -> StepTimes {
        let Self { parameters, gradients, adamw, model, pool, .. } = self;
        let mut times = StepTimes::default();
        let start = Instant::now();
        gradients.clear();
        let mut tape = Tape::new(parameters, pool, Mode::Training);
        let tokens = Tokens { ids: &self.ids, type_ids: &self.type_ids, sequences: &self.sequences };
        let logits = match model.kind() {
            HeadKind::Token { .. } => {
                let all: Vec<u32> = (0..self.ids.len() as u32).collect();
                model.token_logits(&mut tape, &tokens, &all)
            }
            _ => model.logits(&mut tape, &tokens),
        };
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
