//! How far tuning has moved weights.

/// ‖after − before‖ / ‖before‖ of a tensor's values, in f64: 0 when nothing moved, 1 when it moved as far as it is long.
///
/// A tensor that was zero has no length to compare with: 1 when it moved, 0 when it did not, so that finite values never have
/// an infinite drift. Both are equally long; what a wrong length leaves over is not counted. NaN when a value is NaN.
pub fn relative_drift(before: &[f32], after: &[f32]) -> f64 {
    let (mut moved, mut own) = (0.0, 0.0);
    for (&before, &after) in before.iter().zip(after) {
        let (before, after) = (f64::from(before), f64::from(after));
        moved += (after - before).powi(2);
        own += before.powi(2);
    }
    match (moved == 0.0, own == 0.0) {
        (true, _) => 0.0,
        (false, true) if moved.is_nan() => f64::NAN,
        (false, true) => 1.0,
        (false, false) => (moved / own).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_the_part_of_its_length_that_a_tensor_moved() {
        assert_eq!(relative_drift(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        // 2 of a length of 5.
        assert!((relative_drift(&[3.0, 4.0], &[5.0, 4.0]) - 0.4).abs() < 1e-12);
        assert_eq!(relative_drift(&[3.0, 4.0], &[0.0, 0.0]), 1.0);
        assert_eq!(relative_drift(&[3.0, 4.0], &[-3.0, -4.0]), 2.0);
    }

    #[test]
    fn drift_has_no_unit() {
        let (before, after) = ([0.3, -0.7, 1.1], [0.4, -0.6, 1.0]);
        let scaled = |values: [f32; 3]| values.map(|value| 1024.0 * value);
        let (own, other) = (relative_drift(&before, &after), relative_drift(&scaled(before), &scaled(after)));
        assert!(own > 0.1 && (own - other).abs() < 1e-12, "{own} and {other}");
    }

    #[test]
    fn drift_of_finite_values_is_finite() {
        assert_eq!(relative_drift(&[], &[]), 0.0);
        assert_eq!(relative_drift(&[0.0, 0.0], &[0.0, 0.0]), 0.0);
        assert_eq!(relative_drift(&[0.0, 0.0], &[0.0, 1e-30]), 1.0);
        assert!(relative_drift(&[1e-45], &[f32::MAX]).is_finite());
        assert!(relative_drift(&[f32::MAX], &[f32::MIN]).is_finite());
        assert!(relative_drift(&[0.0], &[f32::NAN]).is_nan());
    }
}
