//! A tag for each word: entities, slots, parts of speech. The loss and the scores are of the first token of each word.

use topwork_data::{Example, TargetKind, TargetSpace, Targets};
use topwork_engine::{CrossEntropy, Tape, Value};
use topwork_metrics::tagging::{self, Tagging};
use topwork_metrics::{Metric, TaskScores, argmax, cross_entropy};
use topwork_models::{HeadKind, ProblemType};

use super::prediction::{EntitySpan, Prediction};
use super::{LinearModel, LossOptions, Part, PassTargets, Scoring, Supervised, TaskDescription};

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "token_classification",
    aliases: &["ner", "tagging"],
    summary: "a tag for each word: entities, slots, parts of speech",
    data: "JSON lines with `tokens` and `ner_tags` or `tags`, or a CoNLL file",
    supervised: Some(&TokenClassification),
};

/// Learning the tags of words.
pub struct TokenClassification;

/// The tag of a word that belongs to nothing.
const OUTSIDE: &str = "O";

/// The tags that outputs give the words of each row of so many words.
fn tags_of(outputs: &[f32], scoring: &Scoring, words: impl Iterator<Item = usize>) -> Vec<Vec<u32>> {
    let names = scoring.space.names();
    let outside = names.iter().position(|name| name == OUTSIDE).unwrap_or(0) as u32;
    let width = names.len().max(1);
    let mut rows = outputs.chunks_exact(width);
    let tag = |row: &[f32]| {
        // A word without a token has no output.
        if row.iter().all(|&logit| logit == 0.0) { outside } else { argmax(row, width)[0] }
    };
    words.map(|words| rows.by_ref().take(words).map(tag).collect()).collect()
}

impl Supervised for TokenClassification {
    fn name(&self) -> &'static str {
        TASK.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::TokenTags
    }

    fn head(&self, outputs: usize) -> HeadKind {
        HeadKind::Token { labels: outputs }
    }

    fn problem_type(&self) -> Option<ProblemType> {
        None
    }

    fn pipeline_tag(&self) -> &'static str {
        "token-classification"
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::TAGGING
    }

    fn headline(&self) -> Metric {
        Metric::EntityF1
    }

    /// Parts of speech and their like mark no entities.
    fn headline_of(&self, space: &TargetSpace) -> Metric {
        if Tagging::new(space.names()).has_entities() { self.headline() } else { Metric::Accuracy }
    }

    fn starts_from_probe(&self) -> bool {
        false
    }

    fn not_applicable(&self) -> &'static [(Part, &'static str)] {
        &[
            (Part::Calibration, "a temperature is fitted for one class a row"),
            (Part::Confusion, "entities are spans, not classes of rows"),
            (Part::BagOfWords, "it is fitted for one class a row"),
            (Part::FrozenHead, "a linear head is fitted for rows, not for words"),
            (Part::Transferability, "the scores of features are of one class a row"),
            (Part::LabelErrors, "the probe that doubts labels is of one class a row"),
        ]
    }

    fn normaliser(&self, targets: &PassTargets, options: &LossOptions) -> f64 {
        match CrossEntropy::normaliser(targets.classes(), options.class_weights.as_deref()) {
            // A step whose words have no token at all has nothing to learn.
            0.0 => 1.0,
            normaliser => normaliser,
        }
    }

    fn loss(
        &self,
        tape: &mut Tape<'_>,
        outputs: Value,
        targets: &PassTargets,
        options: &LossOptions,
        normaliser: f64,
    ) -> Value {
        let options = CrossEntropy {
            targets: targets.classes(),
            class_weights: options.class_weights.as_deref(),
            label_smoothing: options.label_smoothing,
            normaliser,
        };
        tape.cross_entropy(outputs, &options)
    }

    fn evaluate(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> TaskScores {
        let Targets::Tags(gold) = targets else { return TaskScores { loss: f64::NAN, values: Vec::new() } };
        let rows = || 0..gold.rows();
        let predicted = tags_of(outputs, scoring, rows().map(|row| gold.row(row).len()));
        let tagging = Tagging::new(scoring.space.names());
        let loss = cross_entropy(outputs, scoring.outputs(), gold.ids());
        let mut scores = tagging::evaluate(&tagging, rows().map(|row| (gold.row(row), &*predicted[row])), loss);
        // The first is the one that scores are told by.
        let headline = self.headline_of(&scoring.space);
        scores.values.sort_by_key(|(metric, _)| *metric != headline);
        scores
    }

    /// The mean over a row's words.
    fn row_losses(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> Vec<f64> {
        let Targets::Tags(gold) = targets else { return Vec::new() };
        let (width, mut start) = (scoring.outputs(), 0);
        let row = |row: usize| {
            let own = gold.row(row);
            let outputs = &outputs[start * width..(start + own.len()) * width];
            start += own.len();
            cross_entropy(outputs, width, own)
        };
        (0..gold.rows()).map(row).collect()
    }

    /// The log-frequencies of the tags.
    fn guess(&self, train: &Targets, targets: &Targets, scoring: &Scoring) -> Vec<f32> {
        let (Targets::Tags(train), Targets::Tags(targets)) = (train, targets) else { return Vec::new() };
        let mut counts = vec![0.5f32; scoring.outputs()];
        train.ids().iter().for_each(|&tag| counts[tag as usize] += 1.0);
        let row: Vec<f32> = counts.into_iter().map(f32::ln).collect();
        row.repeat(targets.ids().len())
    }

    fn linear_model(&self, _: &[f32], _: &Targets, _: &LossOptions, _: usize) -> Option<LinearModel> {
        None
    }

    fn predict(&self, outputs: &[f32], rows: &[Example], scoring: &Scoring) -> Vec<Prediction> {
        let names = scoring.space.names();
        let tagging = Tagging::new(names);
        let all = tags_of(outputs, scoring, rows.iter().map(|row| row.words.len()));
        let of_row = |(row, tags): (&Example, Vec<u32>)| {
            let characters = |byte: usize| row.text[..byte].chars().count();
            let span = |entity: tagging::Entity| {
                let (start, end) = (row.words[entity.first].start, row.words[entity.last].end);
                EntitySpan {
                    kind: tagging.types()[entity.kind].clone(),
                    word: row.text[start..end].to_string(),
                    start: characters(start),
                    end: characters(end),
                }
            };
            let entities = match tagging.has_entities() {
                true => tagging.entities(&tags).into_iter().map(span).collect(),
                false => Vec::new(),
            };
            Prediction::Tags {
                tokens: row.words().map(str::to_string).collect(),
                tags: tags.iter().map(|&tag| names[tag as usize].clone()).collect(),
                entities,
            }
        };
        rows.iter().zip(all).map(of_row).collect()
    }
}
