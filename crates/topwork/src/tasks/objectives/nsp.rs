//! Next sentence (Devlin et al., "BERT", 2019): half of the second passages follow the first, half are of another
//! document.

use topwork_data::Stream;

use super::{Pair, PairObjective};
use crate::tasks::TaskDescription;

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "nsp",
    aliases: &["next_sentence"],
    summary: "whether a passage is the next one (pre-training)",
    data: "text files: `topwork pretrain --objective mlm,nsp`",
    supervised: None,
};

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

    /// Whichever second passage is taken, it is cut to a length below both: to between half and all of the shorter one,
    /// and never all of it. Otherwise its length and its end would give the answer away: a passage that goes on fills its
    /// sequence and ends with a sentence, a random one does neither.
    fn pair<'a>(&self, (head, tail): (&'a [u32], &'a [u32]), partner: &'a [u32], random: &mut Stream) -> Pair<'a> {
        let shorter = tail.len().min(partner.len());
        let least = shorter.div_ceil(2);
        let length = least + random.below((shorter - least).max(1) as u64) as usize;
        let relation = random.below(2) as u32;
        let second = if relation == 0 { tail } else { partner };
        Pair::Joined(head, &second[..length.min(shorter)], relation)
    }
}
