//! Counter-based random numbers: a draw is a pure function of where it is used.
//!
//! Nothing is consumed in an order, so dropout is the same for any number of threads, for any order of the rows in a
//! batch, and whether a batch is computed at once or in parts.

/// Mixes 64 bits (the finaliser of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// 2014).
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A place in the model where dropout happens, and how often it drops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The probability that an element is dropped, in `[0, 1)`.
    pub probability: f32,
    /// Tells the dropout sites of a model apart; any number, different for each site.
    pub site: u32,
}

impl Dropout {
    /// Draws for one row of elements: `stream` names the sequence, `row` the position in it.
    pub(crate) fn row(self, stream: u64, row: u64) -> RowMask {
        let key = mix(mix(stream ^ (u64::from(self.site) << 40)).wrapping_add(row));
        RowMask {
            key: [key as u32, (key >> 32) as u32],
            threshold: (f64::from(self.probability) * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - self.probability),
        }
    }
}

/// The dropout factors of one row.
#[derive(Clone, Copy)]
pub(crate) struct RowMask {
    key: [u32; 2],
    threshold: u32,
    scale: f32,
}

impl RowMask {
    /// What element `column` is multiplied with: zero, or `1 / (1 − p)`.
    #[inline(always)]
    pub(crate) fn factor(self, column: u32) -> f32 {
        // Constants of "lowbias32" (C. Wellons, hash-prospector), with the second key between its rounds.
        let mut x = column ^ self.key[0];
        x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D) ^ self.key[1];
        x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
        x ^= x >> 16;
        if x >= self.threshold { self.scale } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_as_often_as_it_says_everywhere() {
        for probability in [0.1f32, 0.5] {
            let dropout = Dropout { probability, site: 3 };
            let mut by_column = [0usize; 64];
            for row in 0..20_000 {
                let mask = dropout.row(9, row);
                for (column, dropped) in by_column.iter_mut().enumerate() {
                    *dropped += usize::from(mask.factor(column as u32) == 0.0);
                }
            }
            for dropped in by_column {
                let share = dropped as f64 / 20_000.0;
                let deviation = (f64::from(probability) * (1.0 - f64::from(probability)) / 20_000.0).sqrt();
                assert!((share - f64::from(probability)).abs() < 5.0 * deviation, "{share} for {probability}");
            }
        }
    }

    #[test]
    fn neighbouring_rows_streams_and_sites_are_independent() {
        let dropout = Dropout { probability: 0.5, site: 1 };
        let other_site = Dropout { site: 2, ..dropout };
        let draw = |mask: RowMask| (0..10_000).map(move |c| mask.factor(c) > 0.0);
        let first = dropout.row(7, 0);
        for second in [dropout.row(7, 1), dropout.row(8, 0), other_site.row(7, 0)] {
            let agree = draw(first).zip(draw(second)).filter(|(a, b)| a == b).count();
            assert!((4_750..5_250).contains(&agree), "{agree} of 10000 agree");
        }
    }
}
