//! Files to rows to splits to tokens to batches.
//!
//! [`Dataset::read`] turns a CSV, TSV, JSON, CoNLL or plain text file into [`Example`]s, whose [`Label`]s stay as they stand;
//! [`TargetSpace`] says what a task makes of them: a class, any number of labels, numbers, a tag for each word. [`Strata`] and
//! [`hold_out`] part the rows, [`TokenizedTexts`] holds their tokens without padding, [`epoch_order`] says in which order
//! an epoch visits them and [`PackedBatch`] gathers the tokens of one step. For pre-training, [`Corpus::read`] turns raw
//! text into documents, [`TokenStore`] holds their tokens on disk and [`TokenStore::passages`] cuts them. Everything is a
//! pure function of the file and the seed. This crate does not print, writes no file but nameless temporary ones, and
//! knows nothing of models.

pub mod audit;
mod batch;
mod columns;
mod conll;
mod conll_columns;
mod corpus;
mod dataset;
mod encoder;
mod error;
mod example;
mod format;
mod from_records;
mod headerless;
mod hint;
mod hold_out;
mod json;
mod labels;
mod learnt;
mod list_text;
mod memory;
mod missing;
mod nearest;
mod normal;
mod open;
mod order;
mod parts;
mod random;
mod records;
mod role;
mod row_stream;
mod same_label;
mod table;
mod target_error;
mod targets;
mod tokenized;
mod unreadable;
mod windows;
mod word_pieces;
mod wording;

pub use batch::{PackedBatch, WordToken};
pub use columns::{ColumnNames, Columns, Labels};
pub use corpus::{
    Corpus, CorpusCounts, CorpusOptions, CorpusPart, CorpusSource, Documents, Passage, PassageOrder, Passages,
    TokenStore,
};
pub use dataset::Dataset;
pub use error::DataError;
pub use example::{Example, Label};
pub use format::Format;
pub use hold_out::{HoldOut, distinct_texts, folds, hold_out};
pub use labels::{LabelSet, label_variants, without_case};
pub use learnt::{Learnt, LearntRows, text_hash};
pub use missing::MissingLabels;
pub use normal::normalised;
pub use order::epoch_order;
pub use random::Stream;
pub use role::Role;
pub use row_stream::{ChooseColumns, RowStream, StreamedRow};
pub use same_label::{Respelled, respelled_note};
pub use target_error::{TargetError, WordPlace};
pub use targets::{
    Matrix, Strata, TagProblem, TagRows, TagScheme, TargetKind, TargetSpace, Targets, flag_names, recognise,
};
pub use tokenized::{FirstToken, TokenizedTexts};
pub use unreadable::missing_file;
pub use word_pieces::{for_words, split_words};
