//! How alike two views of the same rows are (Kornblith et al., "Similarity of Neural Network Representations Revisited",
//! ICML 2019).

use faer::Mat;

use crate::matrix::{Matrix, centred, gram, outer_gram};

/// Linear centred kernel alignment ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of two matrices with the same rows, 0 to 1: the same up to
/// rotation and scale is 1. None for different numbers of rows, or when a view is constant.
pub fn linear_cka(x: Matrix<'_>, y: Matrix<'_>) -> Option<f64> {
    if x.nrows() != y.nrows() || x.nrows() < 2 {
        return None;
    }
    let (x, y) = (centred(x), centred(y));
    let both = y.transpose() * &x;
    let own = gram(x.as_ref()).norm_l2() * gram(y.as_ref()).norm_l2();
    (own > 0.0).then(|| both.squared_norm_l2() / own)
}

/// Linear CKA from the unbiased estimate of HSIC (Song et al., "Feature Selection via Dependence Maximization", JMLR 2012; for
/// CKA: Nguyen, Raghu and Kornblith, "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021). Where rows are fewer than
/// columns, [`linear_cka`] of unrelated views comes near 1; this is 0 on average, and a little below 0 by chance. None for
/// different numbers of rows, fewer than four, or when a view is constant.
pub fn linear_cka_debiased(x: Matrix<'_>, y: Matrix<'_>) -> Option<f64> {
    if x.nrows() != y.nrows() || x.nrows() < 4 {
        return None;
    }
    let [x, y] = [x, y].map(|view| without_diagonal(outer_gram(centred(view).as_ref())));
    let own = unbiased_hsic(&x, &x) * unbiased_hsic(&y, &y);
    (own > 0.0).then(|| (unbiased_hsic(&x, &y) / own.sqrt()).min(1.0))
}

fn without_diagonal(mut gram: Mat<f64>) -> Mat<f64> {
    (0..gram.nrows()).for_each(|row| gram[(row, row)] = 0.0);
    gram
}

/// HSIC of two kernels `[rows, rows]` without their diagonals, times rows · (rows − 3).
fn unbiased_hsic(k: &Mat<f64>, l: &Mat<f64>) -> f64 {
    let rows = k.nrows() as f64;
    let sums = |kernel: &Mat<f64>| -> Vec<f64> { (0..kernel.ncols()).map(|c| kernel.col(c).iter().sum()).collect() };
    let (k_sums, l_sums) = (sums(k), sums(l));
    let product: f64 =
        (0..k.ncols()).map(|c| k.col(c).iter().zip(l.col(c).iter()).map(|(a, b)| a * b).sum::<f64>()).sum();
    let (k_total, l_total): (f64, f64) = (k_sums.iter().sum(), l_sums.iter().sum());
    let crossed: f64 = k_sums.iter().zip(&l_sums).map(|(a, b)| a * b).sum();
    product + k_total * l_total / ((rows - 1.0) * (rows - 2.0)) - 2.0 * crossed / (rows - 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::Draws;

    fn noise(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
        let mut draws = Draws::new(seed);
        let mut features = Mat::zeros(rows, columns);
        for row in 0..rows {
            for column in 0..columns {
                features[(row, column)] = draws.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0;
            }
        }
        features
    }

    #[test]
    fn unrelated_views_of_few_rows_have_nothing_in_common() {
        let (x, y) = (noise(32, 384, 1), noise(32, 384, 2));
        assert!(linear_cka(x.as_ref(), y.as_ref()).unwrap() > 0.9, "the bias that is taken off");
        assert!(linear_cka_debiased(x.as_ref(), y.as_ref()).unwrap().abs() < 0.1);
    }

    #[test]
    fn a_view_is_itself_whatever_its_scale() {
        let x = noise(20, 5, 3);
        let scaled = Mat::from_fn(20, 5, |row, column| 7.0 * x[(row, column)] + 2.0);
        assert!((linear_cka_debiased(x.as_ref(), scaled.as_ref()).unwrap() - 1.0).abs() < 1e-9);
        let constant = Mat::from_fn(20, 5, |_, _| 1.0);
        assert_eq!(linear_cka_debiased(x.as_ref(), constant.as_ref()), None);
        assert_eq!(linear_cka_debiased(x.as_ref(), noise(19, 5, 3).as_ref()), None);
    }

    #[test]
    fn it_is_what_numpy_computes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/calibration.json");
        let fixture: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let view = |name: &str| -> Mat<f64> {
            let rows = fixture["neighbours"][name].as_array().unwrap();
            let columns = rows[0].as_array().unwrap().len();
            Mat::from_fn(rows.len(), columns, |row, column| rows[row][column].as_f64().unwrap())
        };
        let found = linear_cka_debiased(view("before").as_ref(), view("after").as_ref()).unwrap();
        let expected = fixture["neighbours"]["cka_debiased"].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}
