//! Which documents are held out.

use super::duplicates::Fingerprint;
use crate::random::Stream;

/// Gives every document a number that depends on its words and the seed alone. Those with the lowest numbers are held
/// out: below a threshold that depends on the fraction alone, unless that would leave one part without a document.
pub(super) struct HeldOut {
    stream: Stream,
    threshold: u64,
    least: u64,
    greatest: u64,
    documents: u64,
    below: u64,
}

impl HeldOut {
    pub(super) fn new(fraction: f64, seed: u64) -> HeldOut {
        // The conversion saturates, also below zero, and takes what is not a number for zero.
        let threshold = (fraction * 2f64.powi(64)) as u64;
        let stream = Stream::named("held-out documents", seed);
        HeldOut { stream, threshold, least: u64::MAX, greatest: 0, documents: 0, below: 0 }
    }

    /// Counts a document in; returns its number.
    pub(super) fn add(&mut self, print: &Fingerprint) -> u64 {
        let number = self.stream.nth(print.exact as u64).next();
        self.least = self.least.min(number);
        self.greatest = self.greatest.max(number);
        self.documents += 1;
        self.below += u64::from(number < self.threshold);
        number
    }

    /// Documents of numbers below the first result are held out; how many, says the second.
    pub(super) fn finish(&self) -> (u64, u64) {
        match self.documents {
            0 | 1 => (0, 0),
            _ if self.threshold == 0 => (0, 0),
            _ if self.below == 0 => (self.least.saturating_add(1), 1),
            all if self.below == all => (self.greatest, all - 1),
            _ => (self.threshold, self.below),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_out(texts: &[String], fraction: f64, seed: u64) -> Vec<bool> {
        let mut held_out = HeldOut::new(fraction, seed);
        let numbers: Vec<u64> = texts.iter().map(|text| held_out.add(&Fingerprint::of(text))).collect();
        let (threshold, count) = held_out.finish();
        let held_out: Vec<bool> = numbers.iter().map(|&number| number < threshold).collect();
        assert_eq!(held_out.iter().filter(|&&held_out| held_out).count() as u64, count);
        held_out
    }

    #[test]
    fn the_fraction_is_met_and_both_parts_have_a_document() {
        let texts: Vec<String> = (0..2000).map(|i| format!("text {i}")).collect();
        let count = |texts, fraction| held_out(texts, fraction, 7).iter().filter(|&&held_out| held_out).count();
        assert!((160..240).contains(&count(&texts, 0.1)));
        for few in 2..20 {
            assert_eq!(count(&texts[..few], 1e-9), 1);
            assert_eq!(count(&texts[..few], 1.0), few - 1);
            assert_eq!(count(&texts[..few], 0.0), 0);
        }
        assert_eq!(count(&texts[..1], 0.5), 0);
        assert_eq!((count(&texts, f64::NAN), count(&texts, -1.0)), (0, 0));
    }

    #[test]
    fn other_documents_do_not_move_a_document() {
        let texts: Vec<String> = (0..400).map(|i| format!("text {i}")).collect();
        assert_eq!(held_out(&texts, 0.2, 1)[100..], held_out(&texts[100..], 0.2, 1));
        assert_ne!(held_out(&texts, 0.2, 1), held_out(&texts, 0.2, 2));
    }
}
