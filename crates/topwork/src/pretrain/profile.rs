//! `pretraining_profile.json`: what a model was pre-trained on, so that a later run can tell how far a task lies from it.

use std::collections::HashMap;

use serde::Serialize;
use topwork_data::{CorpusPart, DataError};

use super::inputs::PretrainInputs;
use crate::error::Error;
use crate::plan::facts::VERSION;
use crate::tasks::pretraining_problem::ObjectiveScores;
use crate::words::words;

/// The words whose counts are kept.
const WORDS: usize = 20_000;

/// Texts of the sample, and words of each.
const SAMPLE: usize = 128;
const SAMPLE_WORDS: usize = 60;

/// Beginnings of held-out documents, at even distances.
fn sample(inputs: &PretrainInputs, documents: u64) -> Result<Vec<String>, Error> {
    let every = (documents as usize / SAMPLE).max(1);
    let mut texts = Vec::new();
    for document in inputs.corpus.documents(CorpusPart::HeldOut).step_by(every).take(SAMPLE) {
        let document: Result<String, DataError> = document;
        let text = document?.split_whitespace().take(SAMPLE_WORDS).collect::<Vec<_>>().join(" ");
        if !text.is_empty() {
            texts.push(text);
        }
    }
    Ok(texts)
}

/// What a model was pre-trained on.
#[derive(Clone, Debug, Serialize)]
pub struct PretrainingProfile {
    /// The version of topwork.
    pub topwork_version: &'static str,
    /// The model that was gone on from, if any: its own profile is not repeated here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_name_or_path: Option<String>,
    /// Documents that were learnt from.
    pub documents: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Documents that were held out.
    pub held_out_documents: u64,
    /// The files.
    pub sources: Vec<SourceProfile>,
    /// Words of the documents that were learnt from, in lower case.
    pub words: u64,
    /// Different words.
    pub distinct_words: u64,
    /// How often the most frequent words occur, most frequent first.
    pub unigrams: Vec<(String, u64)>,
    /// Words of a document at the 5th, 25th, 50th, 75th and 95th percentile.
    pub document_words: [u64; 5],
    /// Held-out loss and accuracy by objective.
    pub held_out: Vec<HeldOutProfile>,
    /// Beginnings of held-out documents: what a later run looks at to tell what the model forgets.
    pub sample: Vec<String>,
}

/// A file of the corpus.
#[derive(Clone, Debug, Serialize)]
pub struct SourceProfile {
    /// Its name, without the folder.
    pub file: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Its documents that were kept.
    pub documents: u64,
}

/// How well held-out questions were answered.
#[derive(Clone, Debug, Serialize)]
pub struct HeldOutProfile {
    /// The objective.
    pub objective: &'static str,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// The part that was right.
    pub accuracy: f64,
    /// How many questions there were.
    pub questions: usize,
}

impl From<&ObjectiveScores> for HeldOutProfile {
    fn from(scores: &ObjectiveScores) -> Self {
        let ObjectiveScores { objective, loss, accuracy, questions } = *scores;
        Self { objective, loss, accuracy, questions }
    }
}

impl PretrainingProfile {
    /// Goes through the documents once more and counts. A word is a run of letters and digits, or a letter where words are not parted by spaces.
    ///
    /// # Errors
    /// When the documents cannot be read.
    pub fn measure(inputs: &PretrainInputs, held_out: &[ObjectiveScores]) -> Result<Self, Error> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let mut lengths = Vec::new();
        for document in inputs.corpus.documents(CorpusPart::Train) {
            let document: Result<String, DataError> = document;
            let mut length = 0;
            for word in words(&document?) {
                length += 1;
                let word = word.to_lowercase();
                match counts.get_mut(&word) {
                    Some(count) => *count += 1,
                    None => _ = counts.insert(word, 1),
                }
            }
            lengths.push(length);
        }
        lengths.sort_unstable();
        let quantile = |percent: usize| {
            let rank = (lengths.len() * percent).div_ceil(100).saturating_sub(1);
            lengths.get(rank).copied().unwrap_or(0)
        };
        let (words, distinct_words) = (counts.values().sum(), counts.len() as u64);
        let mut unigrams: Vec<(String, u64)> = counts.into_iter().collect();
        unigrams.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        unigrams.truncate(WORDS);
        let counts = inputs.corpus.counts();
        let source = |source: &topwork_data::CorpusSource| SourceProfile {
            file: source.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: source.sha256.clone(),
            bytes: source.bytes,
            documents: source.documents,
        };
        Ok(Self {
            topwork_version: VERSION,
            model_name_or_path: inputs.plan.model_name_or_path.value.clone(),
            documents: counts.documents - counts.held_out_documents,
            tokens: inputs.train.tokens(),
            held_out_documents: counts.held_out_documents,
            sources: inputs.corpus.sources().iter().map(source).collect(),
            words,
            distinct_words,
            unigrams,
            document_words: [5, 25, 50, 75, 95].map(quantile),
            held_out: held_out.iter().map(HeldOutProfile::from).collect(),
            sample: sample(inputs, counts.held_out_documents)?,
        })
    }
}
