//! What of the pretrained model a run works with: as many layers, and the pooling, as were said or as the rows choose.

use std::path::Path;
use std::time::Instant;

use tokenizers::Tokenizer;
use topwork_data::{Dataset, Example, HoldOut, Targets, TokenizedTexts};
use topwork_models::{Checkpoint, HeadKind, ModelConfig};

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::network::batch::check_tokens;
use crate::plan::facts::Facts;
use crate::plan::recipe::Recipe;
use crate::plan::resolve::resolve;
use crate::plan::{Plan, layers, pooling};
use crate::run::thread_pool;
use crate::session::feature_probe::{self, Pretrained};
use crate::session::split::spread;

/// The configuration of a model, of as many layers as were said.
///
/// # Errors
/// When it cannot be read, or has fewer layers.
pub(crate) fn configured(source: &Path, recipe: &Recipe) -> Result<ModelConfig, Error> {
    let config = ModelConfig::load(source)?;
    layers::check(recipe, config.encoder().sizes().num_hidden_layers)?;
    Ok(match layers::said_layers(recipe) {
        Some(layers) => config.with_layers(layers, source)?,
        None => config,
    })
}

/// A plan with the pooling and the number of layers that the rows to learn from choose, where they choose, with the configuration of so many
/// layers and the seconds that took: the model reads the rows.
///
/// # Errors
/// When the weights cannot be read.
pub(crate) fn chosen_by_rows(
    recipe: &Recipe,
    mut facts: Facts,
    mut plan: Plan,
    tokenizer: &Tokenizer,
    (train, texts, targets, held_out): (&Dataset, &TokenizedTexts, &Targets, Option<&HoldOut>),
    (mut config, checkpoint, head, source): (ModelConfig, &Checkpoint, HeadKind, &Path),
    observer: &mut dyn Observer,
) -> Result<(Plan, ModelConfig, f64), Error> {
    let is_pooling_open = pooling::is_open(recipe, &facts);
    if !is_pooling_open && !layers::is_open(recipe, &plan) {
        return Ok((plan, config, 0.0));
    }
    let started = Instant::now();
    let most = plan.max_seq_length.value;
    // Rows that are held out have no say, and so many rows say enough.
    let rows = held_out.map_or_else(|| (0..train.examples.len()).collect(), |parts| parts.train.clone());
    let rows = spread(&rows, feature_probe::MOST);
    let (texts, targets) = (texts.select(&rows), targets.select(&rows));
    let texts = match texts.length_quantile(1.0) <= most {
        true => texts,
        false => {
            let examples: Vec<Example> = rows.iter().map(|&row| train.examples[row].clone()).collect();
            TokenizedTexts::tokenize(tokenizer, &examples, most, &train.path)?
        }
    };
    check_tokens(&texts, &config.encoder().sizes(), &train.path)?;
    let (seed, batch_size) = (plan.seed.value, plan.per_device_eval_batch_size.value);
    let threads = thread_pool(plan.threads.value)?;
    let pretrained = |config| Pretrained { config, checkpoint, head, seed, batch_size };
    if is_pooling_open {
        observer.event(&RunEvent::phase("choose the pooling"));
        let measured = || feature_probe::of_poolings(&pretrained(&config), &texts, &targets);
        facts.pooling_probe = Some(threads.install(measured)?);
        plan = resolve(recipe, &facts)?;
    }
    if layers::is_open(recipe, &plan) {
        observer.event(&RunEvent::phase("choose the layers"));
        let probe = threads.install(|| feature_probe::of_layers(&pretrained(&config), &texts, &targets))?;
        let layers = probe.best(facts.model.num_hidden_layers);
        config = config.with_layers(layers, source)?;
        (facts.model.num_hidden_layers, facts.layer_probe) = (layers, Some(probe));
        plan = resolve(recipe, &facts)?;
    }
    observer.event(&RunEvent::phase("tokenize"));
    Ok((plan, config, started.elapsed().as_secs_f64()))
}
