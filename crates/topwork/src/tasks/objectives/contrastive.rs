//! Which passage goes on this one, among all that are at hand (Logeswaran and Lee, "An efficient framework for learning
//! sentence representations", 2018). Next sentence asks the same of two passages that the model reads together; here it
//! reads them apart, so that what a passage is about must be in its pooled first token, which a classifier reads later.
//!
//! The right one of n passages is told by a softmax over cosines, with the temperature of Gao et al., "SimCSE" (2021).
//! Passages of the same document are among the wrong answers: they are the hard ones.

use topwork_data::Stream;

use super::{Pair, PairObjective};
use crate::tasks::TaskDescription;

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "contrastive",
    aliases: &[],
    summary: "which passage of the batch goes on another (pre-training)",
    data: "text files: `topwork pretrain --objective mlm,contrastive`",
    supervised: None,
};

/// The inverse of the temperature 0.05.
pub const SCALE: f32 = 20.0;

/// `contrastive`: a sequence for each passage, and the second belongs to the first.
#[derive(Clone, Copy, Debug)]
pub struct Contrastive;

impl PairObjective for Contrastive {
    fn name(&self) -> &'static str {
        "contrastive"
    }

    fn needs_partner(&self) -> bool {
        false
    }

    fn is_read_apart(&self) -> bool {
        true
    }

    fn pair<'a>(&self, (head, tail): (&'a [u32], &'a [u32]), _: &'a [u32], _: &mut Stream) -> Pair<'a> {
        Pair::Apart(head, tail)
    }
}
