//! Which model: every score of every candidate's features, layer by layer, and the order in which they rank.

use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value, json};
use topwork_metrics::Mat;
use topwork_metrics::transferability::{CrossValidation, SCORES, Score, cross_validate};

use crate::network::features::LayerFeatures;

/// The scores whose places are averaged for the order of candidates, and which features they are of: those that agreed best with
/// the order after fine-tuning (docs/experiments.md).
///
/// H-score is not among them: it grows with the width of the features, and would rank a wide network with random weights
/// before a narrow one that knows the language.
pub(super) const RANKED_BY: [(&str, Of); 3] = [("linear_probe", Of::Best), ("parc", Of::Best), ("knn", Of::Mean)];

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
    /// Every score on the mean of all layers, and the number of parameters. Of a task without classes: what a linear head reaches
    /// there, by the metric's name.
    pub scores: Map<String, Value>,
    /// Every score of the embeddings, of each layer, and of what the classifier sees; of a task without classes, of the last alone.
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
    /// The class that the probe at its best layer gave to each row.
    pub(crate) best_predictions: Option<Vec<u32>>,
    /// The probe's accuracy on each layer, from the embeddings up; then on what the classifier sees.
    pub(crate) probes: Vec<f64>,
}

/// What the probe on one of a candidate's feature sets said.
struct Probed {
    accuracy: f64,
    /// The class of each row.
    predictions: Vec<u32>,
    /// With all probabilities, which are large where there are many classes: of the mean alone.
    whole: Option<CrossValidation>,
}

/// The name of the score that is computed with what it says of each row.
const PROBE: &str = "linear_probe";

/// Scores a candidate on rows of these classes and keys. Layers are scored side by side.
pub(crate) fn score(model: &str, parameters: usize, features: &LayerFeatures, classes: &[u32], keys: &[u64]) -> Scored {
    let mean = features.layer_mean();
    let layers = features.layers.len();
    let names = (0..layers).map(|index| match index {
        0 => "embeddings".to_string(),
        index => format!("layer {}", index - 1),
    });
    let names: Vec<String> = names.chain(["pooled".to_string()]).collect();
    let matrices: Vec<Mat<f64>> =
        (0..layers).map(|index| features.layer(index)).chain([features.pooled(), mean]).collect();
    let of_mean = layers + 1;
    let jobs: Vec<(usize, &Score)> =
        (0..=of_mean).flat_map(|set| SCORES.iter().map(move |score| (set, score))).collect();
    let probe_all = || -> Vec<Option<Probed>> {
        let one = |(set, matrix): (usize, &Mat<f64>)| {
            let probe = cross_validate(matrix.as_ref(), classes, keys)?;
            let (accuracy, predictions) = (probe.accuracy(classes), probe.predictions());
            Some(Probed { accuracy, predictions, whole: (set == of_mean).then_some(probe) })
        };
        matrices.par_iter().enumerate().map(one).collect()
    };
    let score_all = || -> Vec<Option<f64>> {
        let one = |&(set, score): &(usize, &Score)| match score.name {
            PROBE => None,
            _ => (score.compute)(matrices[set].as_ref(), classes, keys),
        };
        jobs.par_iter().map(one).collect()
    };
    let (mut probed, values) = rayon::join(probe_all, score_all);
    let of_set = |set: usize| -> Map<String, Value> {
        let own = SCORES.iter().zip(&values[set * SCORES.len()..(set + 1) * SCORES.len()]);
        own.map(|(score, value)| match score.name {
            PROBE => (PROBE.to_string(), json!(probed[set].as_ref().map(|probe| probe.accuracy))),
            name => (name.to_string(), json!(value)),
        })
        .collect()
    };
    let mut scores = of_set(of_mean);
    scores.insert("parameters".into(), json!(parameters));
    let by_layer: Vec<LayerScores> =
        names.into_iter().enumerate().map(|(set, layer)| LayerScores { layer, scores: of_set(set) }).collect();
    let probes = probed[..=layers].iter().map(|probe| probe.as_ref().map_or(0.0, |probe| probe.accuracy)).collect();
    // The first among equals.
    let best = (0..probed.len()).rev().max_by(|&a, &b| {
        let accuracy = |set: usize| probed[set].as_ref().map_or(f64::NEG_INFINITY, |probe| probe.accuracy);
        accuracy(a).total_cmp(&accuracy(b))
    });
    let best_predictions = best.and_then(|set| Some(probed[set].as_ref()?.predictions.clone()));
    let probe = probed.pop().flatten().and_then(|probe| probe.whole);
    let candidate = Candidate {
        model: model.to_string(),
        num_hidden_layers: layers - 1,
        hidden_size: features.hidden_size,
        parameters,
        scores,
        by_layer,
        mean_rank: 1.0,
    };
    Scored { candidate, probe, best_predictions, probes }
}

/// Gives each candidate its mean place by these scores; equal scores share theirs. What is undefined comes last.
pub(crate) fn rank(candidates: &mut [&mut Candidate], scores: &[(&str, Of)]) {
    let places: Vec<Vec<f64>> = scores
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A candidate with these values of each score that counts: of the mean of all layers, and of its layers.
    fn candidate(model: &str, mean: [Option<f64>; 3], layers: &[[Option<f64>; 3]]) -> Candidate {
        let scores = |values: &[Option<f64>; 3]| -> Map<String, Value> {
            RANKED_BY.iter().zip(values).map(|((score, _), value)| (score.to_string(), json!(value))).collect()
        };
        let by_layer = layers.iter().map(|values| LayerScores { layer: "layer".to_string(), scores: scores(values) });
        Candidate {
            model: model.to_string(),
            num_hidden_layers: layers.len(),
            hidden_size: 1,
            parameters: 1,
            scores: scores(&mean),
            by_layer: by_layer.collect(),
            mean_rank: 0.0,
        }
    }

    fn ranks(mut candidates: Vec<Candidate>) -> Vec<f64> {
        rank(&mut candidates.iter_mut().collect::<Vec<_>>(), &RANKED_BY);
        candidates.iter().map(|candidate| candidate.mean_rank).collect()
    }

    #[test]
    fn the_best_layer_is_the_best_of_all_and_of_their_mean() {
        let of = |mean, layers: &[[Option<f64>; 3]]| candidate("m", [mean; 3], layers).score("parc", Of::Best);
        assert_eq!(of(Some(0.5), &[[Some(0.4); 3], [Some(0.7); 3], [None; 3]]), Some(0.7));
        assert_eq!(of(Some(0.8), &[[Some(0.4); 3]]), Some(0.8));
        assert_eq!(of(None, &[[Some(0.4); 3]]), Some(0.4));
        assert_eq!(of(None, &[[None; 3]]), None);
        assert_eq!(candidate("m", [Some(0.5); 3], &[[Some(0.7); 3]]).score("parc", Of::Mean), Some(0.5));
    }

    #[test]
    fn probe_and_parc_count_at_their_best_layer_and_the_nearest_rows_on_the_mean() {
        // The second is better at a layer, the first on the mean.
        let (first, second) = ([Some(0.6); 3], [Some(0.5); 3]);
        let candidates =
            || vec![candidate("first", first, &[[Some(0.1); 3]]), candidate("second", second, &[[Some(0.9); 3]])];
        assert_eq!(ranks(candidates()), [(2.0 + 2.0 + 1.0) / 3.0, (1.0 + 1.0 + 2.0) / 3.0]);
    }

    #[test]
    fn equal_scores_share_their_place_and_what_is_undefined_comes_last() {
        let own = |value| candidate("m", [value; 3], &[]);
        assert_eq!(ranks(vec![own(Some(0.5)), own(None), own(Some(0.5)), own(Some(0.7))]), [2.5, 4.0, 2.5, 1.0]);
    }
}
