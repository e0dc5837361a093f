//! What every family implements, and all that the rest of the program knows of a network: its blocks in order.
//!
//! What is done with the blocks is written once, above them: the hidden states of every layer, a frozen prefix and the
//! rest, the last layer of the tokens that are asked for. The heads and [`Model`](crate::Model) stand on that.

use std::fmt;

use topwork_engine::{ParameterId, Sequences, Tape, Value};

/// A network without its head: what turns tokens into vectors, and the layers above.
pub trait Backbone: fmt::Debug + Send + Sync {
    /// The number of layers; 0 is the lowest.
    fn layers(&self) -> usize;

    /// The width of what the layers pass on.
    fn hidden_size(&self) -> usize;

    /// The output of the embeddings, `[tokens, hidden]`.
    fn embed(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value;

    /// The output of layer `index` for the rows that ask, `[asking, hidden]`.
    fn block(&self, tape: &mut Tape<'_>, index: usize, input: BlockInput<'_>) -> Value;

    /// What follows the last layer, row by row, such as a norm: `[rows, hidden]` as `x`. Most families have nothing
    /// there.
    fn finish(&self, _tape: &mut Tape<'_>, x: Value) -> Value {
        x
    }

    /// The table of words `[vocab_size, hidden]`, which decodes the words of a masked-word head as well.
    fn word_table(&self) -> ParameterId;

    /// The embedding tables of which a batch touches few rows.
    fn sparse_tables(&self) -> Vec<ParameterId>;
}

/// The tokens of a batch on one axis, and where its sequences lie on it. Positions follow from the sequences, and each
/// family counts them in its own way.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// Token ids `[tokens]`.
    pub ids: &'a [u32],
    /// Segment of each token `[tokens]`: 1 for the second text of a pair. Families without segments do not read it.
    pub type_ids: &'a [u32],
    /// The bounds of the sequences.
    pub sequences: &'a Sequences,
}

/// What a layer reads.
#[derive(Debug)]
pub struct BlockInput<'a> {
    /// The rows whose output is wanted, `[asking, hidden]`.
    pub asking: Value,
    /// Where they belong: the same sequences, which hold these rows only.
    pub queries: &'a Sequences,
    /// The layer's whole input, `[tokens, hidden]`: what the rows attend to.
    pub x: Value,
    /// The bounds of the sequences of `x`.
    pub sequences: &'a Sequences,
}

impl<'a> BlockInput<'a> {
    /// Every row asks.
    pub fn whole(x: Value, sequences: &'a Sequences) -> Self {
        Self { asking: x.clone(), queries: sequences, x, sequences }
    }
}

/// Which tokens a head reads off the last layer: the others' outputs are not computed.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Their rows on the token axis, in ascending order; none for all of them.
    rows: Option<Vec<u32>>,
    /// The same tokens, as sequences.
    sequences: Sequences,
}

impl Asked {
    /// Every token.
    pub fn all(sequences: &Sequences) -> Self {
        Self { rows: None, sequences: sequences.clone() }
    }

    /// The first token of each sequence.
    ///
    /// # Panics
    /// When a sequence is empty.
    pub fn first_tokens(sequences: &Sequences) -> Self {
        Self { rows: Some(first_rows(sequences)), sequences: sequences.first_tokens() }
    }

    /// These rows of the token axis; in ascending order, none of them twice, and at least one of each sequence. With
    /// live dropout, what is dropped of a row depends on its place among the rows of its sequence that are asked for.
    ///
    /// # Panics
    /// When a row is no token of the sequences, the order is another, or a sequence has none.
    pub fn rows(rows: Vec<u32>, sequences: &Sequences) -> Self {
        assert!(rows.is_sorted_by(|a, b| a < b), "rows in ascending order");
        assert!(rows.last().is_none_or(|&row| (row as usize) < sequences.tokens()), "rows of the token axis");
        let below = |end: usize| rows.partition_point(|&row| (row as usize) < end);
        let offsets = (0..=sequences.len()).map(|s| match s {
            0 => 0,
            s => below(sequences.range(s - 1).end),
        });
        let sequences = sequences.with_offsets(offsets.collect());
        assert!((0..sequences.len()).all(|s| !sequences.range(s).is_empty()), "every sequence is asked");
        Self { rows: Some(rows), sequences }
    }

    /// These rows, and the first token of every sequence of which there is none among them: an empty question would
    /// leave a sequence without a row. Gives the places of `rows` among those that are asked for as well.
    ///
    /// # Panics
    /// As [`Asked::rows`], but a sequence may have none.
    pub(crate) fn with_first_tokens(rows: &[u32], sequences: &Sequences) -> (Self, Vec<u32>) {
        assert!(rows.is_sorted_by(|a, b| a < b), "rows in ascending order");
        let lacks = |s: &usize| {
            let range = sequences.range(*s);
            rows.partition_point(|&row| (row as usize) < range.start)
                == rows.partition_point(|&row| (row as usize) < range.end)
        };
        let firsts = (0..sequences.len()).filter(lacks).map(|s| sequences.range(s).start as u32);
        let mut all: Vec<u32> = rows.iter().copied().chain(firsts).collect();
        all.sort_unstable();
        let places = places(&all, rows);
        (Self::rows(all, sequences), places)
    }

    /// Where the asked tokens belong: as many sequences, which hold these tokens only.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// The asked rows of `hidden` `[tokens, hidden]`.
    fn of(&self, tape: &mut Tape<'_>, hidden: Value) -> Value {
        match &self.rows {
            Some(rows) => tape.rows(&hidden, rows),
            None => hidden,
        }
    }
}

/// The row of each sequence's first token.
pub(crate) fn first_rows(sequences: &Sequences) -> Vec<u32> {
    (0..sequences.len()).map(|sequence| sequences.range(sequence).start as u32).collect()
}

/// The place of each of `rows` in `all`, which is in ascending order.
pub(crate) fn places(all: &[u32], rows: &[u32]) -> Vec<u32> {
    rows.iter().map(|&row| all.partition_point(|&other| other < row) as u32).collect()
}

impl dyn Backbone + '_ {
    /// The output of the embeddings and of each layer, `[tokens, hidden]` each, as `output_hidden_states` in
    /// `transformers`: what follows the last layer is in the last.
    pub fn hidden_states(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Vec<Value> {
        let mut states = vec![self.embed(tape, tokens)];
        for index in 0..self.layers() {
            let last = states[index].clone();
            states.push(self.block(tape, index, BlockInput::whole(last, tokens.sequences)));
        }
        if let Some(last) = states.pop() {
            states.push(self.finish(tape, last));
        }
        states
    }

    /// The output of the embeddings and the lowest `layers` layers, `[tokens, hidden]`.
    ///
    /// # Panics
    /// When there are fewer layers.
    pub fn hidden_below(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>, layers: usize) -> Value {
        let mut hidden = self.embed(tape, tokens);
        for index in 0..layers {
            hidden = self.block(tape, index, BlockInput::whole(hidden, tokens.sequences));
        }
        hidden
    }

    /// The network's output for the tokens that are asked for, `[asked, hidden]`.
    ///
    /// Of the last layer only these are computed, because nothing reads the others: in MiniLM's classifier this saves a
    /// seventh of a step.
    pub fn last_hidden_state(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>, asked: &Asked) -> Value {
        let embedded = self.embed(tape, tokens);
        self.above(tape, 0, embedded, tokens.sequences, asked)
    }

    /// As `last_hidden_state`, from the output `hidden` `[tokens, hidden]` of the lowest
    /// `layers` layers on.
    ///
    /// # Panics
    /// When there are fewer layers.
    pub fn above(
        &self,
        tape: &mut Tape<'_>,
        layers: usize,
        mut hidden: Value,
        sequences: &Sequences,
        asked: &Asked,
    ) -> Value {
        let count = self.layers();
        assert!(layers <= count, "a network of {count} layers has not {layers}");
        if layers == count {
            let asked = asked.of(tape, hidden);
            return self.finish(tape, asked);
        }
        let last = count - 1;
        for index in layers..last {
            hidden = self.block(tape, index, BlockInput::whole(hidden, sequences));
        }
        let asking = asked.of(tape, hidden.clone());
        let input = BlockInput { asking, queries: &asked.sequences, x: hidden, sequences };
        let output = self.block(tape, last, input);
        self.finish(tape, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_without_a_question_is_asked_for_its_first_token() {
        let sequences = Sequences::new(vec![0, 3, 5, 9], vec![1, 2, 3]);
        let (asked, places) = Asked::with_first_tokens(&[1, 6, 8], &sequences);
        assert_eq!(asked.rows, Some(vec![1, 3, 6, 8]));
        assert_eq!(places, [0, 2, 3]);
        assert_eq!((0..3).map(|s| asked.sequences().range(s)).collect::<Vec<_>>(), [0..1, 1..2, 2..4]);
        let (asked, places) = Asked::with_first_tokens(&[0, 4, 5], &sequences);
        assert_eq!((asked.rows, places), (Some(vec![0, 4, 5]), vec![0, 1, 2]), "nothing is added where all are asked");
    }
}
