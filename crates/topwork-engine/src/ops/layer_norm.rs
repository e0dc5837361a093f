//! `y = normalise(residual + dropout(x)) · w + b` over each row (Ba, Kiros, Hinton, 2016), with the dropout and the
//! residual sum before it in the same pass.

use rayon::prelude::*;

use crate::parameters::ParameterId;
use crate::random::{Dropout, RowMask};
use crate::sequences::Sequences;
use crate::simd::{ROW_BLOCK, sum, sum_over_rows, vectorized};
use crate::tape::{Backward, Mode, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

/// The parameters of a layer normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// The scale `[columns]`.
    pub weight: ParameterId,
    /// The shift `[columns]`.
    pub bias: ParameterId,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Tape<'_> {
    /// Normalises each row of `x` `[rows, columns]`.
    pub fn layer_norm(&mut self, x: Value, norm: LayerNorm) -> Value {
        self.normalise(x, None, norm, None)
    }

    /// Normalises each row of `residual + dropout(x)`, `[tokens, columns]`.
    pub fn residual_layer_norm(
        &mut self,
        x: Value,
        residual: &Value,
        norm: LayerNorm,
        dropout: Dropout,
        sequences: &Sequences,
    ) -> Value {
        let live = self.mode() == Mode::Training && dropout.probability > 0.0;
        let masks = live.then(|| RowMasks { dropout, keys: sequences.token_keys() });
        self.normalise(x, Some(residual), norm, masks)
    }

    fn normalise(&mut self, x: Value, residual: Option<&Value>, norm: LayerNorm, masks: Option<RowMasks>) -> Value {
        let (rows, columns) = (x.rows(), x.columns());
        let (weight, bias) = (self.parameter(norm.weight), self.parameter(norm.bias));
        let (mut y, mut normalised) = (self.take(rows, columns), self.take(rows, columns));
        let mut inverse_deviation = self.take(rows, 1);
        let block = ROW_BLOCK * columns;
        let outputs = y.values_mut().par_chunks_mut(block).zip(normalised.values_mut().par_chunks_mut(block));
        let outputs = outputs.zip(inverse_deviation.values_mut().par_chunks_mut(ROW_BLOCK));
        let residual_values = residual.map(Value::values);
        outputs.zip(x.values().par_chunks(block)).enumerate().for_each(|(index, (((y, normalised), inverse), x))| {
            vectorized(|| {
                for (i, x) in x.chunks_exact(columns).enumerate() {
                    let (row, range) = (index * ROW_BLOCK + i, i * columns..(i + 1) * columns);
                    let (z, y) = (&mut normalised[range.clone()], &mut y[range]);
                    z.copy_from_slice(x);
                    if let Some(masks) = &masks {
                        masks.apply(row, z);
                    }
                    if let Some(residual) = residual_values {
                        let residual = &residual[row * columns..(row + 1) * columns];
                        z.iter_mut().zip(residual).for_each(|(z, &r)| *z += r);
                    }
                    inverse[i] = standardise(z, norm.epsilon);
                    for (((y, &z), &w), &b) in y.iter_mut().zip(&*z).zip(weight).zip(bias) {
                        *y = z * w + b;
                    }
                }
            });
        });
        let inputs: Vec<&Value> = [Some(&x), residual].into_iter().flatten().collect();
        if !self.records(&inputs, &[norm.weight, norm.bias]) {
            return self.constant(y);
        }
        let residual = residual.map(Value::slot);
        self.record(y, Normalised { x: x.slot(), residual, norm, masks, normalised, inverse_deviation })
    }
}

/// Subtracts the mean and divides by the deviation; gives one over the deviation.
#[inline(always)]
pub(super) fn standardise(z: &mut [f32], epsilon: f32) -> f32 {
    let n = z.len() as f32;
    let mean = sum(z.len(), |i| z[i]) / n;
    z.iter_mut().for_each(|z| *z -= mean);
    let variance = sum(z.len(), |i| z[i] * z[i]) / n;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    z.iter_mut().for_each(|z| *z *= inverse);
    inverse
}

/// Turns the gradient `d` of a standardised row `z` into that of the row before, of which `inverse` is one over the deviation.
#[inline(always)]
pub(super) fn standardise_backward(d: &mut [f32], z: &[f32], inverse: f32) {
    let n = d.len();
    let mean = sum(n, |c| d[c]) / n as f32;
    let slope = sum(n, |c| d[c] * z[c]) / n as f32;
    d.iter_mut().zip(z).for_each(|(d, &z)| *d = (*d - mean - z * slope) * inverse);
}

/// Live dropout on a matrix: each row's stream and position in it.
pub(super) struct RowMasks {
    pub(super) dropout: Dropout,
    pub(super) keys: Vec<(u64, u64)>,
}

impl RowMasks {
    /// The factors of a row.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> RowMask {
        let (stream, position) = self.keys[row];
        self.dropout.row(stream, position)
    }

    /// Multiplies a row with its factors.
    #[inline(always)]
    pub(super) fn apply(&self, row: usize, values: &mut [f32]) {
        let mask = self.row(row);
        for (column, value) in values.iter_mut().enumerate() {
            *value *= mask.factor(column as u32);
        }
    }
}

struct Normalised {
    x: Slot,
    residual: Option<Slot>,
    norm: LayerNorm,
    masks: Option<RowMasks>,
    normalised: Tensor,
    inverse_deviation: Tensor,
}

impl Operation for Normalised {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let (rows, columns) = (dy.rows(), dy.columns());
        let normalised = self.normalised.values();
        context.gradients.contribute(self.norm.weight, |gradient, accumulate| {
            sum_over_rows(rows, columns, accumulate, gradient, |rows, partial| {
                let range = rows.start * columns..rows.end * columns;
                let rows =
                    dy.values()[range.clone()].chunks_exact(columns).zip(normalised[range].chunks_exact(columns));
                vectorized(|| {
                    for (dy, z) in rows {
                        for ((total, &dy), &z) in partial.iter_mut().zip(dy).zip(z) {
                            *total += dy * z;
                        }
                    }
                });
            });
        });
        context.gradients.contribute(self.norm.bias, |gradient, accumulate| {
            super::linear::sum_columns(dy.values(), columns, gradient, accumulate);
        });
        let mut dx = dy;
        let weight = &*context.parameters.get(self.norm.weight).values;
        let inverse = self.inverse_deviation.values();
        let block = ROW_BLOCK * columns;
        dx.values_mut().par_chunks_mut(block).zip(normalised.par_chunks(block)).enumerate().for_each(
            |(index, (dx, normalised))| {
                vectorized(|| {
                    let rows = dx.chunks_exact_mut(columns).zip(normalised.chunks_exact(columns));
                    for (i, (d, z)) in rows.enumerate() {
                        d.iter_mut().zip(weight).for_each(|(d, &w)| *d *= w);
                        standardise_backward(d, z, inverse[index * ROW_BLOCK + i]);
                    }
                });
            },
        );
        let Some(masks) = self.masks else {
            if let Some(residual) = self.residual {
                context.contribute(residual, |gradient, accumulate| add_or_copy(gradient, dx.values(), accumulate));
            }
            context.pass_on(self.x, dx);
            return;
        };
        context.contribute(self.x, |gradient, accumulate| {
            gradient.par_chunks_mut(block).zip(dx.values().par_chunks(block)).enumerate().for_each(
                |(index, (gradient, dx))| {
                    vectorized(|| {
                        let rows = gradient.chunks_exact_mut(columns).zip(dx.chunks_exact(columns));
                        for (i, (gradient, dx)) in rows.enumerate() {
                            let mask = masks.row(index * ROW_BLOCK + i);
                            for (column, (gradient, &dx)) in gradient.iter_mut().zip(dx).enumerate() {
                                let part = dx * mask.factor(column as u32);
                                *gradient = if accumulate { *gradient + part } else { part };
                            }
                        }
                    });
                },
            );
        });
        if let Some(residual) = self.residual {
            context.pass_on(residual, dx);
        }
    }
}

/// Adds `source` to `target`, or copies it.
fn add_or_copy(target: &mut [f32], source: &[f32], accumulate: bool) {
    const CHUNK: usize = 1 << 14;
    target.par_chunks_mut(CHUNK).zip(source.par_chunks(CHUNK)).for_each(|(target, source)| {
        if accumulate {
            vectorized(|| target.iter_mut().zip(source).for_each(|(t, &s)| *t += s));
        } else {
            target.copy_from_slice(source);
        }
    });
}

#[cfg(test)]
pub(super) mod reference {
    /// Plain layer normalisation of each row of `x`.
    pub(crate) fn layer_norm(x: &[f64], weight: &[f64], bias: &[f64], epsilon: f64) -> Vec<f64> {
        let mut y = Vec::new();
        for row in x.chunks(weight.len()) {
            let n = row.len() as f64;
            let mean = row.iter().sum::<f64>() / n;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            for ((x, w), b) in row.iter().zip(weight).zip(bias) {
                y.push((x - mean) / (variance + epsilon).sqrt() * w + b);
            }
        }
        y
    }
}
