//! Transfer learning: recipe to plan to fit, with proofs.
//!
//! A [`Recipe`](recipe::Recipe) is what the user said. [`Inputs::read`](inputs::Inputs::read) reads the files and the
//! model, and [`resolve`](resolve::resolve) makes a [`Plan`](plan::Plan) of both: every value, with its origin and its
//! reason. [`tune`](tune::tune) carries the plan out and leaves a model directory; [`Classifier`](classifier::Classifier)
//! reads such a directory back. Nothing here prints: what happens is reported to an [`Observer`](events::Observer).

pub mod advise;
pub mod audit;
pub mod batch;
pub mod block_watch;
pub mod checkpoint;
pub mod classifier;
pub mod curve;
mod defaults;
pub mod error;
pub mod events;
pub mod facts;
pub mod features;
pub mod fields;
pub mod fit;
pub mod hard_rows;
pub mod inputs;
pub mod lr_find;
mod masked_words;
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
pub mod repeats;
pub mod resolve;
pub mod results;
pub mod retained;
pub mod run;
pub mod run_directory;
pub mod schedule;
pub mod tasks;
pub mod tensorboard;
pub mod trace;
mod training;
pub mod transfer;
pub mod tune;
pub mod value;
pub mod verdict;
mod words;
