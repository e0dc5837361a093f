//! What a model learns.

pub mod classification;
pub mod objectives;
pub mod pretraining;
