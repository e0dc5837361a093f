//! The report of a run, made from what it left in its directory.

use topwork::tune::finished_run::RunDirectory;

use crate::page::{Section, escaped, page};
use crate::{applicable, classes, confidence, hard_rows, headline, keeping, record, scores, thresholds, training};

/// The file of it in a run's directory.
pub const REPORT: &str = "report.html";

/// The report of a run.
pub fn report_page(run: &RunDirectory) -> String {
    let section = |id, title, body| Section { id, title, body };
    let sections = [
        section("result", "Result", scores::result(run)),
        section("verdict", "Verdict", headline::verdict(&run.results)),
        section("comparison", "What transfer bought", scores::comparison(run)),
        section("repeated", "The same training again", scores::repeated(run)),
        section("training", "Training", training::curves(run)),
        section("blocks", "Block by block", training::blocks(run) + &keeping::layers(&run.results)),
        section("kept", "What was kept", keeping::kept(&run.results)),
        section("classes", "Classes", classes::classes(run)),
        section("labels", "Labels", thresholds::thresholds(run)),
        section("confidence", "Confidence", confidence::confidence(&run.results)),
        section("rows", "Rows worth reading", hard_rows::rows(run)),
        section("left-out", "What does not apply", applicable::left_out(&run.results)),
        section("data", "Data", run.advice.as_ref().map_or(String::new(), record::data)),
        section("proofs", "Proofs", record::proofs(&run.results.proofs)),
        section("plan", "Plan", record::plan(run)),
        section("repeat", "How to repeat it", record::repeat(run)),
    ];
    let footer = format!("<p>topwork {}</p>", escaped(&run.results.topwork_version));
    page(&headline::title(run), &headline::header(run), &sections, &footer)
}
