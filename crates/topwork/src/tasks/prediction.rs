//! What a model says of a row.

use std::fmt;

use serde::Serialize;

/// What a model says of a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Prediction {
    /// One class.
    Class {
        /// The most probable class.
        label: String,
        /// Its probability.
        score: f64,
        /// The probability of every class, by its id.
        probabilities: Vec<f64>,
    },
    /// Any number of labels.
    Labels {
        /// The labels that apply, the most probable first.
        labels: Vec<String>,
        /// The probability of every label, by its id.
        probabilities: Vec<f64>,
    },
    /// A number for each output.
    Values {
        /// The numbers, by output.
        values: Vec<f64>,
    },
    /// A tag for each word.
    Tags {
        /// The words.
        tokens: Vec<String>,
        /// Their tags.
        tags: Vec<String>,
        /// The spans that the tags make; none where they make none.
        entities: Vec<EntitySpan>,
    },
}

impl Prediction {
    /// The numbers of the tags among these names; none where there are no tags.
    pub fn tag_ids(&self, names: &[String]) -> Vec<u32> {
        let Self::Tags { tags, .. } = self else { return Vec::new() };
        let id = |tag: &String| names.iter().position(|name| name == tag).unwrap_or(0) as u32;
        tags.iter().map(id).collect()
    }
}

/// On one line: the class, the labels in alphabetical order with `;` between, the numbers with `;` between, or the tags.
impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class { label, .. } => f.write_str(label),
            Self::Labels { labels, .. } => {
                let mut labels = labels.clone();
                labels.sort();
                f.write_str(&labels.join(";"))
            }
            Self::Values { values } => {
                f.write_str(&values.iter().map(|value| number(*value)).collect::<Vec<_>>().join(";"))
            }
            Self::Tags { tags, .. } => f.write_str(&tags.join(" ")),
        }
    }
}

/// A predicted number, with as many digits as the model computes with.
pub fn number(value: f64) -> String {
    (value as f32).to_string()
}

/// A span of words that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntitySpan {
    /// What it is.
    #[serde(rename = "entity_group")]
    pub kind: String,
    /// Its letters.
    pub word: String,
    /// The place of its first letter in the text, in characters, from 0.
    pub start: usize,
    /// The place after its last letter, in characters.
    pub end: usize,
}
