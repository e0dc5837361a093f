//! Transfer learning: recipe to plan to fit, with proofs.
//!
//! A [`Recipe`](plan::recipe::Recipe) is what the user said. [`Inputs::read`](session::inputs::Inputs::read) reads the files
//! and the model, and [`resolve`](plan::resolve::resolve) makes a [`Plan`](plan::Plan) of both: every value, with its origin
//! and its reason. [`tune`](tune::tune) carries the plan out and leaves a model directory; [`Predictor`](predict::Predictor)
//! reads such a directory back. What can be learnt is listed in [`TASKS`](tasks::TASKS). Nothing here prints: what happens is
//! reported to an [`Observer`](events::Observer).

pub mod advise;
pub mod error;
pub mod events;
pub mod fit;
pub mod judge;
pub mod network;
pub mod plan;
pub mod predict;
pub mod pretrain;
pub mod run;
mod saved_config;
pub mod session;
pub mod tasks;
pub mod tune;
mod words;
