//! Softmax regression with a penalty on the squared weights, fitted to its optimum by L-BFGS (Liu and Nocedal, 1989).

use faer::{Mat, MatRef};
use pulp::Arch;

use crate::matrix::Matrix;

/// Past steps that L-BFGS remembers.
const MEMORY: usize = 10;

/// A linear classifier.
#[derive(Clone, Debug)]
pub struct Logistic {
    /// `[columns, classes]`
    pub weight: Mat<f64>,
    /// `[classes]`
    pub bias: Vec<f64>,
    /// Mean cross-entropy plus penalty, in nats.
    pub objective: f64,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Steps at most.
    pub steps: usize,
    /// The largest slope of the objective along any value at which it counts as flat.
    pub slope: f64,
}

impl Effort {
    /// To the optimum, for scores that are made of it.
    pub const EXACT: Self = Self { steps: 5_000, slope: 1e-9 };

    /// To where predictions hardly change any more; of many `values` (columns × classes) fewer steps are made, because each
    /// takes longer and a start from another penalty's fit is near already.
    pub fn usual(values: usize) -> Self {
        Self { steps: (600_000 / values.max(1)).clamp(15, 60), slope: 1e-4 }
    }
}

impl Logistic {
    /// Minimises mean cross-entropy + `penalty`/2 · ‖W‖² on `features` `[rows, columns]`; the bias is not penalised.
    /// `start` is where to begin, such as the fit with another penalty.
    pub fn fit(
        features: Matrix<'_>,
        targets: &[u32],
        classes: usize,
        penalty: f64,
        effort: Effort,
        start: Option<&Self>,
    ) -> Self {
        let columns = features.ncols();
        let mut values = vec![0.0; (columns + 1) * classes];
        if let Some(start) = start {
            let (weight, bias) = values.split_at_mut(columns * classes);
            for class in 0..classes {
                weight[class * columns..(class + 1) * columns]
                    .copy_from_slice(&start.weight.col(class).iter().copied().collect::<Vec<_>>());
            }
            bias.copy_from_slice(&start.bias);
        }
        let problem = Problem { features, targets, classes, penalty };
        let objective = minimise(&mut values, effort, |values| problem.value_and_slope(values));
        let (weight, bias) = values.split_at(columns * classes);
        let weight = MatRef::from_column_major_slice(weight, columns, classes).to_owned();
        Self { weight, bias: bias.to_vec(), objective }
    }

    /// The probability of each class for each row, `[rows, classes]`.
    pub fn probabilities(&self, features: Matrix<'_>) -> Mat<f64> {
        softmax_rows(features * &self.weight, &self.bias)
    }
}

/// Adds the bias to each row of the logits and makes probabilities of them. Column by column, as they lie in memory: with many
/// classes this is most of what a fit costs.
fn softmax_rows(mut logits: Mat<f64>, bias: &[f64]) -> Mat<f64> {
    let rows = logits.nrows();
    let (mut top, mut total) = (vec![f64::NEG_INFINITY; rows], vec![0.0; rows]);
    let mut each_column = |work: &mut dyn FnMut(&mut [f64], f64)| {
        for (class, &bias) in bias.iter().enumerate() {
            work(logits.col_as_slice_mut(class), bias);
        }
    };
    let vectors = Arch::new();
    each_column(&mut |values, bias| {
        vectors.dispatch(|| {
            for (value, top) in values.iter_mut().zip(&mut top) {
                *value += bias;
                *top = top.max(*value);
            }
        });
    });
    each_column(&mut |values, _| {
        vectors.dispatch(|| {
            for ((value, top), total) in values.iter_mut().zip(&top).zip(&mut total) {
                *value = exp_up_to_0(*value - top);
                *total += *value;
            }
        });
    });
    each_column(&mut |values, _| {
        vectors.dispatch(|| values.iter_mut().zip(&total).for_each(|(value, total)| *value /= total));
    });
    logits
}

/// eˣ for x up to 0, to the last digit or the one before it, in operations that compilers turn into vectors; 0 below −708, where
/// what is left soon has too few digits, and is slow to reckon with.
///
/// x = n·ln 2 + r with |r| at most half of ln 2, and eʳ by its series up to r¹³, whose rest is less than 10⁻¹⁷: even and odd powers
/// apart, so that one sum need not wait for the other.
#[inline(always)]
fn exp_up_to_0(x: f64) -> f64 {
    const LEAST: f64 = -708.0;
    /// ln 2 in two parts, the first with zeros at its end, so that its product with n is exact.
    const LN_2: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
    /// 3·2⁵¹: a sum with it has no place for fractions, and whole numbers stand in its last bits.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    const INVERSE_FACTORIALS: [f64; 14] = {
        let mut values = [1.0; 14];
        let mut n = 1;
        while n < 14 {
            values[n] = values[n - 1] / n as f64;
            n += 1;
        }
        values
    };
    let sum = x * std::f64::consts::LOG2_E + WHOLE;
    let n = sum - WHOLE;
    let rest = (x - n * LN_2.0) - n * LN_2.1;
    let square = rest * rest;
    let (mut even, mut odd) = (0.0, 0.0);
    for pair in INVERSE_FACTORIALS.chunks_exact(2).rev() {
        (even, odd) = (even * square + pair[0], odd * square + pair[1]);
    }
    let series = even + rest * odd;
    // 2ⁿ: n in the place of the exponent.
    let value = series * f64::from_bits((sum.to_bits() << 52).wrapping_add(1023 << 52));
    if x < LEAST { 0.0 } else { value }
}

struct Problem<'a> {
    features: Matrix<'a>,
    targets: &'a [u32],
    classes: usize,
    penalty: f64,
}

impl Problem<'_> {
    /// Values are the weights, class by class, and then the biases.
    fn value_and_slope(&self, values: &[f64]) -> (f64, Vec<f64>) {
        let (columns, rows) = (self.features.ncols(), self.targets.len().max(1) as f64);
        let (weight, bias) = values.split_at(columns * self.classes);
        let matrix = MatRef::from_column_major_slice(weight, columns, self.classes);
        let mut slopes = softmax_rows(self.features * matrix, bias);
        let mut loss = 0.0;
        for (row, &target) in self.targets.iter().enumerate() {
            let own = &mut slopes[(row, target as usize)];
            loss -= own.max(f64::MIN_POSITIVE).ln();
            *own -= 1.0;
        }
        let of_weight = self.features.transpose() * &slopes;
        let squares: f64 = weight.iter().map(|w| w * w).sum();
        let mut slope = Vec::with_capacity(values.len());
        for class in 0..self.classes {
            let own = &weight[class * columns..(class + 1) * columns];
            slope.extend(of_weight.col(class).iter().zip(own).map(|(s, w)| s / rows + self.penalty * w));
        }
        slope.extend((0..self.classes).map(|class| slopes.col(class).iter().sum::<f64>() / rows));
        (loss / rows + 0.5 * self.penalty * squares, slope)
    }
}

/// Minimises a smooth convex function from `values` on; gives the least value that was found.
pub(crate) fn minimise(values: &mut [f64], effort: Effort, function: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> f64 {
    let (mut value, mut slope) = function(values);
    let mut past: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for _ in 0..effort.steps {
        if slope.iter().all(|s| s.abs() <= effort.slope) {
            break;
        }
        let mut direction = descent(&slope, &past);
        let mut along = dot(&direction, &slope);
        if along >= 0.0 {
            // What is remembered has no use here.
            past.clear();
            direction = slope.iter().map(|s| -s).collect();
            along = -dot(&slope, &slope);
        }
        let first = if past.is_empty() { 1.0 / slope.iter().map(|s| s.abs()).sum::<f64>().max(1.0) } else { 1.0 };
        let Some((length, next, next_slope)) = step(values, &direction, value, along, first, &function) else { break };
        let moved: Vec<f64> = direction.iter().map(|d| length * d).collect();
        let bent: Vec<f64> = next_slope.iter().zip(&slope).map(|(a, b)| a - b).collect();
        values.iter_mut().zip(&moved).for_each(|(v, m)| *v += m);
        (value, slope) = (next, next_slope);
        if dot(&moved, &bent) > 1e-12 * dot(&bent, &bent) {
            past.push((moved, bent));
            if past.len() > MEMORY {
                past.remove(0);
            }
        }
    }
    value
}

/// The two loops of L-BFGS: minus the inverse Hessian, as far as is remembered, times the slope.
fn descent(slope: &[f64], past: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
    let mut direction: Vec<f64> = slope.iter().map(|s| -s).collect();
    let mut shares = Vec::with_capacity(past.len());
    for (moved, bent) in past.iter().rev() {
        let share = dot(moved, &direction) / dot(moved, bent);
        direction.iter_mut().zip(bent).for_each(|(d, b)| *d -= share * b);
        shares.push(share);
    }
    if let Some((moved, bent)) = past.last() {
        let scale = dot(moved, bent) / dot(bent, bent);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((moved, bent), share) in past.iter().zip(shares.iter().rev()) {
        let back = dot(bent, &direction) / dot(moved, bent);
        direction.iter_mut().zip(moved).for_each(|(d, m)| *d += (share - back) * m);
    }
    direction
}

/// A length along `direction` that lowers the value enough and flattens the slope (the weak Wolfe conditions), by
/// bisection; none when rounding hides any gain.
fn step(
    values: &[f64],
    direction: &[f64],
    value: f64,
    along: f64,
    first: f64,
    function: &impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Option<(f64, f64, Vec<f64>)> {
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    for _ in 0..40 {
        let there: Vec<f64> = values.iter().zip(direction).map(|(v, d)| v + length * d).collect();
        let (next, slope) = function(&there);
        if next.is_nan() || next > value + 1e-4 * length * along {
            high = length;
        } else if dot(&slope, direction) < 0.9 * along {
            low = length;
        } else {
            return Some((length, next, slope));
        }
        length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * length };
    }
    None
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_is_flat_and_does_not_depend_on_the_start() {
        let features = Mat::from_fn(30, 4, |row, column| ((row * 7 + column * 3) % 11) as f64 / 11.0);
        let targets: Vec<u32> = (0..30).map(|row| (row % 3) as u32).collect();
        let fit = |start: Option<&Logistic>| Logistic::fit(features.as_ref(), &targets, 3, 0.01, Effort::EXACT, start);
        let first = fit(None);
        let elsewhere =
            Logistic { weight: Mat::from_fn(4, 3, |i, j| (i + j) as f64), bias: vec![1.0, -1.0, 3.0], objective: 0.0 };
        let second = fit(Some(&elsewhere));
        assert!((first.objective - second.objective).abs() < 1e-10);
        assert!(first.objective < 3f64.ln());
        let problem = Problem { features: features.as_ref(), targets: &targets, classes: 3, penalty: 0.01 };
        let values: Vec<f64> = (0..3)
            .flat_map(|c| first.weight.col(c).iter().copied().collect::<Vec<_>>())
            .chain(first.bias.clone())
            .collect();
        let (value, slope) = problem.value_and_slope(&values);
        for place in 0..values.len() {
            let mut moved = values.clone();
            moved[place] += 1e-5;
            let (there, _) = problem.value_and_slope(&moved);
            assert!(((there - value) / 1e-5 - slope[place]).abs() < 1e-4, "slope {place}");
        }
    }

    #[test]
    fn exponentials_are_those_of_the_library() {
        let tried = (0..70_800).map(|place| -0.01 * f64::from(place) - 1e-3 * f64::from(place % 7));
        for x in tried.chain([-707.9999999, -708.0]).filter(|x| *x >= -708.0) {
            let (own, real) = (exp_up_to_0(x), x.exp());
            assert!((own - real).abs() <= 4e-16 * real, "e^{x}: {own:e}, {real:e}");
        }
        assert_eq!(exp_up_to_0((-708.0f64).next_down()), 0.0);
        assert_eq!(exp_up_to_0(0.0), 1.0);
        assert_eq!([-709.0, -1e300, f64::NEG_INFINITY].map(exp_up_to_0), [0.0; 3]);
        assert!(exp_up_to_0(f64::NAN).is_nan());
    }

    #[test]
    fn softmax_on_vectors_is_that_of_one_number_after_the_other() {
        let logits = Mat::from_fn(37, 11, |row, class| ((row * 31 + class * 17) % 23) as f64 - 9.0 * class as f64);
        let bias: Vec<f64> = (0..11).map(|class| 0.3 * class as f64).collect();
        let found = softmax_rows(logits.clone(), &bias);
        for row in 0..37 {
            let own: Vec<f64> = (0..11).map(|class| (logits[(row, class)] + bias[class]).exp()).collect();
            let total: f64 = own.iter().sum();
            for class in 0..11 {
                let expected = own[class] / total;
                assert!((found[(row, class)] - expected).abs() <= 1e-14 * expected, "row {row}, class {class}");
            }
        }
    }

    #[test]
    fn probabilities_add_up() {
        let features = Mat::from_fn(5, 2, |row, column| (row as f64 - 2.0) * 400.0 * (column as f64 + 1.0));
        let model = Logistic { weight: Mat::from_fn(2, 3, |i, j| (i * j) as f64), bias: vec![0.0; 3], objective: 0.0 };
        let probabilities = model.probabilities(features.as_ref());
        for row in 0..5 {
            let total: f64 = (0..3).map(|class| probabilities[(row, class)]).sum();
            assert!((total - 1.0).abs() < 1e-12);
        }
    }
}
