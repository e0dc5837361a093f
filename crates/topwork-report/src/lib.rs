//! Pages made from what runs and measurements left. A page is one HTML file that needs nothing else: no script runs in it and
//! nothing is fetched, whatever the data holds. Everything here is a pure function to a `String`; nothing is measured, read or
//! written.
//!
//! The log for TensorBoard is not made here: it is written while a run goes on, by an observer in `topwork::events`, and this
//! crate depends on `topwork`.

mod advice_models;
mod advice_page;
#[cfg(test)]
mod advice_tests;
mod applicable;
mod audit_tables;
mod chance;
mod classes;
mod compare;
mod confidence;
mod hard_rows;
mod headline;
mod keeping;
mod label_curve;
mod metric_text;
mod over_seeds;
mod page;
mod phrases;
mod pictures;
mod record;
mod run_page;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod sample_advice;
mod scores;
#[cfg(test)]
mod tests;
mod thresholds;
mod training;

pub use advice_page::advice_page;
pub use compare::comparison_page;
pub use label_curve::curve_page;
pub use phrases::{length_of, most_frequent, part_of, plain_number, target_of, task_of, texts_of, turns_direction};
pub use run_page::{REPORT, report_page};
