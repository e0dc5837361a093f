//! What the targets of a task may be, and how rows are encoded in it.

use std::collections::BTreeSet;

use super::{TagScheme, TargetKind, Targets, labels, tags, values};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::Label;
use crate::labels::LabelSet;
use crate::same_label::{Respelled, respelled};
use crate::target_error::TargetError;

/// The targets that a task may have: what is learnt from a training file and kept with the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSpace {
    /// One of these classes.
    Class(LabelSet),
    /// Any of these labels.
    Labels(LabelSet),
    /// A number for each of these names.
    Values {
        /// The outputs: the names of their columns.
        names: Vec<String>,
    },
    /// One of these tags for each word.
    Tags {
        /// The tags. With a scheme of spans, every tag that it has for a kind that occurs.
        labels: LabelSet,
        /// How tags make spans.
        scheme: TagScheme,
        /// Whether the training file's tags were IOB1, which became IOB2.
        from_iob1: bool,
    },
}

impl TargetSpace {
    /// Learns the targets from a training file.
    ///
    /// # Errors
    ///
    /// When a row has not what the task takes, or there is nothing to learn: one class alone, a label that applies to all
    /// rows or to none where each has a column, a number that is always the same.
    pub fn from_training(kind: TargetKind, dataset: &Dataset) -> Result<TargetSpace, DataError> {
        match kind {
            TargetKind::Class => LabelSet::from_training(dataset).map(TargetSpace::Class),
            TargetKind::Labels => labels::from_training(dataset).map(TargetSpace::Labels),
            TargetKind::Value => values::from_training(dataset).map(|names| TargetSpace::Values { names }),
            TargetKind::TokenTags => tags::from_training(dataset),
        }
    }

    /// The targets of an existing model, in its order.
    ///
    /// # Errors
    ///
    /// When a name occurs twice.
    pub fn from_names(kind: TargetKind, names: Vec<String>) -> Result<TargetSpace, DataError> {
        let labels = LabelSet::from_names(names)?;
        Ok(match kind {
            TargetKind::Class => TargetSpace::Class(labels),
            TargetKind::Labels => TargetSpace::Labels(labels),
            TargetKind::Value => TargetSpace::Values { names: labels.names().to_vec() },
            TargetKind::TokenTags => {
                let names: BTreeSet<&str> = labels.names().iter().map(String::as_str).collect();
                // A model may have tags that no scheme has; what it was trained on is its own affair.
                let scheme = TagScheme::of(&names).unwrap_or(TagScheme::Plain);
                TargetSpace::Tags { labels, scheme, from_iob1: false }
            }
        })
    }

    /// What the targets are.
    pub fn kind(&self) -> TargetKind {
        match self {
            TargetSpace::Class(_) => TargetKind::Class,
            TargetSpace::Labels(_) => TargetKind::Labels,
            TargetSpace::Values { .. } => TargetKind::Value,
            TargetSpace::Tags { .. } => TargetKind::TokenTags,
        }
    }

    /// The names of the classes, labels, outputs or tags, in their order: as many as a head has outputs.
    pub fn names(&self) -> &[String] {
        match self {
            TargetSpace::Class(labels) | TargetSpace::Labels(labels) | TargetSpace::Tags { labels, .. } => {
                labels.names()
            }
            TargetSpace::Values { names } => names,
        }
    }

    /// The labels of `dataset` that are written otherwise than the class or label that they are counted as.
    pub fn respelled(&self, dataset: &Dataset) -> Vec<Respelled> {
        let (TargetSpace::Class(labels) | TargetSpace::Labels(labels)) = self else { return Vec::new() };
        if dataset.columns.labels.len() > 1 {
            return Vec::new();
        }
        let found = dataset.examples.iter().filter_map(|example| example.label.as_ref());
        match self.kind() {
            TargetKind::Labels => respelled(labels.names(), found.flat_map(labels::parts_of)),
            _ => respelled(labels.names(), found.filter_map(Label::text)),
        }
    }

    /// The targets of every row of `dataset`.
    ///
    /// # Errors
    ///
    /// When a row has not what the task takes, or a label that is the same as none of the names.
    pub fn encode(&self, dataset: &Dataset) -> Result<Targets, DataError> {
        match self {
            TargetSpace::Class(labels) => labels.encode(dataset).map(Targets::Class),
            TargetSpace::Labels(labels) => labels::encode(labels, dataset).map(Targets::Labels),
            TargetSpace::Values { names } => values::encode(names, dataset).map(Targets::Values),
            TargetSpace::Tags { labels, scheme, .. } => tags::encode(labels, *scheme, dataset).map(Targets::Tags),
        }
    }
}

/// Where each of `names` stands among the label columns of `dataset`, which are as many: by its name, whatever their order.
pub(super) fn places_of(names: &[String], dataset: &Dataset) -> Result<Vec<usize>, DataError> {
    let columns = &dataset.columns.labels;
    let folded = |name: &str| name.trim().to_lowercase();
    let place = |name: &String| {
        let exact = columns.iter().position(|column| column == name);
        exact.or_else(|| columns.iter().position(|column| folded(column) == folded(name)))
    };
    let places: Option<Vec<usize>> = names.iter().map(place).collect();
    places.filter(|places| places.len() == columns.len()).ok_or_else(|| {
        let (expected, found) = (names.to_vec(), columns.clone());
        TargetError::LabelColumns { path: dataset.path.clone(), expected, found }.into()
    })
}
