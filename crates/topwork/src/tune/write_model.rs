//! Writing the result of fine-tuning.

use std::collections::BTreeSet;

use topwork_data::text_hash;
use topwork_engine::Parameters;
use topwork_models::{ParameterSpec, Pooling, save_config, save_tokenizer};

use super::model_card::model_card;
use super::results::Results;
use crate::error::Error;
use crate::run::output_directory::{LEARNT_ROWS, OutputDirectory, RESULTS};
use crate::saved_config::SavedConfig;
use crate::session::inputs::Inputs;

/// Writes the model as `transformers` loads it.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write_model(
    output: &OutputDirectory,
    inputs: &Inputs,
    parameters: &Parameters,
    thresholds: Option<&[f64]>,
) -> Result<(), Error> {
    output.write_weights(parameters, &write_config(output, inputs, None, thresholds)?)?;
    save_tokenizer(&inputs.source, output.path(), &inputs.tokenizer, inputs.plan.max_seq_length.value)?;
    Ok(())
}

/// Writes `config.json`: as `transformers` reads it, and with what was fitted on held-out rows. Gives the layer that has to stand
/// above those of the model so that the first token's output, which `transformers` reads, is what the head reads.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_config(
    output: &OutputDirectory,
    inputs: &Inputs,
    temperature: Option<f64>,
    thresholds: Option<&[f64]>,
) -> Result<Vec<(ParameterSpec, Vec<f32>)>, Error> {
    let mut config = inputs.config.for_head(inputs.head(), inputs.saved_labels(), inputs.task.problem_type())?;
    // What was fitted for the model that this one was made from is not this one's.
    let saved = SavedConfig {
        task: Some(inputs.task.name().to_string()),
        columns: Some(inputs.columns.clone()),
        target_unit: inputs.scoring.scale.clone(),
        temperature,
        thresholds: thresholds.map(<[f64]>::to_vec),
    };
    if let Some(object) = config.as_object_mut() {
        saved.write(object);
    }
    let more = match inputs.plan.pooling.value {
        Pooling::FirstToken => Vec::new(),
        Pooling::MeanTokens => inputs.config.add_mean_layer(&mut config),
    };
    save_config(output.path(), &config)?;
    Ok(more)
}

/// Writes the model card and what was measured.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write_results(output: &OutputDirectory, inputs: &Inputs, results: &Results) -> Result<(), Error> {
    output.write("README.md", &model_card(inputs, results))?;
    let hashes: BTreeSet<u64> = inputs.train.examples.iter().map(text_hash).collect();
    output.write_bytes(LEARNT_ROWS, hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect::<Vec<u8>>())?;
    output.write_json(RESULTS, results)
}
