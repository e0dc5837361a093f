//! Documents cut into passages, in the order of the store or shuffled.

use std::collections::VecDeque;
use std::sync::Arc;

use super::tokens::{BlockDocuments, Stored, StoredDocument};
use crate::error::DataError;
use crate::random::Stream;

/// The order of passages, and where documents are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassageOrder {
    /// As the documents are stored, each cut from its beginning.
    AsStored,
    /// In an order that depends on seed and epoch. Blocks of about a megabyte come in a random order; of their passages
    /// `buffer` are held, of which a random one is next. In a document that is longer than one passage, the first passage
    /// and every eighth after it are of random length, so that another epoch cuts it elsewhere.
    Shuffled {
        /// Decides the order and the cuts.
        seed: u64,
        /// Decides them as well.
        epoch: u64,
        /// How many passages are held; zero counts as one.
        buffer: usize,
    },
}

/// Consecutive sentences of one document. A sentence longer than a passage is cut and goes on in the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The document's number in the store.
    pub document: u64,
    /// The tokens, at least one.
    pub ids: Vec<u32>,
    /// Where sentences end; the last end is the number of tokens.
    pub sentence_ends: Vec<u32>,
}

/// The passages of a [`TokenStore`](super::TokenStore).
#[derive(Debug)]
pub struct Passages {
    in_blocks: InBlocks,
    mixer: Option<Mixer>,
}

impl Passages {
    pub(super) fn new(stored: Arc<Stored>, max_tokens: usize, order: PassageOrder) -> Passages {
        let mut blocks: Vec<usize> = (0..stored.blocks()).collect();
        let (mut cuts, mut mixer) = (None, None);
        if let PassageOrder::Shuffled { seed, epoch, buffer } = order {
            let stream = |name| Stream::named(name, seed).nth(epoch);
            stream("order of blocks").shuffle(&mut blocks);
            cuts = Some(stream("cuts"));
            mixer = Some(Mixer { stream: stream("order of passages"), size: buffer.max(1), held: Vec::new() });
        }
        let blocks = blocks.into_iter();
        let (block, ready) = (BlockDocuments::default(), VecDeque::new());
        Passages { in_blocks: InBlocks { stored, max_tokens, cuts, blocks, block, ready }, mixer }
    }
}

impl Iterator for Passages {
    type Item = Result<Passage, DataError>;

    fn next(&mut self) -> Option<Result<Passage, DataError>> {
        match &mut self.mixer {
            Some(mixer) => mixer.next(&mut self.in_blocks),
            None => self.in_blocks.next(),
        }
    }
}

/// So many passages have one of random length at their head. At the beginning of a document alone it would not do:
/// from different places, cuts after as many sentences as fit soon fall on the same ones.
const STRETCH: usize = 8;

/// The passages of one block after the other.
#[derive(Debug)]
struct InBlocks {
    stored: Arc<Stored>,
    max_tokens: usize,
    /// Decides the lengths of passages, if some are random.
    cuts: Option<Stream>,
    blocks: std::vec::IntoIter<usize>,
    block: BlockDocuments,
    ready: VecDeque<Passage>,
}

impl Iterator for InBlocks {
    type Item = Result<Passage, DataError>;

    fn next(&mut self) -> Option<Result<Passage, DataError>> {
        loop {
            if let Some(passage) = self.ready.pop_front() {
                return Some(Ok(passage));
            }
            if let Some(document) = self.block.next() {
                let max_tokens = self.max_tokens;
                let cuts = self.cuts.as_ref().filter(|_| document.ids.len() > max_tokens);
                let mut cuts = cuts.map(|cuts| cuts.nth(document.number));
                let limit = |passage| match &mut cuts {
                    Some(cuts) if passage % STRETCH == 0 => 1 + cuts.below(max_tokens as u64) as usize,
                    _ => max_tokens,
                };
                cut(&document, max_tokens, limit, &mut self.ready);
                continue;
            }
            match self.stored.block(self.blocks.next()?) {
                Ok(block) => self.block = block,
                Err(error) => {
                    self.blocks = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A random one of the passages that are held is next, and the one after them takes its place.
#[derive(Debug)]
struct Mixer {
    stream: Stream,
    size: usize,
    held: Vec<Passage>,
}

impl Mixer {
    fn next(&mut self, passages: &mut InBlocks) -> Option<Result<Passage, DataError>> {
        while self.held.len() < self.size
            && let Some(passage) = passages.next()
        {
            match passage {
                Ok(passage) => self.held.push(passage),
                Err(error) => return Some(Err(error)),
            }
        }
        if self.held.is_empty() {
            return None;
        }
        let next = self.stream.below(self.held.len() as u64);
        Some(Ok(self.held.swap_remove(next as usize)))
    }
}

/// Cuts a document into passages of as many whole sentences as fit into the passage's limit. A sentence that fits into
/// `max_tokens` has a passage of its own rather than being cut; a longer one is cut at the limit.
fn cut(
    document: &StoredDocument<'_>,
    max_tokens: usize,
    mut limit_of: impl FnMut(usize) -> usize,
    into: &mut VecDeque<Passage>,
) {
    let mut passages = 0;
    let mut limit = limit_of(passages);
    // The passage is `start..stop` so far.
    let (mut start, mut stop) = (0, 0);
    let mut sentence_ends = Vec::new();
    let mut finish = |start: usize, stop: usize, sentence_ends: &mut Vec<u32>| {
        let (ids, sentence_ends) = (document.ids[start..stop].to_vec(), std::mem::take(sentence_ends));
        into.push_back(Passage { document: document.number, ids, sentence_ends });
        passages += 1;
        limit_of(passages)
    };
    for &end in document.sentence_ends {
        let end = end as usize;
        if stop > start && end - start > limit {
            limit = finish(start, stop, &mut sentence_ends);
            start = stop;
        }
        while end - start > max_tokens {
            sentence_ends.push(limit as u32);
            let cut = start + limit;
            limit = finish(start, cut, &mut sentence_ends);
            start = cut;
        }
        sentence_ends.push((end - start) as u32);
        stop = end;
    }
    finish(start, stop, &mut sentence_ends);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of passages and where their sentences end.
    fn lengths(sentences: &[u32], first: usize, max_tokens: usize) -> Vec<Vec<u32>> {
        let sentence_ends: Vec<u32> = sentences.iter().scan(0, |end, length| Some(add(end, *length))).collect();
        let ids: Vec<u32> = (0..sentence_ends.last().copied().unwrap_or(0)).collect();
        let mut passages = VecDeque::new();
        let document = StoredDocument { number: 3, ids: &ids, sentence_ends: &sentence_ends };
        cut(&document, max_tokens, |passage| if passage == 0 { first } else { max_tokens }, &mut passages);
        let whole: Vec<u32> = passages.iter().flat_map(|passage| passage.ids.clone()).collect();
        assert_eq!(whole, ids);
        for passage in &passages {
            assert!((1..=max_tokens).contains(&passage.ids.len()));
            assert_eq!(passage.sentence_ends.last().copied(), Some(passage.ids.len() as u32));
            assert!(passage.sentence_ends.is_sorted_by(|a, b| a < b));
        }
        passages.into_iter().map(|passage| passage.sentence_ends).collect()
    }

    fn add(end: &mut u32, length: u32) -> u32 {
        *end += length;
        *end
    }

    #[test]
    fn sentences_stay_whole_where_they_fit() {
        assert_eq!(lengths(&[3, 4, 2, 8], 8, 8), [vec![3, 7], vec![2], vec![8]]);
        assert_eq!(lengths(&[3, 4, 2], 20, 20), [[3, 7, 9]]);
    }

    #[test]
    fn a_longer_sentence_goes_on_in_the_next_passage() {
        assert_eq!(lengths(&[2, 11, 2, 9], 5, 5), [vec![2], vec![5], vec![5], vec![1, 3], vec![5], vec![4]]);
    }

    #[test]
    fn the_first_passage_may_be_shorter() {
        assert_eq!(lengths(&[2, 2, 2, 2, 2], 3, 6), [vec![2], vec![2, 4, 6], vec![2]]);
        // A sentence that fits into a passage is not cut for it.
        assert_eq!(lengths(&[5, 2, 2], 3, 6), [vec![5], vec![2, 4]]);
        assert_eq!(lengths(&[14], 3, 6), [[3], [6], [5]]);
    }

    #[test]
    fn every_way_to_cut_keeps_every_token() {
        for first in 1..=7 {
            for sentences in [[1, 1, 1, 1], [7, 7, 7, 7], [20, 1, 9, 3], [2, 30, 1, 1]] {
                lengths(&sentences, first, 7);
            }
        }
    }
}
