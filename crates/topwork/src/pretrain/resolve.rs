//! From recipe to plan, as [`crate::plan::resolve`] for fine-tuning: the only place that decides values.

use topwork_models::TokenizerKind;

use super::facts::{PretrainFacts, SourceFacts};
use super::options::{ObjectiveWeights, Preset, PretrainPlan, PretrainRecipe, Span};
use crate::plan::defaults::{because, fixed, from_config};
use crate::plan::error::PlanError;
use crate::plan::recipe::{Options, Place, Said};
use crate::plan::resolve::{check_pins, count, dropout, moment, said};
use crate::plan::schedule::Schedule;
use crate::plan::{Entry, Origin, Resolved, write_toml};
use crate::tasks::objectives::mlm::Mlm;

/// What a run with this recipe will do.
///
/// # Errors
/// When something without a default was not said, a value is out of range, two things contradict each other, or a fact
/// that the recipe pins has changed.
pub fn resolve(recipe: &PretrainRecipe, facts: &PretrainFacts) -> Result<PretrainPlan, PlanError> {
    check_contradictions(recipe, facts.model.as_ref())?;
    let warning = check_pins(&recipe.pins, &facts.pins(), PretrainRecipe::PINNED)?;
    let source = facts.model.as_ref();
    let preset = said(&recipe.preset, "preset").or(|| fixed(Preset::Mini, "an hour or more on a laptop"));
    let shape = preset.value.shape();
    let of_preset = |size| because(size, format!("preset {}", preset.value.name()));
    // The sizes of a model to go on from are its own.
    let size = |said: &Option<Said<usize>>, key, own: Option<usize>, preset: usize| match own {
        Some(own) => Ok(Resolved { value: own, origin: Origin::ModelConfig, reason: key_of(key) }),
        None => Ok::<_, PlanError>(count(said, key)?.or(|| of_preset(preset))),
    };
    let hidden = size(&recipe.hidden_size, "hidden_size", source.map(|s| s.hidden_size), shape.hidden)?;
    let heads =
        size(&recipe.num_attention_heads, "num_attention_heads", source.map(|s| s.num_attention_heads), shape.heads)?;
    if !hidden.value.is_multiple_of(heads.value) {
        return Err(PlanError::Policy {
            message: format!(
                "num_attention_heads: expected a divisor of hidden_size {}, found {}",
                hidden.value, heads.value
            ),
        });
    }
    let longest = source.map_or(1 << 15, |source| source.max_position_embeddings);
    let objective = said(&recipe.objective, "objective").within("weights above 0", weights_fit)?.or(|| {
        fixed(ObjectiveWeights { mlm: Some(1.0), ..ObjectiveWeights::default() }, "hidden words teach the most")
    });
    let is_new = source.is_none();
    let batch_size = count(&recipe.per_device_train_batch_size, "per_device_train_batch_size")?
        .or(|| fixed(if is_new { 64 } else { 32 }, "steps enough, and none too noisy"));
    let accumulation = count(&recipe.gradient_accumulation_steps, "gradient_accumulation_steps")?
        .or(|| fixed(1, "one pass makes one step"));
    check_partners(&objective.value, batch_size.value, accumulation.value)?;
    let budget_is_said = recipe.max_steps.is_some() || recipe.max_tokens.is_some() || recipe.max_time.is_some();
    let above_zero = "a number above 0 and below 1";
    Ok(PretrainPlan {
        model_name_or_path: said(&recipe.model_name_or_path, "model_name_or_path").or_absent("a new model"),
        num_hidden_layers: size(
            &recipe.num_hidden_layers,
            "num_hidden_layers",
            source.map(|s| s.num_hidden_layers),
            shape.layers,
        )?,
        intermediate_size: size(
            &recipe.intermediate_size,
            "intermediate_size",
            source.map(|s| s.intermediate_size),
            4 * hidden.value,
        )?,
        hidden_size: hidden,
        num_attention_heads: heads,
        max_seq_length: said(&recipe.max_seq_length, "max_seq_length")
            .within(&format!("8 to {longest} tokens"), |length| (8..=longest).contains(length))?
            .or(|| fixed(128.min(longest), "long enough for most texts to classify")),
        tokenizer_type: said(&recipe.tokenizer_type, "tokenizer_type")
            .or(|| fixed(TokenizerKind::WordPiece, "as Devlin et al. (2019) part words")),
        vocab_size: match source {
            Some(source) => {
                Resolved { value: source.vocab_size, origin: Origin::ModelConfig, reason: key_of("vocab_size") }
            }
            None => count(&recipe.vocab_size, "vocab_size")?.or(|| of_preset(shape.vocabulary)),
        },
        do_lower_case: said(&recipe.do_lower_case, "do_lower_case").or(|| fixed(true, "few texts: forms are shared")),
        preset,
        hidden_dropout_prob: dropout(&recipe.hidden_dropout_prob, "hidden_dropout_prob")?
            .or(|| pretraining_dropout(source.map(|s| s.hidden_dropout_prob), "hidden_dropout_prob")),
        attention_probs_dropout_prob: dropout(&recipe.attention_probs_dropout_prob, "attention_probs_dropout_prob")?
            .or(|| pretraining_dropout(source.map(|s| s.attention_probs_dropout_prob), "attention_probs_dropout_prob")),

        corpus_files: said(&recipe.corpus_files, "corpus_files").required()?,
        text_column: said(&recipe.text_column, "text_column").or_absent("found by its usual name"),
        line_by_line: said(&recipe.line_by_line, "line_by_line").or(|| fixed(false, "a blank line ends a document")),
        validation_fraction: said(&recipe.validation_fraction, "validation_fraction")
            .within("a number from 0 to below 1", |fraction| (0.0..1.0).contains(fraction))?
            .or(|| fixed(0.02, "enough to measure on")),
        max_eval_samples: count(&recipe.max_eval_samples, "max_eval_samples")?
            .or(|| fixed(1_024, "about 20,000 hidden words")),
        shuffle_buffer: count(&recipe.shuffle_buffer, "shuffle_buffer")?.or(|| fixed(16_384, "bounds memory")),
        output_dir: said(&recipe.output_dir, "output_dir")
            .or(|| fixed(facts.unused_output_dir.clone(), "a name that is not taken")),

        objective,
        shuffle_pair_labels: said(&recipe.shuffle_pair_labels, "shuffle_pair_labels")
            .or(|| fixed(false, "only a control shuffles them")),
        mlm_probability: said(&recipe.mlm_probability, "mlm_probability")
            .within(above_zero, |part| *part > 0.0 && *part < 1.0)?
            .or(|| fixed(Mlm::default().probability, "as Devlin et al. (2019) pre-train")),
        mask_unit: said(&recipe.mask_unit, "mask_unit")
            .or(|| fixed(Mlm::default().unit, "the rest of a word gives it away")),
        mask_replacement: said(&recipe.mask_replacement, "mask_replacement")
            .or(|| fixed(Mlm::default().replacement, "as Devlin et al. (2019) pre-train")),

        num_train_epochs: match &recipe.num_train_epochs {
            None if budget_is_said => fixed(None, "another budget is given"),
            None if is_new => fixed(Some(10.0), "a small corpus is worth going through often"),
            None => fixed(Some(3.0), "a pretrained model needs less"),
            epochs @ Some(_) => said(epochs, "num_train_epochs")
                .within("a number above 0", |epochs| *epochs > 0.0 && epochs.is_finite())?
                .or_absent(""),
        },
        max_steps: count(&recipe.max_steps, "max_steps")?.or_absent(""),
        max_tokens: said(&recipe.max_tokens, "max_tokens")
            .within("at least 1 token", |tokens| *tokens > 0)?
            .or_absent(""),
        max_time: said(&recipe.max_time, "max_time").or_absent(""),
        per_device_train_batch_size: batch_size,
        gradient_accumulation_steps: accumulation,
        learning_rate: said(&recipe.learning_rate, "learning_rate")
            .within(above_zero, |rate| *rate > 0.0 && *rate < 1.0)?
            .or(|| match is_new {
                true => fixed(1e-3, "a new, small model"),
                false => fixed(1e-4, "a pretrained model is not to forget"),
            }),
        lr_scheduler_type: said(&recipe.lr_scheduler_type, "lr_scheduler_type")
            .or(|| fixed(Schedule::Linear, "as Devlin et al. (2019) pre-train")),
        warmup_ratio: said(&recipe.warmup_ratio, "warmup_ratio")
            .within("a number from 0 to 1", |ratio| (0.0..=1.0).contains(ratio))?
            .or(|| fixed(0.05, "AdamW's moments are noisy in the first steps")),
        weight_decay: said(&recipe.weight_decay, "weight_decay")
            .within("a number from 0 to 10", |decay| (0.0..=10.0).contains(decay))?
            .or(|| fixed(0.01, "as Devlin et al. (2019) pre-train")),
        adam_beta1: moment(&recipe.adam_beta1, "adam_beta1")?.or(|| fixed(0.9, "AdamW's own")),
        adam_beta2: moment(&recipe.adam_beta2, "adam_beta2")?.or(|| fixed(0.98, "as Liu et al. (2019) pre-train")),
        adam_epsilon: said(&recipe.adam_epsilon, "adam_epsilon")
            .within(above_zero, |epsilon| *epsilon > 0.0 && *epsilon < 1.0)?
            .or(|| fixed(1e-6, "as Liu et al. (2019) pre-train")),
        max_grad_norm: said(&recipe.max_grad_norm, "max_grad_norm")
            .within("a number from 0", |norm| *norm >= 0.0 && norm.is_finite())?
            .or(|| fixed(1.0, "as Devlin et al. (2019) pre-train")),
        save_every: said(&recipe.save_every, "save_every")
            .or(|| fixed(Span { seconds: 300.0 }, "no more than that is lost")),
        seed: said(&recipe.seed, "seed").or(|| fixed(42, "any number names a run")),
        threads: said(&recipe.threads, "threads")
            .within("1 to 1024", |threads| (1..=1024).contains(threads))?
            .or(|| fixed(facts.cores.max(1), "every core; the result is the same for any number")),
        facts: facts.clone(),
        warnings: warning.into_iter().collect(),
    })
}

impl PretrainPlan {
    /// The plan as a recipe: each value with a comment that gives its origin and its reason, and the facts that pin the
    /// run.
    pub fn to_toml(&self) -> String {
        let entries: Vec<Entry> = self.entries();
        write_toml("pretrain", &entries, &self.facts.pins())
    }
}

fn key_of(key: &str) -> String {
    format!("{key} in config.json")
}

/// A new, small model sees too much text to learn it by heart.
fn pretraining_dropout(own: Option<f32>, key: &'static str) -> Resolved<f32> {
    match own {
        Some(own) => from_config(own, key),
        None => fixed(0.0, "a small model does not learn a corpus by heart"),
    }
}

fn weights_fit(weights: &ObjectiveWeights) -> bool {
    weights.list().all(|(_, weight)| weight > 0.0 && weight.is_finite())
}

/// A passage is told from another one of the same step, or of the same pass where a softmax goes over them.
fn check_partners(objective: &ObjectiveWeights, batch_size: usize, accumulation: usize) -> Result<(), PlanError> {
    let (name, together) = match (objective.contrastive, objective.nsp) {
        (Some(_), _) => ("contrastive", batch_size),
        (None, Some(_)) => ("nsp", batch_size * accumulation),
        (None, None) => return Ok(()),
    };
    if together < 2 {
        return Err(PlanError::Policy {
            message: format!(
                "per_device_train_batch_size: expected at least 2 for {name}, found {batch_size}: one passage has no other to be told from"
            ),
        });
    }
    Ok(())
}

fn check_contradictions(recipe: &PretrainRecipe, source: Option<&SourceFacts>) -> Result<(), PlanError> {
    let contradiction = |first: String, second: String, reason: &str, hint: &str| {
        Err(PlanError::Contradiction { first, second, reason: reason.into(), hint: hint.into() })
    };
    let budgets: Vec<String> = [
        recipe.num_train_epochs.as_ref().map(|said| said.place.of("num_train_epochs")),
        recipe.max_steps.as_ref().map(|said| said.place.of("max_steps")),
        recipe.max_tokens.as_ref().map(|said| said.place.of("max_tokens")),
        recipe.max_time.as_ref().map(|said| said.place.of("max_time")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let [first, second, ..] = &budgets[..] {
        return contradiction(first.clone(), second.clone(), "expected one budget, found two", "leave one of them out");
    }
    if let Some(said) = &recipe.objective {
        let pairs: Vec<&str> = said.value.list().map(|(name, _)| name).filter(|name| *name != "mlm").collect();
        if let [first, second, ..] = pairs[..] {
            return contradiction(
                format!("{}: {first}", said.place.of("objective")),
                second.into(),
                "passages are paired in one way at a time, and a model has one head for pairs",
                &format!("--objective mlm,{first} or --objective mlm,{second}"),
            );
        }
    }
    if let Some(control) = recipe.shuffle_pair_labels.as_ref().filter(|said| said.value) {
        let objective = recipe.objective.as_ref();
        if objective.is_none_or(|said| !said.value.has_pair_head()) {
            return contradiction(
                control.place.of("shuffle_pair_labels"),
                objective.map_or("the default objective mlm".into(), |said| said.place.of("objective")),
                "expected nsp or sop to shuffle the answers of, found neither",
                "--objective mlm,nsp",
            );
        }
    }
    let Some(from) = recipe.model_name_or_path.as_ref() else { return Ok(()) };
    // A recipe may be the plan of an earlier run, where these were the model's own: only its sizes can be compared.
    let own = |size: fn(&SourceFacts) -> usize| source.map(size);
    let sizes = [
        (&recipe.num_hidden_layers, "num_hidden_layers", own(|source| source.num_hidden_layers)),
        (&recipe.hidden_size, "hidden_size", own(|source| source.hidden_size)),
        (&recipe.num_attention_heads, "num_attention_heads", own(|source| source.num_attention_heads)),
        (&recipe.intermediate_size, "intermediate_size", own(|source| source.intermediate_size)),
        (&recipe.vocab_size, "vocab_size", own(|source| source.vocab_size)),
    ];
    let sizes = sizes.into_iter().filter_map(|(said, key, own)| {
        let said = said.as_ref()?;
        Some((&said.place, key, own == Some(said.value)))
    });
    let others = [
        (recipe.preset.as_ref().map(|said| &said.place), "preset"),
        (recipe.tokenizer_type.as_ref().map(|said| &said.place), "tokenizer_type"),
        (recipe.do_lower_case.as_ref().map(|said| &said.place), "do_lower_case"),
    ];
    let others = others.into_iter().filter_map(|(place, key)| Some((place?, key, true)));
    for (place, key, is_own) in sizes.chain(others) {
        if matches!(place, Place::Flag { .. }) || (!is_own && source.is_some()) {
            let reason = "a model to go on from keeps its sizes and its tokenizer";
            return contradiction(from.place.of("model_name_or_path"), place.of(key), reason, "leave one of them out");
        }
    }
    Ok(())
}
