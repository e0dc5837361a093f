//! What more rows would bring (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017).

/// An error that falls as a power of the number of rows: error = a · rows^−b.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// The error at one row.
    pub a: f64,
    /// How fast it falls; 0 is not at all.
    pub b: f64,
}

impl PowerLaw {
    /// The law through `(rows, error)`, a straight line between the logarithms by least squares. None with fewer than two
    /// different numbers of rows, with an error of 0, or when the error does not fall.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.iter().any(|&(rows, error)| rows <= 0.0 || error <= 0.0 || !error.is_finite()) {
            return None;
        }
        let logs: Vec<(f64, f64)> = points.iter().map(|(rows, error)| (rows.ln(), error.ln())).collect();
        let count = logs.len() as f64;
        let (x, y) = (logs.iter().map(|p| p.0).sum::<f64>() / count, logs.iter().map(|p| p.1).sum::<f64>() / count);
        let spread: f64 = logs.iter().map(|p| (p.0 - x).powi(2)).sum();
        let slope = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
        (spread > 0.0 && slope < 0.0).then(|| Self { a: (y - slope * x).exp(), b: -slope })
    }

    /// The error at so many rows.
    pub fn error(&self, rows: f64) -> f64 {
        self.a * rows.powf(-self.b)
    }

    /// The rows at which the error is `error`.
    pub fn rows(&self, error: f64) -> f64 {
        (self.a / error).powf(1.0 / self.b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_is_found_again() {
        let law = PowerLaw { a: 2.0, b: 0.4 };
        let points: Vec<(f64, f64)> = [50.0, 100.0, 200.0].map(|rows| (rows, law.error(rows))).to_vec();
        let found = PowerLaw::fit(&points).unwrap();
        assert!((found.a - 2.0).abs() < 1e-9 && (found.b - 0.4).abs() < 1e-9);
        assert!((found.rows(found.error(700.0)) - 700.0).abs() < 1e-6);
        assert_eq!(PowerLaw::fit(&[(10.0, 0.1), (20.0, 0.2)]), None);
        assert_eq!(PowerLaw::fit(&[(10.0, 0.1), (10.0, 0.2)]), None);
    }
}
