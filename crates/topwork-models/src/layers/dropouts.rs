//! How much is dropped out while training.

/// The probabilities of dropout at each kind of place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropouts {
    /// After the embeddings and after each sublayer.
    pub hidden: f32,
    /// On the attention probabilities.
    pub attention: f32,
    /// Within the head.
    pub head: f32,
}

impl Dropouts {
    /// No dropout anywhere.
    pub const NONE: Self = Self { hidden: 0.0, attention: 0.0, head: 0.0 };
}
