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
///
/// Each row has a key besides, a number that stays with it whatever the features, such as a hash of its text: where rows are drawn or
/// parted, the keys decide, so that the features of every layer and model are asked about the same rows. Rows with the same key are
/// taken for copies.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// The name in results.
    pub name: &'static str,
    /// Where it was proposed.
    pub source: &'static str,
    /// Computes it; none with fewer than two classes, or with features that are not finite.
    pub compute: fn(Matrix<'_>, &[u32], &[u64]) -> Option<f64>,
}

/// Every score, in the order in which they are shown.
pub const SCORES: &[Score] = &[
    Score {
        name: "linear_probe",
        source: "accuracy of softmax regression on rows that it was not fitted to, in five folds",
        compute: |features, classes, keys| Some(cross_validate(features, classes, keys)?.accuracy(classes)),
    },
    Score {
        name: "h_score",
        source: "Bao et al., ICIP 2019; shrunk: Ibrahim et al., ECML 2022",
        compute: |features, classes, _| h_score(features, classes),
    },
    Score { name: "logme", source: "You et al., ICML 2021", compute: |features, classes, _| logme(features, classes) },
    Score {
        name: "transrate",
        source: "Huang et al., ICML 2022",
        compute: |features, classes, _| transrate(features, classes),
    },
    Score { name: "nleep", source: "Li et al., CVPR 2021", compute: |features, classes, _| nleep(features, classes) },
    Score {
        name: "gbc",
        source: "Pándy et al., CVPR 2022",
        compute: |features, classes, _| gbc_of_components(features, classes),
    },
    Score {
        name: "pactran",
        source: "Ding et al., ECCV 2022; its bound with the sign changed",
        compute: |features, classes, _| Some(-pactran(features, classes)?.bound),
    },
    Score { name: "parc", source: "Bolya et al., NeurIPS 2021", compute: parc },
    Score {
        name: "knn",
        source: "accuracy of the three nearest other rows",
        compute: |features, classes, keys| knn_accuracy(features, classes, keys, 3),
    },
];

#[cfg(test)]
mod conformance;
