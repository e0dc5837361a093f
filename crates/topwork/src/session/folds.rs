//! In how many folds rows can be parted.

use topwork_data::{Dataset, Example, Strata, TargetKind, TargetSpace, distinct_texts};

use crate::error::Error;

/// The class with the fewest different texts, and how many they are; of all rows where they have no classes.
pub(crate) fn fewest_texts(examples: &[Example], strata: &Strata, space: &TargetSpace) -> Option<(usize, usize)> {
    let texts = match space.kind() {
        TargetKind::Class => strata.distinct_texts(examples),
        TargetKind::Labels | TargetKind::Value | TargetKind::TokenTags => {
            distinct_texts(examples, &vec![0; examples.len()], 1)
        }
    };
    // A class that is declared and has no row is in no fold.
    texts.into_iter().enumerate().filter(|(_, texts)| *texts > 0).min_by_key(|(_, texts)| *texts)
}

/// A class is in as many folds as it has different texts, and every fold needs one of it; other targets need as many different
/// texts as there are folds.
///
/// # Errors
/// When there are more folds than that.
pub(crate) fn check_folds(count: usize, train: &Dataset, strata: &Strata, space: &TargetSpace) -> Result<(), Error> {
    let Some((class, fewest)) = fewest_texts(&train.examples, strata, space) else { return Ok(()) };
    if count <= fewest {
        return Ok(());
    }
    let of = match space {
        TargetSpace::Class(labels) => format!(" of `{}`", labels.names().get(class).map_or("", String::as_str)),
        _ => String::new(),
    };
    let message =
        format!("folds: {}: expected at most {fewest}, the different texts{of}, found {count}", train.path.display());
    let hint = match fewest {
        0 | 1 if !of.is_empty() => "more texts of that class, or --validation FILE instead of folds".to_string(),
        0 | 1 => "more texts, or --validation FILE instead of folds".to_string(),
        fewest => format!("--folds {fewest}"),
    };
    Err(Error::run(message, hint))
}
