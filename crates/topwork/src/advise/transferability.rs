//! Which model: every score of every candidate's features, layer by layer, and the order in which they rank.

use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value, json};
use topwork_metrics::Mat;
use topwork_metrics::transferability::{CrossValidation, SCORES, cross_validate};

use crate::features::LayerFeatures;

/// The scores whose places are averaged for the order of candidates, and which features they are of: those that agreed best with
/// the order after fine-tuning (docs/experiments.md).
///
/// H-score is not among them: it grows with the width of the features, and would rank a wide network with random weights
/// before a narrow one that knows the language.
const RANKED_BY: [(&str, Of); 3] = [("linear_probe", Of::Best), ("parc", Of::Best), ("knn", Of::Mean)];

/// Which of a candidate's features a score is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The mean of all layers.
    Mean,
    /// Those of all, the layers' mean among them, that score best: fine-tuning can start from what any layer knows.
    Best,
}

/// What needs no pretrained model: accuracies on the rows that were looked at, in the folds of the probe.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Baselines {
    /// Of the most frequent class.
    pub majority: f64,
    /// Of softmax regression on words and pairs of words.
    pub bag_of_words: f64,
    /// Of the probe on random weights of the best model's shape.
    pub random_weights: f64,
}

/// What is known of a candidate without tuning it.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// The model, as it was named.
    pub model: String,
    /// Its layers.
    pub num_hidden_layers: usize,
    /// Columns of its features.
    pub hidden_size: usize,
    /// Values of the whole encoder.
    pub parameters: usize,
    /// Every score on the mean of all layers, and the number of parameters.
    pub scores: Map<String, Value>,
    /// Every score of the embeddings, of each layer, and of what the classifier sees.
    pub by_layer: Vec<LayerScores>,
    /// Mean place among the candidates by the scores that count; less is better.
    pub mean_rank: f64,
}

impl Candidate {
    /// A score; none where it is undefined.
    pub fn score(&self, name: &str, of: Of) -> Option<f64> {
        let mean = self.scores.get(name).and_then(Value::as_f64);
        match of {
            Of::Mean => mean,
            Of::Best => {
                let layers = self.by_layer.iter().filter_map(|layer| layer.scores.get(name)?.as_f64());
                layers.chain(mean).reduce(f64::max)
            }
        }
    }
}

/// The scores of a layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerScores {
    /// `embeddings`, `layer N` from 0, or `pooled`.
    pub layer: String,
    /// By name; null where a score is undefined.
    pub scores: Map<String, Value>,
}

/// The scores of one candidate's features.
pub(crate) struct Scored {
    pub(crate) candidate: Candidate,
    /// What the probe on the mean of all layers said of each row.
    pub(crate) probe: Option<CrossValidation>,
    /// The probe's accuracy on each layer, from the embeddings up; then on what the classifier sees.
    pub(crate) probes: Vec<f64>,
}

/// Scores a candidate. Layers are scored side by side.
pub(crate) fn score(model: &str, parameters: usize, features: &LayerFeatures, classes: &[u32]) -> Scored {
    let mean = features.layer_mean();
    let layers = features.layers.len();
    let names = (0..layers).map(|index| match index {
        0 => "embeddings".to_string(),
        index => format!("layer {}", index - 1),
    });
    let names: Vec<String> = names.chain(["pooled".to_string()]).collect();
    let jobs: Vec<(usize, usize)> =
        (0..=layers + 1).flat_map(|set| (0..SCORES.len()).map(move |score| (set, score))).collect();
    let matrices: Vec<Mat<f64>> =
        (0..layers).map(|index| features.layer(index)).chain([features.pooled(), mean.clone()]).collect();
    let all = || -> Vec<Option<f64>> {
        jobs.par_iter().map(|&(set, score)| (SCORES[score].compute)(matrices[set].as_ref(), classes)).collect()
    };
    let (probe, values) = rayon::join(|| cross_validate(mean.as_ref(), classes), all);
    let of_set = |set: usize| -> Map<String, Value> {
        let own = &values[set * SCORES.len()..(set + 1) * SCORES.len()];
        SCORES.iter().zip(own).map(|(score, value)| (score.name.to_string(), json!(value))).collect()
    };
    let probe_place = SCORES.iter().position(|score| score.name == "linear_probe").unwrap_or(0);
    let probes = (0..=layers).map(|set| values[set * SCORES.len() + probe_place].unwrap_or(0.0)).collect();
    let mut scores = of_set(layers + 1);
    scores.insert("parameters".into(), json!(parameters));
    let by_layer = names.into_iter().enumerate().map(|(set, layer)| LayerScores { layer, scores: of_set(set) });
    let candidate = Candidate {
        model: model.to_string(),
        num_hidden_layers: layers - 1,
        hidden_size: features.hidden_size,
        parameters,
        scores,
        by_layer: by_layer.collect(),
        mean_rank: 1.0,
    };
    Scored { candidate, probe, probes }
}

/// Gives each candidate its mean place; equal scores share theirs. What is undefined comes last.
pub(crate) fn rank(candidates: &mut [&mut Candidate]) {
    let places: Vec<Vec<f64>> = RANKED_BY
        .iter()
        .map(|(score, of)| {
            let value = |candidate: &&mut Candidate| candidate.score(score, *of).unwrap_or(f64::NEG_INFINITY);
            let values: Vec<f64> = candidates.iter().map(value).collect();
            let place = |own: &f64| {
                let better = values.iter().filter(|other| *other > own).count() as f64;
                let equal = values.iter().filter(|other| *other == own).count() as f64;
                better + 0.5 * (equal + 1.0)
            };
            values.iter().map(place).collect()
        })
        .collect();
    for (number, candidate) in candidates.iter_mut().enumerate() {
        candidate.mean_rank = places.iter().map(|places| places[number]).sum::<f64>() / places.len() as f64;
    }
}
