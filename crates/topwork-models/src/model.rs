//! A backbone and a head, bound to parameters: what training and inference run.

use topwork_engine::{ParameterId, Parameters, Sequences, Tape, Value};

use crate::backbone::{Asked, Backbone, Tokens, first_rows, places};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::heads::{Branch, HeadDropout, HeadKind, HeadLayout, OutputLayer, Pooling};
use crate::layers::{Dropouts, Names};

/// How a model is put on its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelOptions {
    /// What stands on the backbone.
    pub head: HeadKind,
    /// What a head for sequences reads.
    pub pooling: Pooling,
    /// The rates of dropout while training.
    pub dropouts: Dropouts,
}

impl ModelOptions {
    /// That head on first tokens, without dropout.
    pub fn of(head: HeadKind) -> Self {
        Self { head, pooling: Pooling::FirstToken, dropouts: Dropouts::NONE }
    }
}

/// Where a forward pass starts.
#[derive(Debug)]
pub enum Input<'a> {
    /// With the tokens.
    Tokens(Tokens<'a>),
    /// Above the lowest layers, from what [`Model::hidden_below`] gave of them.
    Hidden {
        /// How many layers are below.
        layers: usize,
        /// Their output, `[tokens, hidden]`.
        hidden: Value,
        /// The bounds of its sequences.
        sequences: &'a Sequences,
    },
}

impl<'a> From<&Tokens<'a>> for Input<'a> {
    fn from(tokens: &Tokens<'a>) -> Self {
        Self::Tokens(*tokens)
    }
}

impl<'a> Input<'a> {
    fn sequences(&self) -> &'a Sequences {
        match self {
            Self::Tokens(tokens) => tokens.sequences,
            Self::Hidden { sequences, .. } => sequences,
        }
    }
}

/// What the heads of pre-training say about a batch.
#[derive(Debug)]
pub struct PretrainingLogits {
    /// For each masked token, the words `[masked, vocab_size]`.
    pub words: Value,
    /// For each sequence, the pooled first token `[sequences, hidden]`; none without a pooler.
    pub pooled: Option<Value>,
    /// For each sequence, how its two passages belong together, `[sequences, 2]`; none without that head.
    pub pairs: Option<Value>,
}

/// A backbone with a head: which parameter goes where.
///
/// A model is bound for one kind of head. Asking it for what only another has is a mistake of the caller, and panics.
#[derive(Debug)]
pub struct Model {
    backbone: Box<dyn Backbone>,
    kind: HeadKind,
    pooling: Pooling,
    pooler: Option<Branch>,
    main: Branch,
    pairs: Option<Branch>,
    /// What the outputs are put in while training.
    output_scale: Option<OutputScale>,
}

/// The unit of outputs: each is what the head gives times its `scale` plus its `shift`. The head is trained on numbers of
/// mean 0 and deviation 1, and predicts in the unit of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputScale {
    /// `[outputs]`
    pub scale: Vec<f32>,
    /// `[outputs]`
    pub shift: Vec<f32>,
}

impl Model {
    /// Binds the model to `parameters`, which bear the names of [`ModelConfig::specs`].
    ///
    /// # Errors
    /// When the family has no such head, or a parameter is missing.
    pub fn bind(config: &ModelConfig, parameters: &Parameters, options: ModelOptions) -> Result<Self, ModelError> {
        let backbone = config.encoder().backbone(parameters, options.dropouts)?;
        Self::on(backbone, &config.head(options.head)?, parameters, options)
    }

    /// Puts a head on any backbone.
    ///
    /// # Errors
    /// When a parameter of the head is missing.
    pub fn on(
        backbone: Box<dyn Backbone>,
        layout: &HeadLayout,
        parameters: &Parameters,
        options: ModelOptions,
    ) -> Result<Self, ModelError> {
        let names = Names(parameters);
        let word_table = backbone.word_table();
        let branch = |parts: &[_]| Branch::bind(parts, names, word_table, options.dropouts.head);
        let if_there = |parts: &[_]| (!parts.is_empty()).then(|| branch(parts)).transpose();
        Ok(Self {
            kind: options.head,
            pooling: options.pooling,
            pooler: if_there(&layout.pooler)?,
            main: branch(&layout.main)?,
            pairs: if_there(&layout.pairs)?,
            backbone,
            output_scale: None,
        })
    }

    /// Puts the outputs of a head for sequences in this unit.
    pub fn set_output_scale(&mut self, scale: OutputScale) {
        self.output_scale = Some(scale);
    }

    /// Puts the outputs in this unit, and takes it out of the weights of an output layer that has it in them: the outputs stay
    /// as they were, but for rounding. It undoes [`Model::fold_output_scale`].
    pub fn unfold_output_scale(&mut self, parameters: &mut Parameters, scale: OutputScale) {
        if let Some(output) = self.output() {
            let weight = &mut parameters.get_mut(output.weight).values;
            let columns = weight.len() / scale.scale.len().max(1);
            for (row, scale) in weight.chunks_exact_mut(columns.max(1)).zip(&scale.scale) {
                row.iter_mut().for_each(|value| *value /= scale);
            }
            if let Some(bias) = output.bias {
                let bias = parameters.get_mut(bias).values.iter_mut();
                bias.zip(&scale.scale)
                    .zip(&scale.shift)
                    .for_each(|((bias, scale), shift)| *bias = (*bias - shift) / scale);
            }
        }
        self.output_scale = Some(scale);
    }

    /// Takes the unit of the outputs into the weights of the output layer, so that a model without a unit gives the same
    /// outputs, but for rounding: `transformers` knows none.
    pub fn fold_output_scale(&mut self, parameters: &mut Parameters) {
        let (Some(OutputScale { scale, shift }), Some(output)) = (self.output_scale.take(), self.output()) else {
            return;
        };
        let weight = &mut parameters.get_mut(output.weight).values;
        let columns = weight.len() / scale.len().max(1);
        for (row, scale) in weight.chunks_exact_mut(columns.max(1)).zip(&scale) {
            row.iter_mut().for_each(|value| *value *= scale);
        }
        if let Some(bias) = output.bias {
            let bias = parameters.get_mut(bias).values.iter_mut();
            bias.zip(&scale).zip(&shift).for_each(|((bias, scale), shift)| *bias = *bias * scale + shift);
        }
    }

    /// The network below the head.
    pub fn backbone(&self) -> &dyn Backbone {
        &*self.backbone
    }

    /// The kind of its head.
    pub fn kind(&self) -> HeadKind {
        self.kind
    }

    /// What a head for sequences reads.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// The number of layers.
    pub fn layers(&self) -> usize {
        self.backbone.layers()
    }

    /// The embedding tables of which a batch touches few rows. The words' table is not among them where it decodes
    /// words as well: every word gets a gradient from there.
    pub fn sparse_tables(&self) -> Vec<ParameterId> {
        let decoder = self.main.output().map(|output| output.weight);
        self.backbone.sparse_tables().into_iter().filter(|table| Some(*table) != decoder).collect()
    }

    /// The output layer: of classes, labels, values or words.
    pub fn output(&self) -> Option<OutputLayer> {
        self.main.output()
    }

    /// The output of the embeddings and of each layer, `[tokens, hidden]` each, as `output_hidden_states` in
    /// `transformers`.
    pub fn hidden_states(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Vec<Value> {
        self.backbone().hidden_states(tape, tokens)
    }

    /// The output of the embeddings and the lowest `layers` layers, `[tokens, hidden]`: an [`Input::Hidden`].
    ///
    /// # Panics
    /// When there are fewer layers.
    pub fn hidden_below(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>, layers: usize) -> Value {
        self.backbone().hidden_below(tape, tokens, layers)
    }

    /// The pooled output of the backbone, `[sequences, hidden]`, below any head.
    ///
    /// # Panics
    /// When a sequence is empty.
    pub fn pooled<'a>(&self, tape: &mut Tape<'_>, input: impl Into<Input<'a>>) -> Value {
        let input = input.into();
        let sequences = input.sequences();
        match self.pooling {
            Pooling::FirstToken => self.last(tape, input, &Asked::first_tokens(sequences)),
            Pooling::MeanTokens => {
                let hidden = self.last(tape, input, &Asked::all(sequences));
                standardised_means(tape, &hidden, sequences)
            }
        }
    }

    /// What the output layer of a head for sequences sees, without the head's dropout: `[sequences, hidden]`.
    ///
    /// # Panics
    /// When the head is of another kind, or a sequence is empty.
    pub fn features<'a>(&self, tape: &mut Tape<'_>, input: impl Into<Input<'a>>) -> Value {
        self.expect_sequences();
        let input = input.into();
        let sequences = input.sequences();
        let pooled = self.pooled(tape, input);
        self.main.features(tape, pooled, sequences, HeadDropout::Skipped)
    }

    /// As [`Model::features`], from the last of [`Model::hidden_states`].
    ///
    /// # Panics
    /// As [`Model::features`].
    pub fn features_of_last(&self, tape: &mut Tape<'_>, last: &Value, sequences: &Sequences) -> Value {
        self.expect_sequences();
        let pooled = match self.pooling {
            Pooling::FirstToken => tape.first_token(last, sequences),
            Pooling::MeanTokens => standardised_means(tape, last, sequences),
        };
        self.main.features(tape, pooled, sequences, HeadDropout::Skipped)
    }

    /// The outputs of a head for sequences, `[sequences, outputs]`.
    ///
    /// # Panics
    /// As [`Model::features`].
    pub fn logits<'a>(&self, tape: &mut Tape<'_>, input: impl Into<Input<'a>>) -> Value {
        self.expect_sequences();
        let input = input.into();
        let sequences = input.sequences();
        let pooled = self.pooled(tape, input);
        let outputs = self.main.run(tape, pooled, sequences);
        match &self.output_scale {
            Some(OutputScale { scale, shift }) => tape.affine(&outputs, scale, shift),
            None => outputs,
        }
    }

    /// What the output layer of a head for tokens sees at the rows `asked` of the token axis (ascending), without the
    /// head's dropout: `[asked, hidden]`.
    ///
    /// # Panics
    /// When the head is of another kind, a sequence is empty, or the rows are not ascending rows of the token axis.
    pub fn token_features<'a>(&self, tape: &mut Tape<'_>, input: impl Into<Input<'a>>, asked: &[u32]) -> Value {
        self.of_tokens(tape, input.into(), asked, |tape, hidden, sequences| {
            self.main.features(tape, hidden, sequences, HeadDropout::Skipped)
        })
    }

    /// The outputs of a head for tokens at the rows `asked` of the token axis (ascending), `[asked, labels]`.
    ///
    /// # Panics
    /// As [`Model::token_features`].
    pub fn token_logits<'a>(&self, tape: &mut Tape<'_>, input: impl Into<Input<'a>>, asked: &[u32]) -> Value {
        self.of_tokens(tape, input.into(), asked, |tape, hidden, sequences| self.main.run(tape, hidden, sequences))
    }

    /// The logits of words at the rows `masked` of the token axis (ascending), where alone the product with the
    /// vocabulary is paid, and those of the pairs.
    ///
    /// # Panics
    /// When the head is of another kind, a sequence is empty, or the rows are not ascending rows of the token axis.
    pub fn pretraining_logits<'a>(
        &self,
        tape: &mut Tape<'_>,
        input: impl Into<Input<'a>>,
        masked: &[u32],
    ) -> PretrainingLogits {
        assert!(matches!(self.kind, HeadKind::Pretraining { .. }), "{} predicts no words", self.kind);
        let input = input.into();
        let sequences = input.sequences();
        // The first tokens are asked for in any case: a sequence without a masked word has something to say, too.
        let firsts = first_rows(sequences);
        let mut asked: Vec<u32> = masked.iter().chain(&firsts).copied().collect();
        asked.sort_unstable();
        asked.dedup();
        let [masked, firsts] = [masked, &firsts].map(|rows| places(&asked, rows));
        let asked = Asked::rows(asked, sequences);
        let hidden = self.last(tape, input, &asked);
        let pooled = self.pooler.as_ref().map(|pooler| {
            let first = tape.rows(&hidden, &firsts);
            pooler.run(tape, first, sequences)
        });
        let pairs = self.pairs.as_ref().zip(pooled.clone());
        let pairs = pairs.map(|(pairs, pooled)| pairs.run(tape, pooled, sequences));
        let words = tape.rows(&hidden, &masked);
        drop(hidden);
        let words = self.main.run(tape, words, asked.sequences());
        PretrainingLogits { words, pooled, pairs }
    }

    /// The backbone's output for the tokens that are asked for.
    fn last(&self, tape: &mut Tape<'_>, input: Input<'_>, asked: &Asked) -> Value {
        match input {
            Input::Tokens(tokens) => self.backbone().last_hidden_state(tape, &tokens, asked),
            Input::Hidden { layers, hidden, sequences } => {
                self.backbone().above(tape, layers, hidden, sequences, asked)
            }
        }
    }

    fn of_tokens(
        &self,
        tape: &mut Tape<'_>,
        input: Input<'_>,
        rows: &[u32],
        run: impl FnOnce(&mut Tape<'_>, Value, &Sequences) -> Value,
    ) -> Value {
        assert!(matches!(self.kind, HeadKind::Token { .. }), "{} has no outputs for tokens", self.kind);
        let (asked, places) = Asked::with_first_tokens(rows, input.sequences());
        let hidden = self.last(tape, input, &asked);
        let all = run(tape, hidden, asked.sequences());
        if all.rows() == rows.len() { all } else { tape.rows(&all, &places) }
    }

    fn expect_sequences(&self) {
        assert!(matches!(self.kind, HeadKind::Sequence { .. }), "{} has no outputs for sequences", self.kind);
    }
}

/// The mean of each sequence's tokens, standardised: what the layer gives with which a model of this pooling is saved.
fn standardised_means(tape: &mut Tape<'_>, hidden: &Value, sequences: &Sequences) -> Value {
    let means = tape.sequence_means(hidden, sequences);
    tape.standardise(&means, f32::MIN_POSITIVE)
}
