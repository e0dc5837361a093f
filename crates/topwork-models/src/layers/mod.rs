//! What networks are composed of. A layer says which parameters it has, finds them by name, and puts its operations on
//! the tape; a variant of a linear map or of an attention is a change in one file.

mod attention;
mod dropouts;
mod embeddings;
mod feed_forward;
mod linear;
mod mean_layer;
pub(crate) mod norm;
mod post_norm;
mod specs;

pub(crate) use attention::SelfAttention;
pub use dropouts::Dropouts;
pub(crate) use embeddings::{Embeddings, Positions};
pub(crate) use feed_forward::FeedForward;
pub(crate) use linear::Linear;
pub(crate) use post_norm::{LayerNames, PostNormShape, TableNames};
pub(crate) use specs::{Names, SpecList};
