//! Model families and Hugging Face directories: config, weights, tokenizer, hub.
//!
//! A model is a local directory, or a hub id that [`locate`] turns into one. [`ModelConfig::load`] reads its
//! `config.json`, [`Checkpoint`] its weights, [`load_tokenizer`] its tokenizer; [`load_parameters`] joins the weights
//! with the [`ParameterSpec`]s of the family, strictly: every key of the checkpoint is used or named by a rule, every
//! parameter is found or declared new. [`write_safetensors`], [`save_config`] and [`save_tokenizer`] write a directory
//! that `transformers` loads.
//!
//! The crate never trains, never prints, and reads no pickle: a pickle runs code when it is opened.

mod config;
mod error;
mod families;
mod files;
mod hub;
mod load;
mod seedling;
mod tokenizer;
mod weights;

pub use config::{FamilyConfig, ModelConfig, save_config};
pub use error::{KeyMismatch, ModelError, WrongShape};
pub use families::bert::{self, BertConfig};
pub use families::{Block, FAMILIES, FamilyDescription, Head, KeyRule, ParameterKind, ParameterSpec};
pub use files::write_atomically;
pub use hub::{HubSettings, is_hub_id, locate};
pub use load::{HeadRule, LoadOptions, LoadReport, LoadedParameters, initial_parameters, load_parameters};
pub use seedling::{SEEDLING, SEEDLING_PROFILE, unpack_seedling};
pub use tokenizer::{
    SpecialIds, TokenizerKind, TokenizerOptions, check_tokenizer, continuations, load_tokenizer, max_length,
    save_tokenizer, tokenizer_file_names, tokenizer_files, train_tokenizer, with_prefix_space, write_trained_tokenizer,
};
pub use weights::{Checkpoint, Precision, TensorView, write_safetensors, write_safetensors_as};
