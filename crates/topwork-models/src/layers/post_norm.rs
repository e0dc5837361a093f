//! The encoder of "Attention is all you need" (Vaswani et al., 2017) as BERT has it, with the norm after each residual
//! sum. Families give the names and sizes.

use topwork_engine::{Activation, EmbeddingTables, ParameterId, Parameters, Tape, Value};

use super::{Dropouts, Embeddings, FeedForward, Linear, Names, Positions, SelfAttention, SpecList, norm};
use crate::backbone::{Backbone, BlockInput, Tokens};
use crate::error::ModelError;
use crate::parameters::{Block, ParameterKind};

/// The names of the embeddings' parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableNames {
    pub(crate) word: &'static str,
    pub(crate) position: &'static str,
    /// None where types are not told apart.
    pub(crate) token_type: Option<&'static str>,
    pub(crate) norm: &'static str,
}

/// The names of a layer's parameters, after `prefix` and the layer's number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerNames {
    pub(crate) prefix: &'static str,
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    pub(crate) attention_output: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) wide: &'static str,
    pub(crate) narrow: &'static str,
    pub(crate) output_norm: &'static str,
}

impl LayerNames {
    /// The names that BERT has and others took over, with no prefix.
    pub(crate) const USUAL: Self = Self {
        prefix: "",
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        attention_output: "attention.output.dense",
        attention_norm: "attention.output.LayerNorm",
        wide: "intermediate.dense",
        narrow: "output.dense",
        output_norm: "output.LayerNorm",
    };
}

/// All that tells one post-norm encoder from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostNormShape {
    pub(crate) tables: TableNames,
    pub(crate) layer: LayerNames,
    pub(crate) vocab_size: usize,
    /// Rows of the table of positions.
    pub(crate) position_rows: usize,
    /// Rows of the table of types, where there is one.
    pub(crate) type_rows: usize,
    pub(crate) positions: Positions,
    pub(crate) pad_token_id: u32,
    pub(crate) hidden_size: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) activation: Activation,
    pub(crate) epsilon: f64,
    /// Whether the attention's output is dropped out before the residual sum.
    pub(crate) drops_attention_output: bool,
}

impl PostNormShape {
    /// Its parameters, from the input to the output.
    pub(crate) fn list(&self) -> SpecList {
        let mut list = SpecList::default();
        let hidden = self.hidden_size;
        let types = self.tables.token_type.map(|name| (name, self.type_rows));
        let tables = [(self.tables.word, self.vocab_size), (self.tables.position, self.position_rows)];
        for (table, rows) in tables.into_iter().chain(types) {
            let name = format!("{table}.weight");
            list.push(name, vec![rows, hidden], Block::Embeddings, ParameterKind::Embedding);
        }
        norm::list(&mut list, self.tables.norm, hidden, Block::Embeddings);
        for index in 0..self.layers {
            self.list_layer(&mut list, index);
        }
        list
    }

    pub(super) fn list_layer(&self, list: &mut SpecList, index: usize) {
        let (hidden, middle, block) = (self.hidden_size, self.intermediate_size, Block::Layer(index));
        let names = &self.layer;
        let name = |part: &str| format!("{}.{index}.{part}", names.prefix);
        for part in [names.query, names.key, names.value, names.attention_output] {
            Linear::list(list, &name(part), [hidden, hidden], block);
        }
        norm::list(list, &name(names.attention_norm), hidden, block);
        Linear::list(list, &name(names.wide), [middle, hidden], block);
        Linear::list(list, &name(names.narrow), [hidden, middle], block);
        norm::list(list, &name(names.output_norm), hidden, block);
    }

    /// Finds its parameters.
    ///
    /// # Errors
    /// When one is missing.
    pub(crate) fn bind(&self, parameters: &Parameters, dropouts: Dropouts) -> Result<PostNormEncoder, ModelError> {
        let names = Names(parameters);
        let table = |name: &str| names.id(&format!("{name}.weight"));
        let embeddings = Embeddings {
            // As `padding_idx` in `transformers`: what stands for nothing learns nothing, should a text spell it out.
            tables: EmbeddingTables {
                word: table(self.tables.word)?,
                position: table(self.tables.position)?,
                token_type: self.tables.token_type.map(table).transpose()?,
                fixed_word: Some(self.pad_token_id),
                fixed_position: self.positions.padding(),
            },
            positions: self.positions,
            norm: norm::bind(names, self.tables.norm, self.epsilon)?,
            dropout: dropouts.hidden,
        };
        let layers = (0..self.layers).map(|index| self.bind_layer(names, index, dropouts)).collect::<Result<_, _>>()?;
        Ok(PostNormEncoder { embeddings, layers, hidden_size: self.hidden_size })
    }

    fn bind_layer(&self, names: Names<'_>, index: usize, dropouts: Dropouts) -> Result<PostNormLayer, ModelError> {
        let name = |part: &str| format!("{}.{index}.{part}", self.layer.prefix);
        let linear = |part: &str| Linear::bind(names, &name(part));
        let norm = |part: &str| norm::bind(names, &name(part), self.epsilon);
        Ok(PostNormLayer {
            attention: SelfAttention {
                query: linear(self.layer.query)?,
                key: linear(self.layer.key)?,
                value: linear(self.layer.value)?,
                output: linear(self.layer.attention_output)?,
                norm: norm(self.layer.attention_norm)?,
                heads: self.heads,
                dropout: dropouts.attention,
                output_dropout: if self.drops_attention_output { dropouts.hidden } else { 0.0 },
            },
            feed_forward: FeedForward {
                wide: linear(self.layer.wide)?,
                activation: self.activation,
                narrow: linear(self.layer.narrow)?,
                norm: norm(self.layer.output_norm)?,
                dropout: dropouts.hidden,
            },
        })
    }
}

#[derive(Debug)]
struct PostNormLayer {
    attention: SelfAttention,
    feed_forward: FeedForward,
}

/// Embeddings and post-norm layers: which parameter goes where.
#[derive(Debug)]
pub(crate) struct PostNormEncoder {
    embeddings: Embeddings,
    layers: Vec<PostNormLayer>,
    hidden_size: usize,
}

impl Backbone for PostNormEncoder {
    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    fn embed(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        self.embeddings.apply(tape, tokens)
    }

    fn block(&self, tape: &mut Tape<'_>, index: usize, input: BlockInput<'_>) -> Value {
        let PostNormLayer { attention, feed_forward } = &self.layers[index];
        // Each layer has three sites of dropout; site 0 is the embeddings'.
        let site = 1 + 3 * index as u32;
        let queries = input.queries;
        let attended = attention.apply(tape, input, site);
        feed_forward.apply(tape, &attended, queries, site + 2)
    }

    fn word_table(&self) -> ParameterId {
        self.embeddings.tables.word
    }

    fn sparse_tables(&self) -> Vec<ParameterId> {
        vec![self.embeddings.tables.word, self.embeddings.tables.position]
    }
}
