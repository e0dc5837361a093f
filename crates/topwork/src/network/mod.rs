//! A model at work: batches of rows through it, and what its layers say of them.

pub mod batch;
pub mod features;
pub mod prefix;
pub mod probe;
