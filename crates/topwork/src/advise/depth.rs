//! How deep to tune: what the probes of the layers say about how many of the lowest may stay as they are.

use serde::Serialize;

/// With so many labelled rows every layer has enough to learn from.
const ENOUGH_ROWS: usize = 5_000;
/// With fewer labelled rows, freezing half of the layers at a higher rate: best on average over eight sets of 64 rows, where all layers
/// at the usual rate were on 500 (docs/experiments.md). Between the two nothing was measured.
pub(crate) const FEW_ROWS: usize = 250;

/// A number of frozen layers, and what speaks for it.
#[derive(Clone, Debug, Serialize)]
pub struct DepthProposal {
    /// The lowest layers to freeze; 0 tunes everything.
    pub freeze_layers: usize,
    /// Why.
    pub why: String,
    /// Every depth that there is, from none frozen up; none for random weights, of which all have to be tuned.
    pub considered: Vec<Depth>,
}

/// A depth that was considered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Depth {
    /// The lowest layers that would be frozen.
    pub freeze_layers: usize,
    /// Accuracy of a probe on what they say, which is what the tuned layers would start from; of the embeddings for 0.
    pub probe: f64,
    /// The part of the layers' values that would be tuned.
    pub tuned: f64,
    /// The cost of a training step beside one that tunes every layer: frozen ones are only run forward.
    pub step: f64,
}

/// Proposes a depth from the accuracy of a probe on the embeddings and each layer (from 0), measured on `rows` rows, of
/// `labelled` in all.
///
/// Up to the first layer whose probe is as good as the best one, within a standard error, the features hold what the task
/// needs: layers below may stay. The upper half is always tuned: with less, fine-tuning was worse on every set that was
/// measured (docs/experiments.md).
pub fn propose(probes: &[f64], rows: usize, labelled: usize) -> DepthProposal {
    let layers = probes.len().saturating_sub(1);
    let (freeze_layers, why) = if labelled >= ENOUGH_ROWS {
        (0, format!("{labelled} rows, at least {ENOUGH_ROWS}: enough for every layer to learn from"))
    } else if labelled < FEW_ROWS && layers > 1 {
        (layers / 2, format!("{labelled} rows, fewer than {FEW_ROWS}: the upper half has enough to learn"))
    } else {
        first_good_layer(probes, rows)
    };
    let considered = (0..layers).map(|frozen| Depth {
        freeze_layers: frozen,
        probe: probes[frozen],
        tuned: 1.0 - frozen as f64 / layers as f64,
        step: step_cost(frozen, layers),
    });
    DepthProposal { freeze_layers, why, considered: considered.collect() }
}

/// The cost of a training step with the lowest `frozen` of `layers` frozen, beside one that tunes all: a frozen layer costs its
/// forward pass, a third.
pub(crate) fn step_cost(frozen: usize, layers: usize) -> f64 {
    1.0 - frozen as f64 / layers.max(1) as f64 * 2.0 / 3.0
}

/// The layers below the first one that is as good as the best, and how good they are.
fn first_good_layer(probes: &[f64], rows: usize) -> (usize, String) {
    let layers = probes.len().saturating_sub(1);
    let best = probes.iter().copied().fold(0.0, f64::max);
    let error = (best * (1.0 - best) / rows.max(1) as f64).sqrt();
    let first = probes.iter().position(|&probe| probe >= best - error).unwrap_or(0);
    let freeze_layers = first.clamp(usize::from(layers > 1), (layers / 2).max(1)).min(layers.saturating_sub(1));
    let name = match first {
        0 => "the embeddings".to_string(),
        layer => format!("layer {}", layer - 1),
    };
    let why = format!(
        "a probe on {name} gets {:.1} %, the best of all layers {:.1} ± {:.1} %",
        100.0 * probes.get(first).copied().unwrap_or(0.0),
        100.0 * best,
        100.0 * error
    );
    (freeze_layers, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frozen(probes: &[f64], rows: usize, labelled: usize) -> usize {
        propose(probes, rows, labelled).freeze_layers
    }

    #[test]
    fn layers_below_the_first_good_one_stay() {
        let probes = [0.5, 0.6, 0.71, 0.795, 0.8, 0.79, 0.6];
        assert_eq!(frozen(&probes, 1_000, 1_000), 3);
        // A small sample tells less.
        assert_eq!(frozen(&probes, 16, 1_000), 2);
        // Not more than half, and not nothing.
        assert_eq!(frozen(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9], 1_000, 1_000), 3);
        assert_eq!(frozen(&[0.9, 0.5, 0.5], 1_000, 1_000), 1);
        assert_eq!(frozen(&[0.9], 1_000, 1_000), 0);
    }

    #[test]
    fn few_rows_tune_the_upper_half_and_many_everything() {
        let probes = [0.5, 0.6, 0.71, 0.795, 0.8, 0.79, 0.6];
        assert_eq!(frozen(&probes, 64, 64), 3);
        assert_eq!(frozen(&probes, 1_000, 20_000), 0);
    }

    #[test]
    fn every_depth_that_tunes_a_layer_is_considered() {
        let probes = [0.5, 0.6, 0.71];
        let proposal = propose(&probes, 64, 64);
        let depths: Vec<usize> = proposal.considered.iter().map(|depth| depth.freeze_layers).collect();
        assert_eq!(depths, [0, 1]);
        assert!(depths.contains(&proposal.freeze_layers));
        // What the tuned layers start from is what the highest frozen one says.
        assert_eq!(proposal.considered[1].probe, 0.6);
        assert!(proposal.considered[1].step < proposal.considered[0].step && proposal.considered[0].step == 1.0);
    }
}
