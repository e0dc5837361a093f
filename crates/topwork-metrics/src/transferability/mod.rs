//! How well features fit classes, without training the network that made them: what predicts which pretrained model will do
//! best at a task.
//!
//! A score is a file here and a line in [`SCORES`]; the conformance suite walks that list. Scores compare models on the
//! same rows; they mean nothing across tasks.

mod gbc;
mod h_score;
mod knn;
mod leep;
mod linear_probe;
mod logme;
mod nleep;
mod pactran;
mod parc;
mod transrate;

pub use gbc::{gbc, gbc_of_components};
pub use h_score::{h_score, h_score_unshrunk};
pub use knn::knn_accuracy;
pub use leep::leep;
pub use linear_probe::{CrossValidation, FOLDS, cross_validate, folds, standardise};
pub use logme::logme;
pub use nleep::nleep;
pub use pactran::{PacTran, pactran};
pub use parc::parc;
pub use transrate::transrate;

use crate::matrix::Matrix;

/// A score of features `[rows, columns]` and the class of each row; higher is better.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// The name in results.
    pub name: &'static str,
    /// Where it was proposed.
    pub source: &'static str,
    /// Computes it; none with fewer than two classes, or with features that are not finite.
    pub compute: fn(Matrix<'_>, &[u32]) -> Option<f64>,
}

/// Every score, in the order in which they are shown.
pub const SCORES: &[Score] = &[
    Score {
        name: "linear_probe",
        source: "accuracy of softmax regression on rows that it was not fitted to, in five folds",
        compute: |features, classes| Some(cross_validate(features, classes)?.accuracy(classes)),
    },
    Score { name: "h_score", source: "Bao et al., ICIP 2019; shrunk: Ibrahim et al., ECML 2022", compute: h_score },
    Score { name: "logme", source: "You et al., ICML 2021", compute: logme },
    Score { name: "transrate", source: "Huang et al., ICML 2022", compute: transrate },
    Score { name: "nleep", source: "Li et al., CVPR 2021", compute: nleep },
    Score { name: "gbc", source: "Pándy et al., CVPR 2022", compute: gbc_of_components },
    Score {
        name: "pactran",
        source: "Ding et al., ECCV 2022; its bound with the sign changed",
        compute: |features, classes| Some(-pactran(features, classes)?.bound),
    },
    Score { name: "parc", source: "Bolya et al., NeurIPS 2021", compute: parc },
    Score {
        name: "knn",
        source: "accuracy of the three nearest other rows",
        compute: |features, classes| knn_accuracy(features, classes, 3),
    },
];

#[cfg(test)]
mod conformance;
