//! The engine: fused differentiable operations with hand-written backward passes, gradients and AdamW, on plain
//! buffers. It knows no model: a family composes the operations of [`Tape`].
//!
//! A batch of texts is one token axis `[tokens, width]` with the offsets of its [`Sequences`]; there is no padding.
//! All randomness is a function of a stream's number and a position ([`Dropout`]), so results depend neither on the
//! number of threads nor on the order of the rows in a batch.

mod adamw;
mod buffer;
mod matmul;
mod ops;
mod parameters;
mod random;
mod sequences;
mod simd;
mod tape;
mod tensor;

pub use adamw::{AdamW, AdamWOptions, AdamWState, MomentsState, Rates};
pub use buffer::{Buffer, Pool};
pub use ops::{Activation, Attention, BinaryCrossEntropy, CrossEntropy, EmbeddingTables, LayerNorm, SquaredError};
pub use parameters::{Gradients, Parameter, ParameterId, Parameters};
pub use random::{Dropout, mix};
pub use sequences::Sequences;
pub use tape::{LeafGradients, Mode, Tape, Value};
pub use tensor::Tensor;
