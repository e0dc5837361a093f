//! The defaults of fine-tuning, one function each, with the reason that the plan shows; those of a single line stand in
//! `resolve.rs`. Pre-training's are in `pretrain/resolve.rs`.

use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_models::{DropoutRate, DropoutRates};

use crate::plan::facts::Facts;
use crate::plan::schedule::Schedule;
use crate::plan::value::{ClassWeights, HeadInit, Init, Method};
use crate::plan::{Origin, Resolved};

/// Few rows: below this, training takes more epochs, smaller batches and a higher learning rate.
const FEW_ROWS: usize = 2_000;
/// Fewer held-out rows than this tell epochs apart mostly by chance: at 200 rows, the standard error of an accuracy of
/// 85 % is 2.5 points.
const ENOUGH_TO_CHOOSE: usize = 200;
/// Models with fewer values in the matrices of their layers take higher learning rates: BERT-Mini has 3.1 M, MiniLM-L6
/// 10.6 M.
pub(crate) const SMALL_MODEL: usize = 5_000_000;
/// Models with fewer values in the matrices of their layers than this, and no fewer than [`SMALL_MODEL`], take twice the rate where they
/// learn tags: that was measured with MiniLM-L6; BERT-base has 85 M.
const MIDDLE_MODEL: usize = 30_000_000;
/// Longer texts are cut unless most rows are longer.
const USUAL_LENGTH: usize = 256;

/// A training with fewer floating-point operations than this takes seconds on two cores, and is worth repeating for
/// comparison.
const SHORT_TRAINING: f64 = 3e12;
/// The same, worth repeating once more.
const VERY_SHORT_TRAINING: f64 = 1e12;

/// A default that no fact changes.
pub(crate) fn fixed<T>(value: T, reason: &str) -> Resolved<T> {
    Resolved { value, origin: Origin::Default, reason: reason.to_string() }
}

pub(crate) fn because<T>(value: T, reason: String) -> Resolved<T> {
    Resolved { value, origin: Origin::Default, reason }
}

pub(crate) fn from_config<T>(value: T, key: &str) -> Resolved<T> {
    Resolved { value, origin: Origin::ModelConfig, reason: format!("{key} in config.json") }
}

/// Batches have no padding, so a limit above the longest row costs nothing and spares longer rows later.
pub(crate) fn max_seq_length(facts: &Facts) -> Resolved<usize> {
    let limit = facts.model.longest();
    let longest = facts.tokens.longest;
    if longest <= USUAL_LENGTH.min(limit) {
        return because(USUAL_LENGTH.min(limit), format!("no row is cut: the longest has {longest} tokens"));
    }
    let most = facts.tokens.p95.max(USUAL_LENGTH).next_multiple_of(8);
    if most >= limit {
        return because(limit, format!("the model's limit: the longest row has {longest} tokens"));
    }
    because(most, format!("95 % of the rows have at most {} tokens, the longest {longest}", facts.tokens.p95))
}

/// At most 3,000 rows are seen in all, but each at least three and at most twenty times.
pub(crate) fn num_train_epochs(facts: &Facts) -> Resolved<usize> {
    let epochs = (3_000 / facts.rows.max(1)).clamp(3, 20);
    because(epochs, format!("{} rows: up to 3,000 rows seen, 3 to 20 times", facts.rows))
}

/// Few rows make few steps; smaller batches make more of them.
pub(crate) fn batch_size(facts: &Facts) -> Resolved<usize> {
    if facts.rows < FEW_ROWS {
        return because(8, format!("{} rows, fewer than {FEW_ROWS}: smaller batches make more steps", facts.rows));
    }
    if facts.task.kind == TargetKind::TokenTags {
        return because(16, format!("{} rows, at least {FEW_ROWS}, and tags start from a random head", facts.rows));
    }
    because(32, format!("{} rows, at least {FEW_ROWS}", facts.rows))
}

/// The rate at which BERT was fine-tuned, doubled where there are few steps to move in; ten times that for small models,
/// whose features are worth less and have farther to go. Random weights have nothing to forget.
pub(crate) fn learning_rate(facts: &Facts, init: Init) -> Resolved<f64> {
    if init == Init::Random {
        return fixed(5e-4, "random weights have nothing to forget");
    }
    let (rate, rows) = match facts.rows {
        rows if rows < 5_000 => (1e-4, format!("{rows} rows, fewer than 5000: few steps to move in")),
        rows => (5e-5, format!("{rows} rows, at least 5000")),
    };
    let values = facts.model.layer_values();
    if values < SMALL_MODEL {
        let size =
            format!("{:.1} M values in layers, fewer than {:.0} M", values as f64 / 1e6, SMALL_MODEL as f64 / 1e6);
        return because(10.0 * rate, format!("{rows}; {size}: far to go"));
    }
    if facts.task.kind == TargetKind::TokenTags && facts.rows >= FEW_ROWS && values < MIDDLE_MODEL {
        return because(2.0 * rate, format!("{rows}; tags start from a random head: far to go"));
    }
    because(rate, rows)
}

/// A head that was fitted on few rows is soon sure of them all, and then the body learns nothing more of use.
pub(crate) fn label_smoothing_factor(facts: &Facts, method: Method) -> Resolved<f32> {
    if facts.task.kind != TargetKind::Class {
        return fixed(0.0, "it is of one class a row");
    }
    if method != Method::Finetune {
        return fixed(0.0, "the head is fitted to targets as they are");
    }
    if facts.rows < FEW_ROWS {
        return because(
            0.1,
            format!("{} rows, fewer than {FEW_ROWS}: keeps the head from being sure too soon", facts.rows),
        );
    }
    because(0.0, format!("{} rows, at least {FEW_ROWS}: targets are taken as they are", facts.rows))
}

pub(crate) fn lr_scheduler_type() -> Resolved<Schedule> {
    fixed(Schedule::Linear, "as Devlin et al. (2019) fine-tune")
}

pub(crate) fn warmup_ratio() -> Resolved<f64> {
    fixed(0.1, "AdamW's moments are noisy in the first steps")
}

pub(crate) fn weight_decay() -> Resolved<f64> {
    fixed(0.01, "as Devlin et al. (2019) fine-tune")
}

/// Lower layers hold what is general and need to move less.
pub(crate) fn layer_decay(init: Init) -> Resolved<f64> {
    if init == Init::Random {
        return fixed(1.0, "random layers have all to learn alike");
    }
    fixed(0.9, "lower layers hold what is general and move less")
}

/// Starting from a random head distorts the pretrained features (Kumar et al., 2022).
pub(crate) fn head_init(facts: &Facts, init: Init) -> Resolved<HeadInit> {
    if !facts.task.starts_from_probe {
        return because(HeadInit::Random, format!("{} has no linear model to start from", facts.task.name));
    }
    if init == Init::Random {
        return fixed(HeadInit::Random, "random features are not worth a probe");
    }
    if facts.task.kind == TargetKind::Value {
        return fixed(HeadInit::Random, "numbers came out better from a random head than from a fitted one");
    }
    fixed(HeadInit::LinearProbe, "a fitted head, scaled down, disturbs the pretrained features less than a random one")
}

pub(crate) fn hidden_dropout_prob(facts: &Facts) -> Resolved<f32> {
    of_rate(facts.model.dropouts.hidden)
}

pub(crate) fn attention_probs_dropout_prob(facts: &Facts) -> Resolved<f32> {
    of_rate(facts.model.dropouts.attention)
}

fn of_rate(rate: DropoutRate) -> Resolved<f32> {
    from_config(rate.value, rate.key)
}

/// The body's dropout unless the configuration has one for the head, as in `transformers`.
pub(crate) fn classifier_dropout(facts: &Facts, hidden_dropout: f32) -> Resolved<f32> {
    let DropoutRates { hidden, head, .. } = facts.model.dropouts;
    if head.key == hidden.key {
        return fixed(hidden_dropout, &format!("as {}", hidden.key));
    }
    of_rate(head)
}

pub(crate) fn class_weights() -> Resolved<ClassWeights> {
    fixed(ClassWeights::None, "every row counts the same")
}

/// Accuracy looks away from small classes.
pub(crate) fn metric_for_best_model(facts: &Facts) -> Resolved<Metric> {
    if facts.task.kind != TargetKind::Class {
        return because(facts.task.headline, format!("as {} is told by", facts.task.name));
    }
    let largest = facts.class_counts.iter().max().copied().unwrap_or(0);
    let smallest = facts.class_counts.iter().filter(|count| **count > 0).min().copied().unwrap_or(0);
    if largest <= 2 * smallest {
        return fixed(Metric::Accuracy, "no class has more than twice the rows of another");
    }
    because(
        Metric::MacroF1,
        format!("the classes have {smallest} to {largest} rows: accuracy would overlook the small"),
    )
}

/// Choosing between epochs needs enough rows to tell them apart.
pub(crate) fn load_best_model_at_end(validation_rows: usize, patience: Option<usize>) -> Resolved<bool> {
    if patience.is_some() && validation_rows > 0 {
        return fixed(true, "early_stopping_patience is given");
    }
    if validation_rows < ENOUGH_TO_CHOOSE {
        let reason = format!("{validation_rows} validation rows are too few to choose between epochs");
        return because(false, reason);
    }
    because(true, format!("{validation_rows} validation rows can tell epochs apart"))
}

/// Whether transfer bought anything is worth knowing where it costs less than a minute.
pub(crate) fn compare_seeds(facts: &Facts, method: Method, rows_seen: f64, has_held_out: bool) -> Resolved<usize> {
    if !has_held_out {
        return fixed(0, "no rows to compare on");
    }
    if method != Method::Finetune {
        return fixed(0, "words and a linear head are compared with in any case");
    }
    let tokens = rows_seen * facts.tokens.p50 as f64;
    // Forward, and backward to activations and weights: three products of two operations each.
    let operations = 6.0 * facts.model.layer_values() as f64 * tokens;
    let seeds = match operations {
        few if few < VERY_SHORT_TRAINING => 3,
        few if few < SHORT_TRAINING => 2,
        _ => 0,
    };
    if seeds > 0 {
        return because(seeds, format!("{tokens} tokens, a training of seconds: comparing costs less than a minute"));
    }
    because(0, format!("{tokens} tokens: each seed costs two more trainings"))
}

pub(crate) fn threads(facts: &Facts) -> Resolved<usize> {
    fixed(facts.cores.max(1), "every core; the result is the same for any number")
}
