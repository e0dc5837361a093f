//! Fused differentiable operations, gradients and optimizers on plain buffers; knows no model.
