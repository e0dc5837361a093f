//! Multi-head self-attention over the sequences of a batch, without padding (Vaswani et al., 2017).
//!
//! Every (sequence, head) pair is one task. The probabilities are not kept: the backward pass computes them again from
//! the queries, the keys and one number a row (the logarithm of the softmax's sum).

use std::cell::RefCell;

use rayon::prelude::*;

use crate::matmul::{BlockMut, Shared, View, Write, matmul_block};
use crate::random::Dropout;
use crate::sequences::Sequences;
use crate::simd::{exp, max, sum, vectorized};
use crate::tape::{Backward, Mode, Operation, Tape, Value};
use crate::tensor::Tensor;

thread_local! {
    /// Two square matrices of the task at hand and the dropout factors of one of their rows.
    static SCRATCH: RefCell<[Vec<f32>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// The shape of an attention and its dropout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// The number of heads; it divides the width.
    pub heads: usize,
    /// On the probabilities.
    pub dropout: Dropout,
}

impl Tape<'_> {
    /// `softmax(q kᵀ / √d) v` for each sequence and head. `k` and `v` are `[tokens, heads · d]` with a row for each token
    /// of `sequences`; `q` has a row for each token of `queries`: those of the same sequences, or their first ones only.
    ///
    /// # Panics
    /// When the sizes do not fit.
    pub fn attention(
        &mut self,
        [q, k, v]: [Value; 3],
        attention: Attention,
        queries: &Sequences,
        sequences: &Sequences,
    ) -> Value {
        let (tokens, width) = (q.rows(), q.columns());
        assert!(tokens == queries.tokens() && k.rows() == sequences.tokens(), "a row for each token");
        assert!(k.rows() == v.rows() && width.is_multiple_of(attention.heads), "keys, values and heads fit");
        assert_eq!(queries.len(), sequences.len(), "the same sequences");
        let dropout = Some(attention.dropout).filter(|d| self.mode() == Mode::Training && d.probability > 0.0);
        let (queries, sequences) = (queries.clone(), sequences.clone());
        let heads = Heads { heads: attention.heads, width, dropout, queries, sequences };
        let (mut y, mut log_sums) = (self.take(tokens, width), self.take(tokens, attention.heads));
        let (output, log_sum) =
            (Shared::new(y.values_mut(), width), Shared::new(log_sums.values_mut(), attention.heads));
        let inputs = [q.values(), k.values(), v.values()];
        heads.tasks().into_par_iter().for_each(|task| heads.forward(task, inputs, output, log_sum));
        if !self.records(&[&q, &k, &v], &[]) {
            return self.constant(y);
        }
        self.record(y, Attended { heads, q, k, v, log_sums })
    }
}

/// One sequence and one head.
#[derive(Clone, Copy)]
struct Task {
    sequence: usize,
    head: usize,
}

struct Heads {
    heads: usize,
    width: usize,
    dropout: Option<Dropout>,
    /// The tokens that ask.
    queries: Sequences,
    /// The tokens that are asked.
    sequences: Sequences,
}

impl Heads {
    fn tasks(&self) -> Vec<Task> {
        let sequences = (0..self.sequences.len()).filter(|&s| !self.sequences.range(s).is_empty());
        sequences.flat_map(|sequence| (0..self.heads).map(move |head| Task { sequence, head })).collect()
    }

    fn size(&self) -> usize {
        self.width / self.heads
    }

    /// The block of a matrix with a row for each token of `of` that belongs to the task.
    fn view<'a>(&self, task: Task, of: &Sequences, values: &'a [f32]) -> View<'a> {
        let range = of.range(task.sequence);
        let start = range.start * self.width + task.head * self.size();
        View::strided(&values[start..], range.len(), self.size(), self.width)
    }

    /// The same block, to write.
    fn block(&self, task: Task, of: &Sequences, matrix: Shared) -> BlockMut {
        let range = of.range(task.sequence);
        // SAFETY: the blocks of different tasks are disjoint (other rows or other columns), each task is run once,
        // and the matrix outlives the parallel loop.
        unsafe { matrix.block(range.start, task.head * self.size(), range.len(), self.size()) }
    }

    /// Fills `factors` with the dropout factors of a row of the probabilities.
    #[inline(always)]
    fn factors(&self, task: Task, row: usize, factors: &mut [f32]) {
        let Some(dropout) = self.dropout else {
            return factors.fill(1.0);
        };
        let position = ((task.head as u64 + 1) << 32) | row as u64;
        let mask = dropout.row(self.sequences.stream(task.sequence), position);
        factors.iter_mut().enumerate().for_each(|(column, factor)| *factor = mask.factor(column as u32));
    }

    /// Queries and keys of the task.
    fn size_of(&self, task: Task) -> [usize; 2] {
        [&self.queries, &self.sequences].map(|tokens| tokens.range(task.sequence).len())
    }

    /// `scores = q kᵀ / √d`.
    fn scores(&self, task: Task, q: &[f32], k: &[f32], scores: &mut [f32]) {
        let [rows, n] = self.size_of(task);
        let scale = 1.0 / (self.size() as f32).sqrt();
        let (q, k) = (self.view(task, &self.queries, q), self.view(task, &self.sequences, k).transposed());
        // SAFETY: `scores` is borrowed exclusively.
        unsafe { matmul_block(BlockMut::new(scores, rows, n), Write::Replace, scale, q, k) }
    }

    fn forward(&self, task: Task, [q, k, v]: [&[f32]; 3], output: Shared, log_sum: Shared) {
        let [rows, n] = self.size_of(task);
        let first = self.queries.range(task.sequence).start;
        SCRATCH.with_borrow_mut(|[scores, _, factors]| {
            scores.resize(rows * n, 0.0);
            factors.resize(n, 0.0);
            self.scores(task, q, k, scores);
            vectorized(|| {
                for (i, row) in scores.chunks_exact_mut(n).enumerate() {
                    let top = max(row);
                    row.iter_mut().for_each(|s| *s = exp(*s - top));
                    let total = sum(n, |j| row[j]);
                    let scale = 1.0 / total;
                    if self.dropout.is_some() {
                        self.factors(task, i, factors);
                        row.iter_mut().zip(&*factors).for_each(|(p, &f)| *p *= scale * f);
                    } else {
                        row.iter_mut().for_each(|p| *p *= scale);
                    }
                    // SAFETY: one element, which no other task writes; the matrix outlives the parallel loop.
                    unsafe { log_sum.set(first + i, task.head, top + total.ln()) };
                }
            });
            let probabilities = View::new(scores, rows, n);
            let v = self.view(task, &self.sequences, v);
            // SAFETY: `block` gives this task's own block.
            unsafe { matmul_block(self.block(task, &self.queries, output), Write::Replace, 1.0, probabilities, v) }
        });
    }

    fn backward(&self, task: Task, saved: &Saved<'_>, dy: &[f32], [dq, dk, dv]: [Shared; 3]) {
        let [rows, n] = self.size_of(task);
        let first = self.queries.range(task.sequence).start;
        let scale = 1.0 / (self.size() as f32).sqrt();
        SCRATCH.with_borrow_mut(|[probabilities, slopes, factors]| {
            probabilities.resize(rows * n, 0.0);
            slopes.resize(rows * n, 0.0);
            factors.resize(n, 0.0);
            self.scores(task, saved.q, saved.k, probabilities);
            let (dy, v) = (self.view(task, &self.queries, dy), self.view(task, &self.sequences, saved.v).transposed());
            // SAFETY: `slopes` is borrowed exclusively.
            unsafe { matmul_block(BlockMut::new(slopes, rows, n), Write::Replace, 1.0, dy, v) }
            vectorized(|| {
                for (i, (p, d)) in probabilities.chunks_exact_mut(n).zip(slopes.chunks_exact_mut(n)).enumerate() {
                    let log_sum = saved.log_sums[(first + i) * self.heads + task.head];
                    self.factors(task, i, factors);
                    p.iter_mut().for_each(|p| *p = exp(*p - log_sum));
                    let mean = sum(n, |j| p[j] * factors[j] * d[j]);
                    for ((p, d), &f) in p.iter_mut().zip(d).zip(&*factors) {
                        *d = *p * (f * *d - mean) * scale;
                        *p *= f;
                    }
                }
            });
            let (dropped, slopes) = (View::new(probabilities, rows, n), View::new(slopes, rows, n));
            let (q, k) = (self.view(task, &self.queries, saved.q), self.view(task, &self.sequences, saved.k));
            let asked = |matrix| self.block(task, &self.sequences, matrix);
            // SAFETY: `block` gives this task's own block of each matrix.
            unsafe {
                matmul_block(asked(dv), Write::Replace, 1.0, dropped.transposed(), dy);
                matmul_block(self.block(task, &self.queries, dq), Write::Replace, 1.0, slopes, k);
                matmul_block(asked(dk), Write::Replace, 1.0, slopes.transposed(), q);
            }
        });
    }
}

/// What the backward tasks read of the forward pass.
struct Saved<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    log_sums: &'a [f32],
}

struct Attended {
    heads: Heads,
    q: Value,
    k: Value,
    v: Value,
    /// ln Σ exp(score) of each row and head, `[tokens, heads]`.
    log_sums: Tensor,
}

impl Operation for Attended {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let (queries, tokens, width) = (dy.rows(), self.k.rows(), dy.columns());
        let mut gradients = [queries, tokens, tokens].map(|rows| context.take(rows, width));
        let targets = gradients.each_mut().map(|gradient| Shared::new(gradient.values_mut(), width));
        let (heads, dy) = (&self.heads, dy.values());
        let saved =
            Saved { q: self.q.values(), k: self.k.values(), v: self.v.values(), log_sums: self.log_sums.values() };
        heads.tasks().into_par_iter().for_each(|task| heads.backward(task, &saved, dy, targets));
        let slots = [self.q.slot(), self.k.slot(), self.v.slot()];
        for (slot, gradient) in slots.into_iter().zip(gradients) {
            context.pass_on(slot, gradient);
        }
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// Attention sequence by sequence and head by head, `[tokens, width]`.
    pub(crate) fn attention(
        q: &[f64],
        k: &[f64],
        v: &[f64],
        width: usize,
        heads: usize,
        offsets: &[usize],
    ) -> Vec<f64> {
        let size = width / heads;
        let mut y = vec![0.0; q.len()];
        for bounds in offsets.windows(2) {
            for head in 0..heads {
                let at = |m: &[f64], token: usize, c: usize| m[token * width + head * size + c];
                for i in bounds[0]..bounds[1] {
                    let score = |j: usize| (0..size).map(|c| at(q, i, c) * at(k, j, c)).sum::<f64>();
                    let weights: Vec<f64> =
                        (bounds[0]..bounds[1]).map(|j| (score(j) / (size as f64).sqrt()).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for c in 0..size {
                        y[i * width + head * size + c] =
                            weights.iter().zip(bounds[0]..).map(|(w, j)| w / total * at(v, j, c)).sum();
                    }
                }
            }
        }
        y
    }
}
