//! AdamW with bias correction (Kingma and Ba, 2015; Loshchilov and Hutter, 2019), clipping and update in one pass.
//!
//! As in PyTorch, weight decay is `w ← w − lr · λ · w` before the step. Rows of an embedding table that no batch has
//! touched yet have zero moments: dense AdamW would only decay them. That decay is kept as one factor and applied when
//! the row is first touched or when [`AdamW::settle`] is called, so that a step costs what the batch touches.

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::parameters::{Gradient, Gradients, Parameter, ParameterId, Parameters};
use crate::simd::vectorized;

/// The constants of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWOptions {
    /// The decay of the first moment.
    pub beta1: f32,
    /// The decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

/// The learning rate and weight decay of one parameter in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// The weight decay λ.
    pub weight_decay: f64,
}

/// The optimizer's state.
#[derive(Debug)]
pub struct AdamW {
    options: AdamWOptions,
    steps: i32,
    moments: Vec<Option<Moments>>,
}

#[derive(Debug)]
struct Moments {
    first: Buffer,
    second: Buffer,
    /// For a table: which rows have ever had a gradient, and what the others are still to be multiplied with.
    rows: Option<TableRows>,
}

#[derive(Debug)]
struct TableRows {
    width: usize,
    active: Vec<u32>,
    is_active: Vec<bool>,
    pending_decay: f64,
}

/// What an optimizer has to remember between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamWState {
    /// Steps taken.
    pub steps: i32,
    /// For each parameter in order; none for a frozen one.
    pub moments: Vec<Option<MomentsState>>,
}

/// The moments of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentsState {
    /// The first moment, as many values as the parameter has.
    pub first: Vec<f32>,
    /// The second moment.
    pub second: Vec<f32>,
    /// For a table: the rows that have had a gradient, and the decay that the others are owed.
    pub table: Option<(Vec<u32>, f64)>,
}

/// The factors of one step for one parameter.
#[derive(Clone, Copy)]
struct Step {
    options: AdamWOptions,
    gradient_scale: f32,
    keep: f32,
    step_size: f32,
    inverse_root_correction: f32,
}

impl AdamW {
    /// Zero moments for the trainable parameters; `gradients` tells which are tables.
    pub fn new(parameters: &Parameters, gradients: &Gradients, options: AdamWOptions) -> Self {
        let moments = parameters.iter().enumerate().map(|(i, (_, parameter))| {
            let rows = match gradients.entry(i) {
                Gradient::None => return None,
                Gradient::Dense { .. } => None,
                Gradient::Rows { width, is_touched, .. } => Some(TableRows {
                    width: *width,
                    active: Vec::new(),
                    is_active: vec![false; is_touched.len()],
                    pending_decay: 1.0,
                }),
            };
            let len = parameter.values.len();
            Some(Moments { first: Buffer::zeros(len), second: Buffer::zeros(len), rows })
        });
        Self { options, steps: 0, moments: moments.collect() }
    }

    /// A copy of the state, from which another optimizer of the same parameters can go on.
    pub fn state(&self) -> AdamWState {
        let moments = self.moments.iter().map(|moments| {
            let Moments { first, second, rows } = moments.as_ref()?;
            let table = rows.as_ref().map(|rows| (rows.active.clone(), rows.pending_decay));
            Some(MomentsState { first: first.to_vec(), second: second.to_vec(), table })
        });
        AdamWState { steps: self.steps, moments: moments.collect() }
    }

    /// Takes the place of another optimizer of the same parameters; says whether `state` is of such a one. If not,
    /// nothing changes.
    #[must_use]
    pub fn restore(&mut self, state: &AdamWState) -> bool {
        let fits = |(own, stored): (&Option<Moments>, &Option<MomentsState>)| match (own, stored) {
            (None, None) => true,
            (Some(own), Some(stored)) => {
                let len = own.first.len();
                let tables_fit = match (&own.rows, &stored.table) {
                    (None, None) => true,
                    (Some(rows), Some((active, _))) => active.iter().all(|&row| (row as usize) < rows.is_active.len()),
                    _ => false,
                };
                stored.first.len() == len && stored.second.len() == len && tables_fit
            }
            _ => false,
        };
        if self.moments.len() != state.moments.len() || !self.moments.iter().zip(&state.moments).all(fits) {
            return false;
        }
        self.steps = state.steps;
        for (own, stored) in self.moments.iter_mut().zip(&state.moments) {
            let (Some(own), Some(stored)) = (own, stored) else { continue };
            own.first.copy_from_slice(&stored.first);
            own.second.copy_from_slice(&stored.second);
            if let (Some(rows), Some((active, pending_decay))) = (&mut own.rows, &stored.table) {
                rows.is_active.fill(false);
                active.iter().for_each(|&row| rows.is_active[row as usize] = true);
                rows.active.clone_from(active);
                rows.pending_decay = *pending_decay;
            }
        }
        true
    }

    /// One step. Every gradient is multiplied with `gradient_scale` (the clipping factor) first.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: &Gradients,
        gradient_scale: f32,
        rates: impl Fn(ParameterId) -> Rates,
    ) {
        self.steps += 1;
        let correction1 = 1.0 - f64::from(self.options.beta1).powi(self.steps);
        let correction2 = 1.0 - f64::from(self.options.beta2).powi(self.steps);
        let ids: Vec<ParameterId> = parameters.iter().map(|(id, _)| id).collect();
        let entries = parameters.entries_mut().iter_mut().zip(&mut self.moments);
        for (index, (parameter, moments)) in entries.enumerate() {
            let Some(moments) = moments else { continue };
            let rates = rates(ids[index]);
            let keep = 1.0 - rates.learning_rate * rates.weight_decay;
            let step = Step {
                options: self.options,
                gradient_scale,
                keep: keep as f32,
                step_size: (rates.learning_rate / correction1) as f32,
                inverse_root_correction: (1.0 / correction2.sqrt()) as f32,
            };
            match gradients.entry(index) {
                Gradient::None => {}
                Gradient::Dense { values, written } => step.dense(parameter, moments, written.then_some(values)),
                Gradient::Rows { values, touched, is_touched, .. } => {
                    step.table(parameter, moments, values, touched, is_touched, keep);
                }
            }
        }
    }

    /// Applies the decay that is still owed to untouched rows of tables. Call it before the parameters are read for
    /// anything but the next training step.
    pub fn settle(&mut self, parameters: &mut Parameters) {
        for (parameter, moments) in parameters.entries_mut().iter_mut().zip(&mut self.moments) {
            let Some(rows) = moments.as_mut().and_then(|m| m.rows.as_mut()) else {
                continue;
            };
            let factor = std::mem::replace(&mut rows.pending_decay, 1.0) as f32;
            if factor == 1.0 {
                continue;
            }
            let table = parameter.values.par_chunks_exact_mut(rows.width).zip(&rows.is_active);
            table.filter(|(_, active)| !**active).for_each(|(row, _)| row.iter_mut().for_each(|w| *w *= factor));
        }
    }
}

impl Step {
    fn dense(&self, parameter: &mut Parameter, moments: &mut Moments, gradient: Option<&Buffer>) {
        const CHUNK: usize = 1 << 13;
        let state = moments.first.par_chunks_mut(CHUNK).zip(moments.second.par_chunks_mut(CHUNK));
        let values = parameter.values.par_chunks_mut(CHUNK).zip(state);
        match gradient {
            Some(gradient) => {
                values.zip(gradient.par_chunks(CHUNK)).for_each(|((w, (m, v)), g)| self.update(w, m, v, g))
            }
            None => values.for_each(|(w, (m, v))| self.update(w, m, v, &[0.0; CHUNK][..w.len()])),
        }
    }

    fn table(
        &self,
        parameter: &mut Parameter,
        moments: &mut Moments,
        gradient: &[f32],
        touched: &[u32],
        is_touched: &[bool],
        keep: f64,
    ) {
        let Moments { first, second, rows: Some(rows) } = moments else {
            return;
        };
        let width = rows.width;
        let owed = rows.pending_decay as f32;
        for &row in touched {
            if !std::mem::replace(&mut rows.is_active[row as usize], true) {
                rows.active.push(row);
                let range = row as usize * width..(row as usize + 1) * width;
                parameter.values[range].iter_mut().for_each(|w| *w *= owed);
            }
        }
        rows.pending_decay *= keep;
        let zeros = vec![0.0; width];
        let table = parameter.values.par_chunks_exact_mut(width);
        let state = first.par_chunks_exact_mut(width).zip(second.par_chunks_exact_mut(width));
        table.zip(state).enumerate().with_min_len(64).for_each(|(row, (w, (m, v)))| {
            if rows.is_active[row] {
                let gradient = if is_touched[row] { &gradient[row * width..(row + 1) * width] } else { &zeros };
                self.update(w, m, v, gradient);
            }
        });
    }

    fn update(&self, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        let AdamWOptions { beta1, beta2, epsilon } = self.options;
        vectorized(|| {
            for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
                let g = g * self.gradient_scale;
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                *w = *w * self.keep - self.step_size * *m / (v.sqrt() * self.inverse_root_correction + epsilon);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmbeddingTables, Mode, Pool, Tape, Tensor};

    /// Ten steps on tables of which each step touches two rows, by dense or sparse gradients.
    fn ten_steps(sparse: bool) -> Vec<f32> {
        let mut parameters = Parameters::new();
        let start: Vec<f32> = (0..60).map(|i| (i as f32 * 0.37).sin()).collect();
        let ids = ["word", "position", "type"].map(|name| parameters.add(name, &[10, 6], &start));
        let tables = EmbeddingTables::new(ids[0], ids[1], Some(ids[2]));
        let mut gradients = Gradients::new(&parameters, if sparse { &ids } else { &[] });
        let mut adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
        for step in 0..10u32 {
            gradients.clear();
            let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Training);
            let y = tape.embedding(tables, &[step % 7, (step * step) % 7], &[0, 1], &[0, 0]);
            let seed: Vec<f32> = (0..12).map(|i| (i as f32 + step as f32).cos()).collect();
            tape.backward_from(y, Tensor::from_values(&seed, 2, 6), &mut gradients);
            let rates = |_| Rates { learning_rate: 0.01 * f64::from(step + 1), weight_decay: 0.1 };
            adamw.step(&mut parameters, &gradients, 0.5, rates);
        }
        adamw.settle(&mut parameters);
        ids.iter().flat_map(|&id| parameters.get(id).values.to_vec()).collect()
    }

    #[test]
    fn sparse_tables_are_updated_like_dense_ones() {
        for (sparse, dense) in ten_steps(true).iter().zip(ten_steps(false)) {
            assert!((sparse - dense).abs() <= 1e-6 * dense.abs().max(1.0), "{sparse} {dense}");
        }
    }

    #[test]
    fn first_step_with_bias_correction_has_the_size_of_the_learning_rate() {
        let mut parameters = Parameters::new();
        let id = parameters.add("w", &[1, 2], &[1.0, -1.0]);
        let mut gradients = Gradients::new(&parameters, &[]);
        let mut adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
        gradients.contribute(id, |gradient, _| gradient.copy_from_slice(&[3.0, -0.02]));
        adamw.step(&mut parameters, &gradients, 1.0, |_| Rates { learning_rate: 0.1, weight_decay: 0.5 });
        // w (1 − lr λ) − lr sign(g)
        let expected = [0.95 - 0.1, 0.1 - 0.95];
        for (w, expected) in parameters.get(id).values.iter().zip(expected) {
            assert!((w - expected).abs() < 1e-5, "{w} {expected}");
        }
    }
}
