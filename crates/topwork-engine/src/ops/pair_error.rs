//! How far the cosines of rows are from telling which rows belong together: 1 for two rows of a group, 0 for two of different groups
//! (Reimers and Gurevych, "Sentence-BERT", 2019; the loss of Tunstall et al., "Efficient Few-Shot Learning Without Prompts", 2022).

use super::binary_cross_entropy::Loss;
use crate::tape::{Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// The loss of cosines `[rows, rows]` between rows, where row `i` belongs to the group `groups[i]`: `[1, 1]`. It is the mean over
    /// pairs within a group of (1 − cosine)² and the mean over pairs of different groups of cosine², and of these two the mean; where
    /// there are pairs of one kind only, it is their mean. A row makes no pair with itself.
    ///
    /// # Panics
    /// When the cosines are not a square of one row a group.
    pub fn pair_error(&mut self, cosines: Value, groups: &[u32]) -> Value {
        let rows = groups.len();
        assert!(cosines.rows() == rows && cosines.columns() == rows, "a cosine for each two rows");
        let pairs = || (0..rows).flat_map(|a| (0..rows).filter(move |&b| b != a).map(move |b| (a, b)));
        let belong = |(a, b): (usize, usize)| groups[a] == groups[b];
        let (within, all) = (pairs().filter(|&pair| belong(pair)).count(), rows * rows.saturating_sub(1));
        let kinds = [within, all - within].into_iter().filter(|&count| count > 0).count().max(1) as f64;
        let [of_within, of_between] = [within, all - within].map(|count| 1.0 / (kinds * count.max(1) as f64));
        let mut gradient = self.take(rows, rows);
        gradient.values_mut().fill(0.0);
        let mut total = 0.0;
        for (a, b) in pairs() {
            let (wanted, weight) = if belong((a, b)) { (1.0, of_within) } else { (0.0, of_between) };
            let error = f64::from(cosines.values()[a * rows + b]) - wanted;
            total += weight * error * error;
            gradient.values_mut()[a * rows + b] = (2.0 * weight * error) as f32;
        }
        let loss = Tensor::from_values(&[total as f32], 1, 1);
        if !self.records(&[&cosines], &[]) {
            return self.constant(loss);
        }
        self.record(loss, Loss { logits: cosines.slot(), gradient })
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// The mean of the mean squared error of pairs within groups and that of pairs between them.
    pub(crate) fn pair_error(cosines: &[f64], groups: &[u32]) -> f64 {
        let rows = groups.len();
        let mut kinds: [Vec<f64>; 2] = Default::default();
        for (place, cosine) in cosines.iter().enumerate().filter(|(place, _)| place / rows != place % rows) {
            let together = groups[place / rows] == groups[place % rows];
            kinds[usize::from(together)].push((f64::from(u8::from(together)) - cosine).powi(2));
        }
        let means: Vec<f64> = kinds
            .iter()
            .filter(|errors| !errors.is_empty())
            .map(|errors| errors.iter().sum::<f64>() / errors.len() as f64)
            .collect();
        means.iter().sum::<f64>() / means.len() as f64
    }
}
