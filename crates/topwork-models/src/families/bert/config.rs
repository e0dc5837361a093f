//! The keys of BERT's `config.json`.

use topwork_engine::Activation;

use crate::config::Fields;
use crate::error::ModelError;
use crate::files::brief;

/// BERT's sizes and rates, under the names of `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the network.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads of a layer; they divide `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of a layer's middle.
    pub intermediate_size: usize,
    /// The activation in a layer's middle.
    pub hidden_act: Activation,
    /// Dropout of embeddings and sublayers.
    pub hidden_dropout_prob: f32,
    /// Dropout of attention probabilities.
    pub attention_probs_dropout_prob: f32,
    /// Dropout before the classifier; `hidden_dropout_prob` when absent.
    pub classifier_dropout: Option<f32>,
    /// The longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Segments: 2 for pairs of texts.
    pub type_vocab_size: usize,
    /// Added to the variance in a layer norm.
    pub layer_norm_eps: f64,
    /// Standard deviation of new weights.
    pub initializer_range: f64,
    /// The id of the padding token.
    pub pad_token_id: usize,
    /// The names of the classes by id, when there are any.
    pub id2label: Option<Vec<String>>,
    /// What kind of classification the head was trained for.
    pub problem_type: Option<String>,
}

impl BertConfig {
    /// Sizes that the weights depend on are required; for all else, an absent key has the value that `transformers`
    /// gives it.
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Self, ModelError> {
        refuse_variants(fields)?;
        let config = Self {
            vocab_size: fields.size("vocab_size")?,
            hidden_size: fields.size("hidden_size")?,
            num_hidden_layers: fields.size("num_hidden_layers")?,
            num_attention_heads: fields.size("num_attention_heads")?,
            intermediate_size: fields.size("intermediate_size")?,
            hidden_act: activation(fields)?,
            hidden_dropout_prob: fields.dropout_or("hidden_dropout_prob", 0.1)?,
            attention_probs_dropout_prob: fields.dropout_or("attention_probs_dropout_prob", 0.1)?,
            classifier_dropout: match fields.get("classifier_dropout") {
                Some(_) => Some(fields.dropout_or("classifier_dropout", 0.0)?),
                None => None,
            },
            max_position_embeddings: fields.size("max_position_embeddings")?,
            type_vocab_size: fields.size_or("type_vocab_size", 2)?,
            layer_norm_eps: fields.number_or("layer_norm_eps", 1e-12, "a positive number", |n| n > 0.0)?,
            initializer_range: fields.number_or("initializer_range", 0.02, "a positive number", |n| n > 0.0)?,
            pad_token_id: fields.id_or("pad_token_id", 0)?,
            id2label: labels(fields)?,
            problem_type: fields
                .get("problem_type")
                .map(|_| fields.required_text("problem_type"))
                .transpose()?
                .map(str::to_string),
        };
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            let expected = format!("a divisor of hidden_size {}", config.hidden_size);
            return Err(fields.invalid("num_attention_heads", expected, config.num_attention_heads.to_string()));
        }
        Ok(config)
    }
}

/// Variants that bear the name BERT and compute something else.
fn refuse_variants(fields: &Fields<'_>) -> Result<(), ModelError> {
    let positions = fields.text_or("position_embedding_type", "absolute")?;
    if positions != "absolute" {
        return Err(fields.invalid("position_embedding_type", "\"absolute\"", format!("{positions:?}")));
    }
    for key in ["is_decoder", "add_cross_attention"] {
        match fields.get(key) {
            Some(value) if value.as_bool() != Some(false) => {
                return Err(fields.invalid(key, "false, as in an encoder", brief(value)));
            }
            _ => {}
        }
    }
    Ok(())
}

fn activation(fields: &Fields<'_>) -> Result<Activation, ModelError> {
    match fields.text_or("hidden_act", "gelu")? {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(fields.invalid("hidden_act", "gelu, gelu_new, gelu_pytorch_tanh or relu", format!("{other:?}"))),
    }
}

/// `id2label`, whose keys are the ids from 0 on, written as strings.
fn labels(fields: &Fields<'_>) -> Result<Option<Vec<String>>, ModelError> {
    const EXPECTED: &str = "an object from \"0\", \"1\", ... to names";
    let Some(value) = fields.get("id2label") else { return Ok(None) };
    let invalid = || fields.invalid("id2label", EXPECTED, brief(value));
    let object = value.as_object().ok_or_else(invalid)?;
    let labels: Option<Vec<String>> =
        (0..object.len()).map(|id| Some(object.get(&id.to_string())?.as_str()?.to_string())).collect();
    labels.map(Some).ok_or_else(invalid)
}
