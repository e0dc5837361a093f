//! The three proofs that every run gives: what is frozen did not move, what is trained got a gradient, and what was
//! saved is what was trained: its tokenizer makes the same tokens of texts, its weights the same logits of tokens. Each is an error when it fails.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use topwork_engine::{ParameterId, Parameters};

use crate::error::Error;
use crate::events::{Observer, RunEvent};

/// What was proved, as recorded in `all_results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proofs {
    /// Frozen tensors have the same hash before and after.
    pub frozen_unchanged: FrozenProof,
    /// Every trainable tensor received a non-zero gradient at some step.
    pub trained_received_gradient: GradientProof,
    /// The saved directory, loaded afresh, gives the same tokens and logits.
    pub reloaded_same_logits: ReloadProof,
}

impl Proofs {
    /// The name of each proof and what was compared, in words.
    pub fn details(&self) -> [(&'static str, String); 3] {
        let Self { frozen_unchanged, trained_received_gradient, reloaded_same_logits } = self;
        [
            ("frozen_unchanged", format!("{} frozen tensors unchanged", frozen_unchanged.tensors)),
            (
                "trained_received_gradient",
                format!("{} trained tensors received a gradient", trained_received_gradient.tensors),
            ),
            (
                "reloaded_same_logits",
                format!(
                    "the saved model gives the same tokens and logits on {} {} rows",
                    reloaded_same_logits.rows, reloaded_same_logits.split
                ),
            ),
        ]
    }

    /// Reports every proof.
    pub(crate) fn report(&self, observer: &mut dyn Observer) {
        for (name, detail) in self.details() {
            observer.event(&RunEvent::ProofPassed { name: name.to_string(), detail });
        }
    }
}

/// Frozen tensors have the same hash before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenProof {
    /// How many tensors are frozen.
    pub tensors: usize,
    /// SHA-256 over their names and bytes.
    pub sha256: String,
}

/// Every trainable tensor received a non-zero gradient at some step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientProof {
    /// How many tensors are trained.
    pub tensors: usize,
}

/// The saved directory, loaded afresh, gives the same tokens and logits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReloadProof {
    /// How many held-out rows were compared.
    pub rows: usize,
    /// Where they come from: `validation`, `test` or `train`.
    pub split: String,
    /// The largest difference between two logits; anything but zero is an error.
    pub largest_difference: f64,
    /// How many tokens the saved tokenizer made of the same texts, each with the same id; none in results of earlier versions.
    #[serde(default)]
    pub tokens: usize,
}

/// Hashes the frozen parameters.
pub fn hash_frozen(parameters: &Parameters) -> FrozenProof {
    let mut hasher = Sha256::new();
    let mut tensors = 0;
    for (_, parameter) in parameters.iter().filter(|(_, p)| !p.trainable) {
        tensors += 1;
        hasher.update(parameter.name.as_bytes());
        for block in parameter.values.chunks(4096) {
            let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
    }
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    FrozenProof { tensors, sha256 }
}

/// Compares the hash of the frozen parameters with the one before training.
///
/// # Errors
/// When a frozen tensor has changed.
pub fn prove_frozen(before: &FrozenProof, parameters: &Parameters) -> Result<FrozenProof, Error> {
    let after = hash_frozen(parameters);
    if after == *before {
        return Ok(after);
    }
    Err(Error::proof(format!("frozen tensors changed: sha256 {} before, {} after", before.sha256, after.sha256)))
}

/// Checks that every trainable parameter saw a gradient, but for those that were `fitted` without one.
///
/// # Errors
/// When one did not.
pub fn prove_gradients(parameters: &Parameters, seen: &[bool], fitted: &[ParameterId]) -> Result<GradientProof, Error> {
    let is_trained = |id: ParameterId, trainable: bool| trainable && !fitted.contains(&id);
    let trainable: Vec<_> = parameters.iter().zip(seen).filter(|((id, p), _)| is_trained(*id, p.trainable)).collect();
    let without: Vec<&str> = trainable.iter().filter(|(_, seen)| !**seen).map(|((_, p), _)| &*p.name).collect();
    if without.is_empty() {
        return Ok(GradientProof { tensors: trainable.len() });
    }
    let named = without.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    Err(Error::proof(format!("{} trainable tensors never received a gradient: {named}", without.len())))
}

/// The tokens of a text and their segments.
pub type Tokens<'a> = (&'a [u32], &'a [u32]);

/// Compares what the run's tokenizer makes of texts with what the saved one makes of them. Each item is a text's tokens in memory and as read
/// back. Gives how many tokens there are.
///
/// # Errors
/// When an id or a segment differs.
pub fn prove_tokens<'a>(
    texts: impl IntoIterator<Item = (Tokens<'a>, Tokens<'a>)>,
    split: &str,
) -> Result<usize, Error> {
    let mut tokens = 0;
    for (row, (in_memory, reloaded)) in texts.into_iter().enumerate() {
        for (kind, expected, found) in [("ids", in_memory.0, reloaded.0), ("segments", in_memory.1, reloaded.1)] {
            if expected != found {
                let place = expected.iter().zip(found).take_while(|(one, other)| one == other).count();
                let from = |list: &[u32]| format!("{:?}", &list[place..list.len().min(place + TOKENS_SHOWN)]);
                return Err(Error::proof(format!(
                    "the saved tokenizer makes other tokens of texts than that of the run: {split} row {}, from token {} on: expected {kind} {}, found {}",
                    row + 1,
                    place + 1,
                    from(expected),
                    from(found)
                )));
            }
        }
        tokens += in_memory.0.len();
    }
    Ok(tokens)
}

/// So many tokens of a row that differs are shown.
const TOKENS_SHOWN: usize = 4;

/// Compares logits of the model in memory with those of the model read back, whose `tokens` are the same ([`prove_tokens`]).
///
/// # Errors
/// When they differ in a single bit's worth.
pub fn prove_reload(
    in_memory: &[f32],
    reloaded: &[f32],
    rows: usize,
    split: &str,
    tokens: usize,
) -> Result<ReloadProof, Error> {
    let differences = in_memory.iter().zip(reloaded).map(|(a, b)| f64::from((a - b).abs()));
    let largest_difference = differences.fold(0.0, f64::max);
    let is_same = in_memory.len() == reloaded.len() && in_memory.iter().zip(reloaded).all(|(a, b)| a == b);
    if is_same {
        return Ok(ReloadProof { rows, split: split.to_string(), largest_difference, tokens });
    }
    Err(Error::proof(format!(
        "the saved model gives other logits than the trained one: up to {largest_difference:e} apart"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        let mut parameters = Parameters::new();
        for name in ["frozen", "trained"] {
            let id = parameters.add(name, &[3], &[1.0, 2.0, 3.0]);
            parameters.get_mut(id).trainable = name == "trained";
        }
        parameters
    }

    #[test]
    fn a_frozen_tensor_that_moved_fails_the_run() {
        let mut parameters = parameters();
        let before = hash_frozen(&parameters);
        let [frozen, trained] = ["frozen", "trained"].map(|name| parameters.find(name).unwrap());
        parameters.get_mut(trained).values[0] = 7.0;
        assert_eq!(prove_frozen(&before, &parameters).unwrap().tensors, 1);
        parameters.get_mut(frozen).values[2] = 3.0 + f32::EPSILON * 2.0;
        assert!(prove_frozen(&before, &parameters).is_err());
    }

    #[test]
    fn a_trainable_tensor_without_gradient_fails_the_run() {
        let parameters = parameters();
        assert_eq!(prove_gradients(&parameters, &[false, true], &[]).unwrap().tensors, 1);
        let error = prove_gradients(&parameters, &[true, false], &[]).unwrap_err().to_string();
        assert!(error.contains("trained"), "{error}");
    }

    #[test]
    fn logits_that_differ_or_are_not_numbers_fail_the_run() {
        assert_eq!(prove_reload(&[1.0, 2.0], &[1.0, 2.0], 1, "test", 5).unwrap().largest_difference, 0.0);
        assert!(prove_reload(&[1.0, 2.0], &[1.0, 2.000_001], 1, "test", 0).is_err());
        assert!(prove_reload(&[f32::NAN], &[f32::NAN], 1, "test", 0).is_err());
        assert!(prove_reload(&[1.0], &[1.0, 1.0], 1, "test", 0).is_err());
    }

    #[test]
    fn tokens_that_differ_fail_the_run_and_the_error_says_where() {
        let same: Tokens<'_> = (&[2, 7, 8, 3], &[0; 4]);
        assert_eq!(prove_tokens([(same, same), (same, same)], "test").unwrap(), 8);
        let error = |other: Tokens<'_>| prove_tokens([(same, same), (same, other)], "test").unwrap_err().to_string();
        let ids = error((&[2, 7, 9, 3], &[0; 4]));
        assert!(ids.contains("test row 2, from token 3 on: expected ids [8, 3], found [9, 3]"), "{ids}");
        let shorter = error((&[2, 7, 8], &[0; 3]));
        assert!(shorter.contains("from token 4 on: expected ids [3], found []"), "{shorter}");
        let segments = error((&[2, 7, 8, 3], &[0, 0, 1, 1]));
        assert!(segments.contains("expected segments [0, 0], found [1, 1]"), "{segments}");
        assert!([ids, shorter, segments].iter().all(|error| error.lines().count() == 1));
    }
}
