//! What is asked of a model while it learns from plain text. An objective is a file here.
//!
//! [`mlm`] hides words and asks which they were. An objective for pairs ([`nsp`], [`sop`], [`contrastive`]) makes two
//! passages of the text and asks how they belong together; there is at most one of these, because a passage is cut in one
//! way, and BERT has one head for it.

pub mod contrastive;
pub mod mlm;
pub mod nsp;
pub mod sop;

use std::path::Path;

use crate::error::Error;
use tokenizers::Tokenizer;
use topwork_data::{Passage, Stream};
use topwork_models::{SpecialIds, continuations};

use mlm::Mlm;

/// The tokens that objectives deal with.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// The special tokens.
    pub special: SpecialIds,
    /// For each id, whether it stands for text: it may be hidden, and may stand in for another.
    pub is_text: Vec<bool>,
    /// For each id, whether it goes on a word that an earlier token began.
    pub continues: Vec<bool>,
    /// The ids that stand for text.
    pub texts: Vec<u32>,
}

impl Vocabulary {
    /// The tokens `continues.len()`, of which `special` and `others` are no text.
    pub fn new(special: SpecialIds, others: &[u32], continues: Vec<bool>) -> Self {
        let mut is_text = vec![true; continues.len()];
        let none = [Some(special.cls), Some(special.sep), Some(special.mask), special.pad, special.unk];
        for id in none.into_iter().flatten().chain(others.iter().copied()) {
            if let Some(is_text) = is_text.get_mut(id as usize) {
                *is_text = false;
            }
        }
        let texts = (0..is_text.len() as u32).filter(|&id| is_text[id as usize]).collect();
        Self { special, is_text, continues, texts }
    }
}

/// How two passages make a question.
pub trait PairObjective: Sync {
    /// The name, as it is said to users.
    fn name(&self) -> &'static str;

    /// Whether the question needs a passage of another document.
    fn needs_partner(&self) -> bool;

    /// Whether each passage of a pair is a sequence of its own, and the right second one is asked for among all that are at
    /// hand; otherwise one sequence holds both, and the head for pairs is asked.
    fn is_read_apart(&self) -> bool {
        false
    }

    /// Two runs of tokens. `own` is parted into `head` and `tail`; `partner` is the tail of a passage of another document.
    fn pair<'a>(&self, own: (&'a [u32], &'a [u32]), partner: &'a [u32], random: &mut Stream) -> Pair<'a>;
}

/// Two passages, and how they are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair<'a> {
    /// In one sequence, with the right answer, 0 or 1.
    Joined(&'a [u32], &'a [u32], u32),
    /// In a sequence each, one after the other: the second is the right one for the first among all that are asked about
    /// together.
    Apart(&'a [u32], &'a [u32]),
}

/// A sequence as the model sees it, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Token ids, with special tokens, some of them hidden.
    pub ids: Vec<u32>,
    /// 1 for the tokens of the second passage and the separator after it.
    pub type_ids: Vec<u32>,
    /// For each hidden token, in ascending order: its position and what it was.
    pub hidden: Vec<(u32, u32)>,
    /// How the passages belong together; none without an objective for pairs, where no other document is at hand, and where
    /// a passage is too short to be parted.
    pub relation: Option<u32>,
}

/// All that is asked.
pub struct Questions<'a> {
    /// The tokens.
    pub vocabulary: &'a Vocabulary,
    /// Which words are hidden; none hides none.
    pub mlm: Option<&'a Mlm>,
    /// How passages are paired; none gives each a sequence of its own.
    pub pair: Option<&'a dyn PairObjective>,
    /// The longest sequence, with special tokens.
    pub max_length: usize,
}

impl Questions<'_> {
    /// The longest passage for which there is room.
    pub fn max_passage(max_length: usize, has_pairs: bool) -> usize {
        max_length - if has_pairs { 3 } else { 2 }
    }

    /// As many questions a passage as it makes sequences; none of one that cannot be parted where two are needed. What is
    /// asked of the i-th is a function of the passages and of `random`'s i-th stream.
    pub fn ask(&self, passages: &[Passage], random: &Stream) -> Vec<Question> {
        let parts: Vec<usize> = (0..passages.len()).map(|i| cut(&passages[i], &mut random.nth(2 * i as u64))).collect();
        (0..passages.len())
            .flat_map(|i| {
                let mut random = random.nth(2 * i as u64 + 1);
                let mut questions = match self.pair {
                    None => vec![self.single(&passages[i].ids)],
                    Some(pair) => self.paired(pair, passages, &parts, i, &mut random),
                };
                if let Some(mlm) = self.mlm {
                    for question in &mut questions {
                        question.hidden = mlm.hide(&mut question.ids, self.vocabulary, &mut random);
                    }
                }
                questions
            })
            .collect()
    }

    fn single(&self, tokens: &[u32]) -> Question {
        let SpecialIds { cls, sep, .. } = self.vocabulary.special;
        let ids: Vec<u32> = [&[cls], tokens, &[sep]].concat();
        Question { type_ids: vec![0; ids.len()], ids, hidden: Vec::new(), relation: None }
    }

    fn paired(
        &self,
        pair: &dyn PairObjective,
        passages: &[Passage],
        parts: &[usize],
        own: usize,
        random: &mut Stream,
    ) -> Vec<Question> {
        let (head, tail) = passages[own].ids.split_at(parts[own]);
        let other = if pair.needs_partner() { partner(passages, own, random) } else { Some(own) };
        let (first, second, relation) = match other {
            Some(other) => match pair.pair((head, tail), &passages[other].ids[parts[other]..], random) {
                // An empty part would tell the answer, or leave nothing to tell it by.
                Pair::Joined(first, second, relation) => {
                    (first, second, (!first.is_empty() && !second.is_empty()).then_some(relation))
                }
                Pair::Apart(first, second) if first.is_empty() || second.is_empty() => return Vec::new(),
                Pair::Apart(first, second) => return vec![self.single(first), self.single(second)],
            },
            // All passages at hand are of one document: there is nothing to ask.
            None => (head, tail, None),
        };
        let SpecialIds { cls, sep, .. } = self.vocabulary.special;
        let ids: Vec<u32> = [&[cls], first, &[sep], second, &[sep]].concat();
        let mut type_ids = vec![0; first.len() + 2];
        type_ids.resize(ids.len(), 1);
        debug_assert!(ids.len() <= self.max_length, "{} tokens of {}", ids.len(), self.max_length);
        vec![Question { ids, type_ids, hidden: Vec::new(), relation }]
    }
}

/// Where a passage is parted in two: at the end of a sentence, or where it has one sentence, within it.
fn cut(passage: &Passage, random: &mut Stream) -> usize {
    let inner = &passage.sentence_ends[..passage.sentence_ends.len().saturating_sub(1)];
    match inner {
        [] if passage.ids.len() < 2 => passage.ids.len(),
        [] => 1 + random.below(passage.ids.len() as u64 - 1) as usize,
        inner => inner[random.below(inner.len() as u64) as usize] as usize,
    }
}

/// Another passage of another document, from a random place on.
fn partner(passages: &[Passage], own: usize, random: &mut Stream) -> Option<usize> {
    let start = random.below(passages.len() as u64) as usize;
    let mut others = (0..passages.len()).map(|i| (start + i) % passages.len());
    others.find(|&other| passages[other].document != passages[own].document)
}

/// The tokens of a model with `size` of them, as questions need them; `directory` is the model's, none for a new one.
pub(crate) fn vocabulary(tokenizer: &Tokenizer, directory: Option<&Path>, size: usize) -> Result<Vocabulary, Error> {
    let special = SpecialIds::find(tokenizer, directory)?;
    let mut continues = continuations(tokenizer);
    continues.truncate(size);
    let added = tokenizer.get_added_tokens_decoder();
    let others: Vec<u32> = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id).collect();
    Ok(Vocabulary::new(special, &others, continues))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 20 tokens: 0 to 4 are special, odd ids from 11 on go on a word.
    pub(crate) fn vocabulary() -> Vocabulary {
        let special = SpecialIds { pad: Some(0), unk: Some(1), cls: 2, sep: 3, mask: 4 };
        Vocabulary::new(special, &[], (0..20).map(|id| id > 10 && id % 2 == 1).collect())
    }

    /// Passages of three documents with sentences of two to five tokens.
    pub(crate) fn passages(count: usize) -> Vec<Passage> {
        let mut random = Stream::named("passages", 3);
        let mut passage = |i: usize| {
            let (mut ids, mut sentence_ends) = (Vec::new(), Vec::new());
            for _ in 0..1 + random.below(5) {
                ids.extend((0..2 + random.below(4)).map(|_| 5 + random.below(15) as u32));
                sentence_ends.push(ids.len() as u32);
            }
            Passage { document: i as u64 % 3, ids, sentence_ends }
        };
        (0..count).map(&mut passage).collect()
    }

    /// The first passage is told from the second by the tokens' types alone.
    fn parts(question: &Question) -> (Vec<u32>, Vec<u32>) {
        let of = |kind: u32| {
            let tokens = question.ids.iter().zip(&question.type_ids).filter(|(_, t)| **t == kind).map(|(id, _)| *id);
            tokens.filter(|&id| id >= 5).collect::<Vec<u32>>()
        };
        (of(0), of(1))
    }

    #[test]
    fn a_pair_is_the_passage_or_its_head_with_the_tail_of_another_document() {
        let (vocabulary, passages) = (vocabulary(), passages(60));
        let questions =
            Questions { vocabulary: &vocabulary, mlm: None, pair: Some(&nsp::NextSentence), max_length: 64 };
        let asked = questions.ask(&passages, &Stream::named("test", 1));
        let mut relations = [0, 0];
        for (question, own) in asked.iter().zip(&passages) {
            let (first, second) = parts(question);
            assert!(own.ids.starts_with(&first) && !first.is_empty() && !second.is_empty());
            let is_next = own.ids[first.len()..].starts_with(&second);
            let relation = question.relation.unwrap() as usize;
            relations[relation] += 1;
            if relation == 0 {
                assert!(is_next, "a continuation continues");
            } else {
                let from_another = passages.iter().any(|other| {
                    other.document != own.document
                        && other.ids.windows(second.len()).any(|window| window == second.as_slice())
                });
                assert!(from_another, "the other passage is of another document");
            }
        }
        assert!(relations.iter().all(|&count| count > 15), "{relations:?}");
    }

    /// Passages as those of long documents: sentences that end with token 5, as many as 125 tokens hold.
    fn full_passages(count: usize) -> Vec<Passage> {
        let mut random = Stream::named("full passages", 3);
        let mut passage = |i: usize| {
            let (mut ids, mut sentence_ends) = (Vec::new(), Vec::new());
            loop {
                let words = 4 + random.below(25) as usize;
                if ids.len() + words >= 125 {
                    break;
                }
                ids.extend((0..words).map(|_| 6 + random.below(14) as u32));
                ids.push(5);
                sentence_ends.push(ids.len() as u32);
            }
            Passage { document: i as u64 % 50, ids, sentence_ends }
        };
        (0..count).map(&mut passage).collect()
    }

    /// What can be seen without reading: how long the sequence is, how long its second part, whether it ends with a
    /// sentence. No rule that is learnt on one half of the questions answers the other half better than chance.
    #[test]
    fn nothing_but_the_words_gives_the_answer_away() {
        let vocabulary = vocabulary();
        let pair = Some(&nsp::NextSentence as &dyn PairObjective);
        let questions = Questions { vocabulary: &vocabulary, mlm: None, pair, max_length: 128 };
        let asked = questions.ask(&full_passages(16_000), &Stream::named("test", 5));
        let seen = |question: &Question| {
            let second = question.type_ids.iter().filter(|kind| **kind == 1).count();
            (question.ids.len() / 4, second / 4, question.ids[question.ids.len() - 2] == 5)
        };
        let (learnt, checked) = asked.split_at(8_000);
        let mut votes: std::collections::HashMap<_, i64> = std::collections::HashMap::new();
        for question in learnt {
            *votes.entry(seen(question)).or_default() += if question.relation == Some(1) { 1 } else { -1 };
        }
        let guess = |question: &Question| Some(u32::from(votes.get(&seen(question)).is_some_and(|votes| *votes > 0)));
        let right = checked.iter().filter(|question| guess(question) == question.relation).count();
        // Four standard deviations of a fair coin.
        assert!((right as f64 - 4_000.0).abs() < 180.0, "{right} of 8000 without reading");
    }

    #[test]
    fn where_there_is_no_other_document_nothing_is_asked_of_pairs() {
        let vocabulary = vocabulary();
        let mut alone = passages(8);
        alone.iter_mut().for_each(|passage| passage.document = 7);
        let pair = Some(&nsp::NextSentence as &dyn PairObjective);
        let questions = Questions { vocabulary: &vocabulary, mlm: None, pair, max_length: 64 };
        let asked = questions.ask(&alone, &Stream::named("test", 1));
        assert!(asked.iter().all(|question| question.relation.is_none()));
    }

    /// Were the lengths of right and wrong pairs told apart, the model could answer without reading.
    #[test]
    fn lengths_do_not_give_the_answer_away() {
        let (vocabulary, passages) = (vocabulary(), passages(6_000));
        let questions =
            Questions { vocabulary: &vocabulary, mlm: None, pair: Some(&nsp::NextSentence), max_length: 64 };
        let mut lengths = [Vec::new(), Vec::new()];
        for question in questions.ask(&passages, &Stream::named("test", 2)) {
            lengths[question.relation.unwrap() as usize].push(question.ids.len() as f64);
        }
        let moments = lengths.map(|lengths| {
            let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
            let variance = lengths.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / lengths.len() as f64;
            (mean, variance / lengths.len() as f64)
        });
        let [(a, va), (b, vb)] = moments;
        assert!((a - b).abs() < 4.0 * (va + vb).sqrt(), "{a} {b}");
    }

    #[test]
    fn swapped_passages_are_the_same_tokens_in_the_other_order() {
        let (vocabulary, passages) = (vocabulary(), passages(60));
        let pair = Some(&sop::SentenceOrder as &dyn PairObjective);
        let questions = Questions { vocabulary: &vocabulary, mlm: None, pair, max_length: 64 };
        let mut swapped = 0;
        for (question, own) in questions.ask(&passages, &Stream::named("test", 1)).iter().zip(&passages) {
            let (first, second) = parts(question);
            let joined = match question.relation {
                Some(0) => [first, second].concat(),
                _ => [second, first].concat(),
            };
            assert_eq!(joined, own.ids);
            swapped += question.relation.unwrap();
        }
        assert!((15..45).contains(&swapped), "{swapped}");
    }

    /// `[CLS] a [SEP] [SEP]` is in order and `[CLS] [SEP] a [SEP]` is not: the shape alone would tell.
    #[test]
    fn nothing_is_asked_of_a_passage_that_cannot_be_parted() {
        let (vocabulary, mut passages) = (vocabulary(), passages(8));
        passages[3].ids.truncate(1);
        passages[3].sentence_ends = vec![1];
        for pair in [&nsp::NextSentence as &dyn PairObjective, &sop::SentenceOrder] {
            let questions = Questions { vocabulary: &vocabulary, mlm: None, pair: Some(pair), max_length: 64 };
            let asked = questions.ask(&passages, &Stream::named("test", 1));
            assert!(asked[3].relation.is_none() && asked.iter().any(|question| question.relation.is_some()));
        }
    }

    #[test]
    fn passages_that_are_read_apart_are_the_two_parts_of_one() {
        let (vocabulary, mut passages) = (vocabulary(), passages(60));
        passages[3].ids.truncate(1);
        passages[3].sentence_ends = vec![1];
        let pair = Some(&contrastive::Contrastive as &dyn PairObjective);
        let questions = Questions { vocabulary: &vocabulary, mlm: None, pair, max_length: 64 };
        let asked = questions.ask(&passages, &Stream::named("test", 1));
        passages.remove(3);
        assert_eq!(asked.len(), 2 * passages.len(), "one token cannot be parted");
        for (pair, own) in asked.chunks(2).zip(&passages) {
            assert_eq!([parts(&pair[0]).0, parts(&pair[1]).0].concat(), own.ids);
            assert!(
                pair.iter().all(|question| question.relation.is_none() && question.type_ids.iter().all(|t| *t == 0))
            );
        }
    }

    #[test]
    fn questions_are_a_function_of_passages_and_stream() {
        let (vocabulary, passages) = (vocabulary(), passages(10));
        let mlm = Mlm::default();
        let questions = Questions { vocabulary: &vocabulary, mlm: Some(&mlm), pair: None, max_length: 64 };
        let ask = |seed| questions.ask(&passages, &Stream::named("test", seed));
        assert_eq!(ask(1), ask(1));
        assert_ne!(ask(1), ask(2));
    }
}
