//! Sentence order (Lan et al., "ALBERT", 2020): two passages that follow each other, in their order or swapped.

use topwork_data::Stream;

use super::{Pair, PairObjective};
use crate::tasks::TaskDescription;

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "sop",
    aliases: &["sentence_order"],
    summary: "in which order two passages stand (pre-training)",
    data: "text files: `topwork pretrain --objective mlm,sop`",
    supervised: None,
};

/// `sop`: 0 in order, 1 swapped.
#[derive(Clone, Copy, Debug)]
pub struct SentenceOrder;

impl PairObjective for SentenceOrder {
    fn name(&self) -> &'static str {
        "sop"
    }

    fn needs_partner(&self) -> bool {
        false
    }

    fn pair<'a>(&self, (head, tail): (&'a [u32], &'a [u32]), _: &'a [u32], random: &mut Stream) -> Pair<'a> {
        match random.below(2) {
            0 => Pair::Joined(head, tail, 0),
            _ => Pair::Joined(tail, head, 1),
        }
    }
}
