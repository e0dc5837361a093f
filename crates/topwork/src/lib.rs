//! Transfer learning: recipe to plan to fit, with proofs.
