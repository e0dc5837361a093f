//! One file for each command.

pub(crate) mod advise;
pub(crate) mod audit;
pub(crate) mod ctrl_c;
pub(crate) mod curve;
pub(crate) mod evaluate;
pub(crate) mod lists;
pub(crate) mod lr_find;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod pretrain;
pub(crate) mod report;
pub(crate) mod tune;
