//! The optimal transport dataset distance between two labelled sets (Alvarez-Melis and Fusi, "Geometric Dataset Distances
//! via Optimal Transport", NeurIPS 2020).

use faer::Mat;

use super::frechet::{covariance, covariance_distance};
use super::{is_pair, stacked};
use crate::matrix::{Matrix, column_means, principal_components, rows_by_class, select_rows, squared_distances};

/// The entropy of the transport, as a part of the mean cost.
const ENTROPY: f64 = 0.05;
/// Rounds of balancing at most.
const ROUNDS: usize = 500;

/// Rows and their classes.
#[derive(Clone, Copy)]
pub struct LabelledRows<'a> {
    /// `[rows, columns]`; few columns, because each class is a Gaussian of them.
    pub features: Matrix<'a>,
    /// The class of each row.
    pub classes: &'a [u32],
}

/// Components that classes are Gaussians of: each class has few rows.
const COMPONENTS: usize = 16;

/// [`otdd`] along the directions of most variance of both together, at most 16.
pub fn otdd_of_components(a: LabelledRows<'_>, b: LabelledRows<'_>) -> Option<f64> {
    if !is_pair(a.features, b.features) {
        return None;
    }
    let both = principal_components(stacked(a.features, b.features).as_ref(), 1.0, COMPONENTS)?;
    let (first, second) = both.as_ref().split_at_row(a.features.nrows());
    otdd(LabelledRows { features: first, classes: a.classes }, LabelledRows { features: second, classes: b.classes })
}

/// The debiased Sinkhorn divergence with the cost d(x, x′)² + W₂²(class of x, class of x′), where classes are compared as
/// Gaussians; 0 for a set and itself. None for sets that cannot be compared.
pub fn otdd(a: LabelledRows<'_>, b: LabelledRows<'_>) -> Option<f64> {
    if !is_pair(a.features, b.features)
        || a.features.nrows() != a.classes.len()
        || b.features.nrows() != b.classes.len()
    {
        return None;
    }
    let between = cost(a, b)?;
    let mean = (0..between.ncols()).flat_map(|j| between.col(j).iter().copied()).sum::<f64>()
        / (between.nrows() * between.ncols()) as f64;
    if mean <= 0.0 {
        return Some(0.0);
    }
    let entropy = ENTROPY * mean;
    let own = |set| Some(transport(cost(set, set)?.as_ref(), entropy));
    Some((transport(between.as_ref(), entropy) - 0.5 * (own(a)? + own(b)?)).max(0.0))
}

struct Gaussian {
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

fn cost(a: LabelledRows<'_>, b: LabelledRows<'_>) -> Option<Mat<f64>> {
    let gaussians = |set: LabelledRows<'_>| -> (Vec<Gaussian>, Vec<usize>) {
        let mut place = vec![0; set.classes.len()];
        let classes = rows_by_class(set.classes);
        let gaussian = |(number, rows): (usize, &Vec<usize>)| {
            rows.iter().for_each(|&row| place[row] = number);
            let rows = select_rows(set.features, rows);
            Gaussian { mean: column_means(rows.as_ref()), covariance: covariance(rows.as_ref()) }
        };
        let gaussians = classes.iter().enumerate().map(gaussian).collect();
        (gaussians, place)
    };
    let ((of_a, place_a), (of_b, place_b)) = (gaussians(a), gaussians(b));
    let mut classes = Mat::zeros(of_a.len(), of_b.len());
    for (i, one) in of_a.iter().enumerate() {
        for (j, other) in of_b.iter().enumerate() {
            let means: f64 = one.mean.iter().zip(&other.mean).map(|(x, y)| (x - y).powi(2)).sum();
            let shapes = covariance_distance(one.covariance.as_ref(), other.covariance.as_ref())?;
            classes[(i, j)] = means + shapes.max(0.0);
        }
    }
    let squares = squared_distances(a.features, b.features);
    Some(Mat::from_fn(squares.nrows(), squares.ncols(), |i, j| squares[(i, j)] + classes[(place_a[i], place_b[j])]))
}

/// The value of entropic transport between uniform weights by Sinkhorn's iterations on logarithms: the dual at its end.
fn transport(cost: Matrix<'_>, entropy: f64) -> f64 {
    let (rows, columns) = (cost.nrows(), cost.ncols());
    let (log_rows, log_columns) = (-(rows as f64).ln(), -(columns as f64).ln());
    let (mut f, mut g) = (vec![0.0f64; rows], vec![0.0f64; columns]);
    let soft_minimum = |terms: &mut dyn Iterator<Item = f64>| {
        let terms: Vec<f64> = terms.collect();
        let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + terms.iter().map(|term| (term - top).exp()).sum::<f64>().ln()
    };
    for _ in 0..ROUNDS {
        let mut moved = 0.0f64;
        for (i, own) in f.iter_mut().enumerate() {
            let next =
                -entropy * soft_minimum(&mut (0..columns).map(|j| log_columns + (g[j] - cost[(i, j)]) / entropy));
            moved = moved.max((next - *own).abs());
            *own = next;
        }
        for (j, own) in g.iter_mut().enumerate() {
            *own = -entropy * soft_minimum(&mut (0..rows).map(|i| log_rows + (f[i] - cost[(i, j)]) / entropy));
        }
        if moved < 1e-6 * entropy {
            break;
        }
    }
    f.iter().sum::<f64>() / rows as f64 + g.iter().sum::<f64>() / columns as f64
}
