//! A head's list of parts bound to parameters, and the one function that runs it.

use topwork_engine::{Activation, Dropout, LayerNorm, ParameterId, Sequences, Tape, Value};

use super::Part;
use crate::error::ModelError;
use crate::layers::{Linear, Names, norm};

/// The parameters of an output layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLayer {
    /// `[outputs, hidden]`
    pub weight: ParameterId,
    /// `[outputs]`
    pub bias: Option<ParameterId>,
}

/// A list of parts, bound.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    parts: Vec<BoundPart>,
    output: Option<OutputLayer>,
}

#[derive(Debug)]
enum BoundPart {
    Dense(Linear, Activation),
    Norm(LayerNorm),
    Dropout(Dropout),
}

/// Whether the dropout of a head is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadDropout {
    /// As the tape's mode has it.
    Live,
    /// Left out, even in training.
    Skipped,
}

impl Branch {
    /// Binds `parts`; `word_table` is the weight of a tied output, `dropout` the rate of the head.
    ///
    /// # Errors
    /// When a parameter is missing.
    pub(crate) fn bind(
        parts: &[Part],
        names: Names<'_>,
        word_table: ParameterId,
        dropout: f32,
    ) -> Result<Self, ModelError> {
        let mut branch = Self::default();
        // The last place of dropout is the highest site, whatever stands before it.
        let mut dropouts = parts.iter().filter(|part| **part == Part::Dropout).count() as u32;
        for part in parts {
            match *part {
                Part::Dense { name, activation, .. } => {
                    branch.parts.push(BoundPart::Dense(Linear::bind(names, name)?, activation));
                }
                Part::Norm { name, epsilon } => {
                    branch.parts.push(BoundPart::Norm(norm::bind(names, name, epsilon)?));
                }
                Part::Dropout => {
                    dropouts -= 1;
                    let site = u32::MAX - dropouts;
                    branch.parts.push(BoundPart::Dropout(Dropout { probability: dropout, site }));
                }
                Part::Output { name, .. } => {
                    let Linear { weight, bias } = Linear::bind(names, name)?;
                    branch.output = Some(OutputLayer { weight, bias: Some(bias) });
                }
                Part::TiedOutput { bias, .. } => {
                    branch.output = Some(OutputLayer { weight: word_table, bias: Some(names.id(bias)?) });
                }
            }
        }
        Ok(branch)
    }

    /// The output layer; none in a list without one, such as a pooler.
    pub(crate) fn output(&self) -> Option<OutputLayer> {
        self.output
    }

    /// Runs all parts on `x` `[rows, hidden]`, whose rows are the tokens of `sequences`, or one for each of them.
    pub(crate) fn run(&self, tape: &mut Tape<'_>, x: Value, sequences: &Sequences) -> Value {
        let features = self.features(tape, x, sequences, HeadDropout::Live);
        match self.output {
            Some(OutputLayer { weight, bias }) => tape.linear(&features, weight, bias),
            None => features,
        }
    }

    /// Runs the parts below the output layer.
    pub(crate) fn features(
        &self,
        tape: &mut Tape<'_>,
        mut x: Value,
        sequences: &Sequences,
        dropout: HeadDropout,
    ) -> Value {
        for part in &self.parts {
            x = match *part {
                BoundPart::Dense(linear, activation) => linear.apply_with(tape, &x, activation),
                BoundPart::Norm(norm) => tape.layer_norm(x, norm),
                BoundPart::Dropout(_) if dropout == HeadDropout::Skipped => x,
                BoundPart::Dropout(dropout) => tape.dropout(x, dropout, sequences),
            };
        }
        x
    }
}
