//! What a share of rows says of the share among all rows that there could be.

/// Of the normal distribution, 95 % lies within so many standard deviations of its mean.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share that was seen in so many rows (Wilson, "Probable Inference, the Law of Succession, and Statistical
/// Inference", 1927); 0 to 1 without rows.
pub fn wilson(share: f64, rows: usize) -> (f64, f64) {
    if rows == 0 {
        return (0.0, 1.0);
    }
    let rows = rows as f64;
    let widening = 1.0 + Z * Z / rows;
    let middle = (share + Z * Z / (2.0 * rows)) / widening;
    let reach = Z / widening * (share * (1.0 - share) / rows + Z * Z / (4.0 * rows * rows)).max(0.0).sqrt();
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
}
