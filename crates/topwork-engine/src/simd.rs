//! Vector instructions chosen at run time, and the elementary functions that loops over them need.
//!
//! Loops are written plainly and run inside [`vectorized`], where the compiler may use the widest instructions that
//! the processor has. Products and sums stay separate (no fused multiply-add), so that every path gives the same bits.

use std::ops::Range;

use rayon::prelude::*;

/// Lanes of the partial sums: one AVX-512 register.
const LANES: usize = 16;

/// Rows that one task of a parallel loop takes. Fixed, so that sums do not depend on the number of threads.
pub(crate) const ROW_BLOCK: usize = 64;

/// Runs `work` compiled for the widest vector instructions of this processor.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// eˣ within about 2 ulp, without a branch. Cody–Waite reduction and a polynomial of degree 6.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to the nearest integer
    let x = x.clamp(-87.3, 88.3);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    p * f32::from_bits((exponent.wrapping_add(127) << 23) as u32)
}

/// The standard normal distribution function and density at `x`, the former within 1e-7 (Abramowitz and Stegun,
/// formula 7.1.26).
#[inline(always)]
pub(crate) fn normal(x: f32) -> (f32, f32) {
    let magnitude = x.abs();
    let gauss = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * magnitude);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152_1;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_72;
    p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * gauss;
    (if x < 0.0 { tail } else { 1.0 - tail }, 0.398_942_3 * gauss)
}

/// tanh within 1e-7 absolute.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// Σ f(i) over `0..len`, summed in lanes.
#[inline(always)]
pub(crate) fn sum(len: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = len / LANES * LANES;
    let mut start = 0;
    while start < whole {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += f(start + lane);
        }
        start += LANES;
    }
    let mut total = 0.0;
    for lane in lanes {
        total += lane;
    }
    for i in whole..len {
        total += f(i);
    }
    total
}

/// The largest of `values`; −∞ when there are none.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(chunks.remainder()).fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Adds over blocks of rows in parallel: `add(rows, partial)` adds what the rows contribute to `partial`
/// `[columns]`; the partial sums are then added in order. The result does not depend on the number of threads.
pub(crate) fn sum_over_rows(
    rows: usize,
    columns: usize,
    accumulate: bool,
    target: &mut [f32],
    add: impl Fn(Range<usize>, &mut [f32]) + Sync,
) {
    let blocks = rows.div_ceil(ROW_BLOCK);
    let mut partial = vec![0.0f32; blocks * columns];
    partial.par_chunks_mut(columns).enumerate().for_each(|(block, partial)| {
        let start = block * ROW_BLOCK;
        add(start..rows.min(start + ROW_BLOCK), partial);
    });
    if !accumulate {
        target.fill(0.0);
    }
    for partial in partial.chunks(columns) {
        for (total, &part) in target.iter_mut().zip(partial) {
            *total += part;
        }
    }
}

/// Σ x² in double precision over fixed blocks.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    let block = |values: &[f32]| vectorized(|| f64::from(sum(values.len(), |i| values[i] * values[i])));
    let parts: Vec<f64> = values.par_chunks(4096).map(block).collect();
    parts.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_real_one() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 4e-7, "exp({x})");
            x += 0.0137;
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn normal_and_tanh_are_close_to_the_real_ones() {
        // Φ by Simpson's rule on the density, in double precision.
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (steps, low) = (40_000, -9.0f64);
        let h = -2.0 * low / f64::from(steps);
        let mut integral = 0.0;
        for i in 0..steps {
            let x = low + f64::from(i) * h;
            if i % 100 == 0 {
                let (distribution, value) = normal(x as f32);
                assert!((f64::from(distribution) - integral).abs() < 3e-7, "Φ({x})");
                assert!((f64::from(value) - density(x)).abs() < 3e-7, "φ({x})");
                assert!((f64::from(tanh(x as f32)) - x.tanh()).abs() < 3e-7, "tanh({x})");
            }
            integral += h / 6.0 * (density(x) + 4.0 * density(x + h / 2.0) + density(x + h));
        }
    }
}
