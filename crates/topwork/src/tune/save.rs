//! Writing the result of fine-tuning.

use topwork_engine::Parameters;
use topwork_models::{save_config, save_tokenizer};

use super::model_card::model_card;
use super::results::Results;
use crate::error::Error;
use crate::predict::TEMPERATURE;
use crate::run::directory::{OutputDirectory, RESULTS};
use crate::session::inputs::Inputs;

/// Writes the classifier as `transformers` loads it.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write_model(output: &OutputDirectory, inputs: &Inputs, parameters: &Parameters) -> Result<(), Error> {
    output.write_weights(parameters)?;
    let mut config = inputs.config.for_classification(inputs.labels.names());
    // The temperature of the model that this one was made from is not this one's.
    config.as_object_mut().map(|object| object.remove(TEMPERATURE));
    save_config(output.path(), &config)?;
    save_tokenizer(&inputs.source, output.path(), &inputs.tokenizer, inputs.plan.max_seq_length.value)?;
    Ok(())
}

/// Writes `config.json` once more, with a temperature that was fitted.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_temperature(output: &OutputDirectory, inputs: &Inputs, temperature: f64) -> Result<(), Error> {
    let mut config = inputs.config.for_classification(inputs.labels.names());
    config.as_object_mut().map(|object| object.insert(TEMPERATURE.to_string(), temperature.into()));
    Ok(save_config(output.path(), &config)?)
}

/// Writes the model card and what was measured.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write_results(output: &OutputDirectory, inputs: &Inputs, results: &Results) -> Result<(), Error> {
    output.write("README.md", &model_card(inputs, results))?;
    output.write_json(RESULTS, results)
}
