//! The order in which an epoch visits the rows.

use crate::random::Stream;

/// A permutation of `0..n` that depends on `n`, `seed` and `epoch` alone, so that a resumed run sees the rows in the
/// order in which the uninterrupted one would have.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    Stream::named("epoch order", seed).nth(epoch).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_row_once() {
        for n in [0, 1, 2, 17, 1000] {
            let mut order = epoch_order(n, 3, 5);
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        assert_eq!(epoch_order(100, 1, 2), epoch_order(100, 1, 2));
        assert_ne!(epoch_order(100, 1, 2), epoch_order(100, 1, 3));
        assert_ne!(epoch_order(100, 1, 2), epoch_order(100, 2, 2));
    }
}
