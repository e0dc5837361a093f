//! What a run works on: files, model and plan, read and checked, and a training on them.

mod feature_probe;
pub(crate) mod files;
pub(crate) mod folds;
pub mod inputs;
mod label_names;
pub mod leaks;
pub(crate) mod masked_words;
mod model_choice;
pub mod profile;
pub mod retained;
pub mod split;
pub(crate) mod training;
pub mod unlabelled;

pub use files::label_names_in;
