//! Transfer learning: recipe to plan to fit, with proofs.
//!
//! A [`Recipe`](recipe::Recipe) is what the user said. [`Inputs::read`](inputs::Inputs::read) reads the files and the
//! model, and [`resolve`](resolve::resolve) makes a [`Plan`](plan::Plan) of both: every value, with its origin and its
//! reason. [`tune`](tune::tune) carries the plan out and leaves a model directory; [`Classifier`](classifier::Classifier)
//! reads such a directory back. Nothing here prints: what happens is reported to an [`Observer`](events::Observer).

pub mod advise;
pub mod audit;
pub mod batch;
pub mod checkpoint;
pub mod classifier;
mod defaults;
pub mod error;
pub mod events;
pub mod facts;
pub mod features;
pub mod fields;
pub mod fit;
pub mod inputs;
pub mod lr_find;
mod model_card;
pub mod objectives;
pub mod output;
pub mod plan;
pub mod plan_error;
pub mod policy;
pub mod prefix;
pub mod pretrain;
pub mod probe;
pub mod proofs;
pub mod recipe;
pub mod resolve;
pub mod results;
pub mod run;
pub mod schedule;
pub mod tasks;
mod training;
pub mod transfer;
pub mod tune;
pub mod value;
