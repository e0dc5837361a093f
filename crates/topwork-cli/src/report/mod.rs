//! The report of a run, and of several side by side: a page that needs nothing else, made from what runs left in their
//! directories.

mod answers;
mod compare;
mod headline;
mod keeping;
mod labels;
mod pictures;
mod record;
#[cfg(test)]
mod sample;
mod scores;
mod training;

use topwork::run_directory::RunDirectory;

use crate::page::{Section, escaped, page};

pub(crate) use compare::comparison_page;
pub(crate) use labels::curve_page;

/// The file of it in a run's directory.
pub(crate) const REPORT: &str = "report.html";

const STYLE: &str = include_str!("style.css");

/// The report of a run.
pub(crate) fn report_page(run: &RunDirectory) -> String {
    let section = |id, title, body| Section { id, title, body };
    let sections = [
        section("result", "Result", scores::result(run)),
        section("verdict", "Verdict", headline::verdict(&run.results)),
        section("comparison", "What transfer bought", scores::comparison(run)),
        section("repeated", "The same training again", scores::repeated(run)),
        section("training", "Training", training::curves(run)),
        section("blocks", "Block by block", training::blocks(run) + &keeping::layers(&run.results)),
        section("kept", "What was kept", keeping::kept(&run.results)),
        section("classes", "Classes", answers::classes(&run.results)),
        section("confidence", "Confidence", answers::confidence(&run.results)),
        section("rows", "Rows worth reading", run.hard_rows.as_ref().map_or(String::new(), answers::rows)),
        section("data", "Data", run.advice.as_ref().map_or(String::new(), record::data)),
        section("proofs", "Proofs", record::proofs(&run.results.proofs)),
        section("plan", "Plan", record::plan(run)),
        section("repeat", "How to repeat it", record::repeat(run)),
    ];
    let footer = format!("<p>topwork {}</p>", escaped(&run.results.topwork_version));
    page(&headline::title(run), STYLE, &headline::header(run), &sections, &footer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts, marks that turn the direction, ends of attributes and of elements.
    const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\"><img src=https://example.org onerror=x>\u{0}";

    #[test]
    fn hostile_labels_texts_and_names_come_out_escaped() {
        let run = sample::run(5, 40, HOSTILE);
        for page in [report_page(&run), comparison_page(&[run.clone(), run.clone()])] {
            assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "no label is shown");
            for part in ["<script", "<img", "\u{202e}", "\u{0}"] {
                assert!(!page.contains(part), "{part:?} is in the page");
            }
        }
    }

    #[test]
    fn a_page_stays_small_however_long_the_run_and_the_labels() {
        let long = "label ".repeat(20_000);
        for (classes, steps, label) in [(5, 100_000, "label"), (30, 500, &long), (300, 500, "class")] {
            let page = report_page(&sample::run(classes, steps, label));
            assert!(page.len() < 2_000_000, "{classes} classes, {steps} steps: {} bytes", page.len());
        }
    }

    #[test]
    fn every_section_is_reached_from_the_contents_and_every_picture_is_named() {
        let run = sample::run(5, 400, "label");
        let page = report_page(&run);
        for id in ["result", "verdict", "comparison", "training", "blocks", "kept", "classes", "confidence", "rows"] {
            assert!(
                page.contains(&format!("<a href=\"#{id}\">")) && page.contains(&format!("<section id=\"{id}\"")),
                "{id}"
            );
        }
        for svg in page.split("<svg").skip(1) {
            let opening = svg.split('>').next().unwrap_or_default();
            let is_named = opening.contains("role=\"img\"") && opening.contains("aria-label");
            assert!(is_named || opening.contains("aria-hidden"), "{opening}");
        }
        for table in page.split("<table").skip(1) {
            assert!(table.contains("<caption><span>"), "{}", &table[..200.min(table.len())]);
        }
    }
}
