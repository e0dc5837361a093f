//! The closed set of fused differentiable operations. Each file holds one: forward, backward, and a readable reference
//! in double precision that its test compares with.

mod activation;
mod affine;
mod attention;
mod binary_cross_entropy;
mod cosine;
mod cross_entropy;
mod dropout;
mod embedding;
mod layer_norm;
mod linear;
mod mean;
mod pair_error;
mod rows;
mod squared_error;
mod standardise;
mod weighted_sum;

#[cfg(test)]
mod conformance;

pub use activation::Activation;
pub use attention::Attention;
pub use binary_cross_entropy::BinaryCrossEntropy;
pub use cross_entropy::CrossEntropy;
pub use embedding::EmbeddingTables;
pub use layer_norm::LayerNorm;
pub use squared_error::SquaredError;
