//! What a share of rows says of the share among all rows that there could be.

use statrs::function::erf::erfc_inv;

/// Of the normal distribution, 95 % lies within so many standard deviations of its mean.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share that was seen in so many rows (Wilson, "Probable Inference, the Law of Succession, and Statistical
/// Inference", 1927); 0 to 1 without rows.
pub fn wilson(share: f64, rows: usize) -> (f64, f64) {
    at(share, rows, Z)
}

/// The same of the best of so many shares: the interval of each is that of 1 − 0.05 / `among` (Bonferroni).
pub fn wilson_among(share: f64, rows: usize, among: usize) -> (f64, f64) {
    at(share, rows, std::f64::consts::SQRT_2 * erfc_inv(0.05 / among.max(1) as f64))
}

fn at(share: f64, rows: usize, z: f64) -> (f64, f64) {
    if rows == 0 {
        return (0.0, 1.0);
    }
    let rows = rows as f64;
    let widening = 1.0 + z * z / rows;
    let middle = (share + z * z / (2.0 * rows)) / widening;
    let reach = z / widening * (share * (1.0 - share) / rows + z * z / (4.0 * rows * rows)).max(0.0).sqrt();
    ((middle - reach).max(0.0), (middle + reach).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_value_and_shrinks_with_rows() {
        // 81 of 263: Newcombe (1998), table I.
        let (low, high) = wilson(81.0 / 263.0, 263);
        assert!((low - 0.2553).abs() < 5e-4 && (high - 0.3662).abs() < 5e-4, "{low} {high}");
        assert!((wilson(1.0, 50).1 - 1.0).abs() < 1e-12);
        assert!(wilson(1.0, 50).0 < wilson(1.0, 500).0);
    }

    #[test]
    fn the_best_of_many_is_known_less_well() {
        let (one, many) = (wilson_among(0.7, 100, 1), wilson_among(0.7, 100, 20));
        assert!((one.0 - wilson(0.7, 100).0).abs() < 1e-6 && many.0 < one.0 && many.1 > one.1);
        // 3.0233 standard deviations hold all but 1 in 400.
        assert!((many.0 - at(0.7, 100, 3.0233).0).abs() < 1e-4);
    }
}
