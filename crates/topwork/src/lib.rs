//! Transfer learning: recipe to plan to fit, with proofs.

mod defaults;
pub mod error;
pub mod events;
pub mod facts;
pub mod fields;
pub mod plan;
pub mod plan_error;
pub mod policy;
pub mod recipe;
pub mod resolve;
pub mod schedule;
pub mod value;
