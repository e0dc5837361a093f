//! Where the sequences of a batch lie on the token axis.

/// The sequences of a batch, concatenated without padding: sequence `i` is the tokens `offsets[i]..offsets[i + 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequences {
    offsets: Vec<usize>,
    streams: Vec<u64>,
}

impl Sequences {
    /// Offsets `[sequences + 1]` that start at 0 and never decrease, and for each sequence a number that names its
    /// random stream: the same number gives the same dropout wherever the sequence stands.
    ///
    /// # Panics
    /// When the offsets do not start at 0, decrease, or do not fit the streams.
    pub fn new(offsets: Vec<usize>, streams: Vec<u64>) -> Self {
        assert_eq!(offsets.first(), Some(&0), "offsets start at 0");
        assert!(offsets.is_sorted(), "offsets never decrease");
        assert_eq!(offsets.len(), streams.len() + 1, "one stream a sequence");
        Self { offsets, streams }
    }

    /// The number of sequences.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The number of tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.offsets[self.streams.len()]
    }

    /// The tokens of sequence `index`.
    pub fn range(&self, index: usize) -> std::ops::Range<usize> {
        self.offsets[index]..self.offsets[index + 1]
    }

    /// The first token of each sequence, as sequences of one token with the same random streams.
    ///
    /// # Panics
    /// When a sequence is empty.
    pub fn first_tokens(&self) -> Self {
        assert!((0..self.len()).all(|s| !self.range(s).is_empty()), "every sequence has a first token");
        Self { offsets: (0..=self.len()).collect(), streams: self.streams.clone() }
    }

    /// As many sequences with the same random streams, which hold other tokens.
    ///
    /// # Panics
    /// As [`Sequences::new`].
    pub fn with_offsets(&self, offsets: Vec<usize>) -> Self {
        Self::new(offsets, self.streams.clone())
    }

    /// The name of the random stream of sequence `index`.
    pub(crate) fn stream(&self, index: usize) -> u64 {
        self.streams[index]
    }

    /// For each row of the token axis: its sequence's stream and its position in the sequence.
    pub(crate) fn token_keys(&self) -> Vec<(u64, u64)> {
        (0..self.len()).flat_map(|s| (0..self.range(s).len()).map(move |t| (self.streams[s], t as u64))).collect()
    }

    /// For matrices with one row a sequence: each sequence's stream.
    pub(crate) fn sequence_keys(&self) -> Vec<(u64, u64)> {
        self.streams.iter().map(|&stream| (stream, 0)).collect()
    }
}
