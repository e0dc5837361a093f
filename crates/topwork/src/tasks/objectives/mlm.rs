//! Masked words (Devlin et al., "BERT", 2019): some tokens are hidden, and the model says what they were.

use topwork_data::Stream;

use super::Vocabulary;
use crate::tasks::TaskDescription;

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "mlm",
    aliases: &["masked_lm", "masked_words"],
    summary: "hidden words, from plain text (pre-training)",
    data: "text files: `topwork pretrain`",
    supervised: None,
};

/// `mlm`: which tokens are hidden, and what stands in their place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mlm {
    /// The part of the tokens that is hidden; at least one is.
    pub probability: f64,
    /// What is hidden as one.
    pub unit: MaskUnit,
    /// What stands in the place of a hidden token.
    pub replacement: MaskReplacement,
}

/// What is hidden as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaskUnit {
    /// A token.
    Token,
    /// All tokens of a word, so that no rest of it gives it away.
    Word,
    /// Several words in a row (Joshi et al., "SpanBERT", 2020): lengths follow a geometric distribution with p = 0.2, up
    /// to ten words.
    Span,
}

impl MaskUnit {
    /// Every unit, in the order in which they are listed to users.
    pub const ALL: [Self; 3] = [Self::Token, Self::Word, Self::Span];

    /// The name, as it is said to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Word => "word",
            Self::Span => "span",
        }
    }
}

/// What stands in the place of a hidden token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaskReplacement {
    /// `[MASK]` for 80 %, a random token for 10 %, the token itself for 10 %.
    Mixed,
    /// Always `[MASK]`.
    Mask,
}

impl MaskReplacement {
    /// Every replacement, in the order in which they are listed to users.
    pub const ALL: [Self; 2] = [Self::Mixed, Self::Mask];

    /// The name, as it is said to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "80-10-10",
            Self::Mask => "mask",
        }
    }
}

impl Default for Mlm {
    fn default() -> Self {
        Self { probability: 0.15, unit: MaskUnit::Word, replacement: MaskReplacement::Mixed }
    }
}

impl Mlm {
    /// Hides tokens of a sequence; gives their positions, in ascending order, and what they were.
    pub fn hide(&self, ids: &mut [u32], vocabulary: &Vocabulary, random: &mut Stream) -> Vec<(u32, u32)> {
        let units = self.units(ids, vocabulary);
        let candidates: usize = units.iter().map(std::ops::Range::len).sum();
        if candidates == 0 {
            return Vec::new();
        }
        let wanted = ((candidates as f64 * self.probability).round() as usize).max(1);
        let mut positions: Vec<usize> = match self.unit {
            MaskUnit::Span => spans(&units, wanted, random),
            MaskUnit::Token | MaskUnit::Word => whole_units(&units, wanted, random),
        };
        positions.sort_unstable();
        let hide = |position: usize| {
            let was = ids[position];
            ids[position] = self.replace(was, vocabulary, random);
            (position as u32, was)
        };
        positions.into_iter().map(hide).collect()
    }

    /// The runs of tokens that are hidden as one.
    fn units(&self, ids: &[u32], vocabulary: &Vocabulary) -> Vec<std::ops::Range<usize>> {
        let mut units: Vec<std::ops::Range<usize>> = Vec::new();
        for (position, &id) in ids.iter().enumerate() {
            if !vocabulary.is_text[id as usize] {
                continue;
            }
            let goes_on = self.unit != MaskUnit::Token && vocabulary.continues[id as usize];
            match units.last_mut() {
                Some(last) if goes_on && last.end == position => last.end += 1,
                _ => units.push(position..position + 1),
            }
        }
        units
    }

    fn replace(&self, was: u32, vocabulary: &Vocabulary, random: &mut Stream) -> u32 {
        let draw = if self.replacement == MaskReplacement::Mixed { random.below(10) } else { 0 };
        match draw {
            8 => vocabulary.texts[random.below(vocabulary.texts.len() as u64) as usize],
            9 => was,
            _ => vocabulary.special.mask,
        }
    }
}

/// Units in random order until enough tokens are hidden; a unit that would hide too many is passed over, unless nothing
/// else is.
fn whole_units(units: &[std::ops::Range<usize>], wanted: usize, random: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..units.len()).collect();
    random.shuffle(&mut order);
    let mut hidden = Vec::new();
    for unit in order.iter().map(|&unit| units[unit].clone()) {
        if hidden.len() + unit.len() <= wanted {
            hidden.extend(unit);
        }
    }
    if hidden.is_empty() {
        hidden.extend(units[order[0]].clone().take(wanted));
    }
    hidden
}

/// Spans of words at random places until enough tokens are hidden.
fn spans(words: &[std::ops::Range<usize>], wanted: usize, random: &mut Stream) -> Vec<usize> {
    const LONGEST: usize = 10;
    let mut is_hidden = vec![false; words.len()];
    let mut hidden = Vec::new();
    while hidden.len() < wanted {
        let mut length = 1;
        while length < LONGEST && random.below(5) != 0 {
            length += 1;
        }
        let start = random.below(words.len() as u64) as usize;
        for word in start..(start + length).min(words.len()) {
            if hidden.len() < wanted && !std::mem::replace(&mut is_hidden[word], true) {
                hidden.extend(words[word].clone().take(wanted - hidden.len()));
            }
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::objectives::tests::{passages, vocabulary};

    fn each(check: impl Fn(&Mlm, &[u32], &[u32], &[(u32, u32)])) {
        let vocabulary = vocabulary();
        for unit in MaskUnit::ALL {
            for replacement in MaskReplacement::ALL {
                let mlm = Mlm { probability: 0.3, unit, replacement };
                for (i, passage) in passages(200).iter().enumerate() {
                    let original: Vec<u32> = [&[2], &passage.ids[..], &[3]].concat();
                    let mut ids = original.clone();
                    let hidden = mlm.hide(&mut ids, &vocabulary, &mut Stream::named("test", i as u64));
                    check(&mlm, &original, &ids, &hidden);
                }
            }
        }
    }

    #[test]
    fn what_is_hidden_is_remembered_and_nothing_else_changes() {
        each(|mlm, original, ids, hidden| {
            assert!(!hidden.is_empty() && hidden.is_sorted_by(|a, b| a.0 < b.0));
            let mut restored = ids.to_vec();
            for &(position, was) in hidden {
                assert!(was >= 5, "a special token was hidden");
                restored[position as usize] = was;
                if mlm.replacement == MaskReplacement::Mask {
                    assert_eq!(ids[position as usize], 4);
                }
            }
            assert_eq!(restored, original);
            let most = (0.3 * (original.len() - 2) as f64).round().max(1.0) as usize;
            assert!(hidden.len() <= most, "{hidden:?}");
        });
    }

    #[test]
    fn a_word_is_hidden_as_a_whole() {
        let vocabulary = vocabulary();
        each(|mlm, original, _, hidden| {
            let units = mlm.units(original, &vocabulary);
            let is_hidden = |position: usize| hidden.iter().any(|&(p, _)| p as usize == position);
            if mlm.unit == MaskUnit::Word && hidden.len() > 1 {
                for unit in units {
                    let first = is_hidden(unit.start);
                    assert!(unit.clone().all(|position| is_hidden(position) == first), "{unit:?} {hidden:?}");
                }
            }
        });
    }

    #[test]
    fn about_as_many_are_hidden_as_asked_and_replaced_as_in_bert() {
        let vocabulary = vocabulary();
        let mlm = Mlm { probability: 0.15, unit: MaskUnit::Token, replacement: MaskReplacement::Mixed };
        let mut ids: Vec<u32> = (0..40_000).map(|i| 5 + i % 15).collect();
        let original = ids.clone();
        let hidden = mlm.hide(&mut ids, &vocabulary, &mut Stream::named("test", 9));
        assert_eq!(hidden.len(), 6_000);
        let masked = hidden.iter().filter(|(p, _)| ids[*p as usize] == 4).count();
        let kept = hidden.iter().filter(|(p, _)| ids[*p as usize] == original[*p as usize]).count();
        assert!((4_680..4_920).contains(&masked), "{masked}");
        // A random token is the same one in fifteen times.
        assert!((560..720).contains(&kept), "{kept}");
    }
}
