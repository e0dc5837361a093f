//! One file for each command.

pub(crate) mod evaluate;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod pretrain;
pub(crate) mod run;
pub(crate) mod tune;
