//! How long: whether the training that is usual sees the rows often enough to arrive.

use serde::Serialize;

use crate::plan::Plan;
use crate::plan::defaults::SMALL_MODEL;
use crate::plan::value::Init;

/// Rows that a training of few rows has to see, all epochs together, those held out counted as well. With MiniLM, so many were best
/// on average on eight sets of 64 rows, and gained half a point on eight of 500, where the usual training sees 1,300 and
/// 3,000 (docs/experiments.md). Mosbach et al., "On the Stability of Fine-tuning BERT", ICLR 2021, found the same of sets
/// of some thousand rows: 20 epochs in place of 3.
const ROWS_SEEN: usize = 8_000;
/// The rows are not gone through more often, however few there are.
const MOST_EPOCHS: usize = 120;

/// A number of epochs, and what speaks for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LengthProposal {
    /// How often the training rows are gone through; none where `max_steps` decides.
    pub num_train_epochs: Option<usize>,
    /// Why.
    pub why: String,
}

/// Proposes the epochs for a plan; what the user `said` stays.
pub fn propose(plan: &Plan, said: bool) -> LengthProposal {
    let as_planned =
        |why: &str| LengthProposal { num_train_epochs: Some(plan.num_train_epochs.value), why: why.to_string() };
    if plan.max_steps.value.is_some() {
        return LengthProposal { num_train_epochs: None, why: "max_steps is given".to_string() };
    }
    if said {
        return as_planned("num_train_epochs is given");
    }
    if plan.init.value == Init::Random {
        return as_planned("tune's own; how long random weights take was not measured");
    }
    if plan.facts.model.layer_values() < SMALL_MODEL {
        return as_planned("tune's own; small models gained nothing from more");
    }
    for_rows(plan.facts.rows, plan.num_train_epochs.value)
}

fn for_rows(rows: usize, planned: usize) -> LengthProposal {
    let enough = (ROWS_SEEN / rows.max(1)).min(MOST_EPOCHS);
    if enough <= planned {
        let why = format!("tune's own: {rows} rows {planned} times are about {ROWS_SEEN} rows seen or more");
        return LengthProposal { num_train_epochs: Some(planned), why };
    }
    let why = format!(
        "{rows} rows {planned} times are {} rows seen, too few to arrive; {enough} times are {}",
        rows * planned,
        rows * enough
    );
    LengthProposal { num_train_epochs: Some(enough), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_seen_more_often_and_never_less_than_planned() {
        let epochs = |rows, planned| for_rows(rows, planned).num_train_epochs.unwrap_or_default();
        assert_eq!(epochs(500, 6), 16);
        assert_eq!(epochs(1_600, 3), 5);
        assert_eq!(epochs(5, 20), MOST_EPOCHS);
        for rows in [0, 1, 64, 500, 2_500, 100_000] {
            let own = epochs(rows, 3);
            // No set is seen more often than is enough, but where the plan does so.
            assert!(own == 3 || (own > 3 && own * rows <= ROWS_SEEN));
        }
    }
}
