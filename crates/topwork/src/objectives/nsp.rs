//! Next sentence (Devlin et al., "BERT", 2019): half of the second passages follow the first, half are of another
//! document.

use topwork_data::Stream;

use super::PairObjective;

/// `nsp`: 0 when the second passage is the next, 1 when it is a random one, as in `transformers`.
#[derive(Clone, Copy, Debug)]
pub struct NextSentence;

impl PairObjective for NextSentence {
    fn name(&self) -> &'static str {
        "nsp"
    }

    fn needs_partner(&self) -> bool {
        true
    }

    /// Both second passages are cut to the shorter one's length, whichever is taken: otherwise the length would give the
    /// answer away, because a passage fills its sequence and a random pair does not.
    fn pair<'a>(
        &self,
        (head, tail): (&'a [u32], &'a [u32]),
        partner: &'a [u32],
        random: &mut Stream,
    ) -> (&'a [u32], &'a [u32], u32) {
        let length = tail.len().min(partner.len());
        let relation = random.below(2) as u32;
        let second = if relation == 0 { tail } else { partner };
        (head, &second[..length], relation)
    }
}
