//! Model families and Hugging Face directories: config, weights, tokenizer, hub.
//!
//! A model is a local directory, or a hub id that [`locate`] turns into one. [`ModelConfig::load`] reads its
//! `config.json`, [`Checkpoint`] its weights, [`load_tokenizer`] its tokenizer; [`Weights::load`] joins the checkpoint
//! with the [`ParameterSpec`]s of the family and a [`HeadKind`], strictly: every key of the checkpoint is used or named
//! by a rule, every parameter is found or declared new. [`Model::bind`] puts a [`Backbone`] and its head on the weights.
//! [`write_safetensors`], [`save_config`] and [`save_tokenizer`] write a directory that `transformers` loads.
//!
//! The crate never trains and never prints. Checkpoints of PyTorch are read by a machine that knows what state dicts need and
//! refuses everything else: nothing of a pickle is executed.

mod backbone;
mod config;
mod error;
mod families;
mod fields;
mod files;
mod heads;
mod hub;
mod layers;
mod load;
mod model;
mod names;
mod parameters;
mod places;
mod pytorch;
mod seedling;
mod sentence_encoder;
mod tokenizer;
mod weights;

pub use backbone::{Asked, Backbone, BlockInput, Tokens};
pub use config::{MEAN_LAYER, ModelConfig, ProblemType, save_config};
pub use error::{Content, KeyMismatch, ModelError, WrongShape};
pub use families::{
    DropoutRate, DropoutRates, EncoderConfig, FAMILIES, FamilyDescription, KeyRule, OF_NEW_MODELS, Sizes,
};
pub use files::write_atomically;
pub use heads::{HeadBranch, HeadKind, HeadLayout, HeadRule, OutputLayer, Part, Pooling};
pub use hub::{HubSettings, hub_id, locate};
pub use layers::Dropouts;
pub use load::{LoadReport, WeightOptions, Weights, checkpoint_has};
pub use model::{Input, Model, ModelOptions, OutputScale, PretrainingLogits};
pub use parameters::{Block, ParameterKind, ParameterSpec};
pub use places::Located;
pub use seedling::{SEEDLING, SEEDLING_PROFILE, unpack_seedling};
pub use sentence_encoder::{StatedPooling, pooling_of, save_pooling};
pub use tokenizer::{
    SpecialIds, TokenizerKind, TokenizerOptions, check_tokenizer, continuations, load_tokenizer, max_length,
    read_tokenizer, save_tokenizer, tokenizer_file_names, tokenizer_files, train_tokenizer, with_prefix_space,
    write_trained_tokenizer,
};
pub use weights::{Checkpoint, Precision, TensorView, write_safetensors, write_safetensors_as};
