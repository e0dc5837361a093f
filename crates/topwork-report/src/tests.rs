//! Laws that hold for every page.

use topwork::events::trace::Trace;
use topwork::tune::run_directory::RunDirectory;

use crate::{comparison_page, curve_page, report_page, sample};

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

/// The values of `aria-label`, as they stand in a page.
fn aria_labels(page: &str) -> Vec<&str> {
    page.split("aria-label=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn names_that_are_read_aloud_hold_no_markup() {
    let mut long = sample::run(5, 40, &"label ".repeat(60));
    long.path = format!("runs/{}", "x".repeat(200)).into();
    let run = sample::run(5, 40, "label");
    let curve = serde_json::json!({
        "topwork_version": "0.1.0", "model": "model", "split": "test", "rows_scored": 9, "majority": 0.5, "seconds": 1.0,
        "sentence": "", "contenders": [{"name": "bag of <b>words</b>", "points": [
            {"rows": 8, "accuracies": [0.5], "accuracy": {"mean": 0.5}}, {"rows": 16, "accuracies": [0.6], "accuracy": {"mean": 0.6}},
        ]}],
    });
    let curve = serde_json::from_value(curve).expect("these are the fields of a curve");
    let pages = [
        (report_page(&run), "Loss: loss, nats by step. "),
        (comparison_page(&[run, long]), "A sample from 1.00 to 0.025; B xxx"),
        (curve_page(&curve), "bag of &lt;b&gt;words&lt;/b&gt; from 50.00 to 60.00"),
    ];
    for (page, expected) in &pages {
        let labels = aria_labels(page);
        assert!(labels.iter().any(|label| label.contains(expected)), "{expected}: {labels:?}");
        // A text of data may hold what looks like markup; our own markup may not be there, escaped or not.
        for label in labels {
            let own = label.replace("&lt;b&gt;words&lt;/b&gt;", "words");
            assert!(!own.contains(['<', '>']) && !own.contains("&lt;") && !own.contains("&amp;"), "{label}");
        }
    }
}

#[test]
fn a_section_whose_data_is_absent_says_why() {
    let mut run = sample::run(5, 40, "label");
    run.results.confusion = None;
    run.hard_rows = None;
    run.trace = Trace::default();
    let forgetting = &mut run.results.verdict.forgetting;
    (forgetting.cka, forgetting.drift, forgetting.missing) = (Vec::new(), Vec::new(), Vec::new());
    (forgetting.masked_lm_loss, forgetting.sentence) = (None, String::new());
    let mut large = run.clone();
    large.classes = Some(1201);
    let mut alone = run.clone();
    (alone.results.validation, alone.results.test) = (None, None);
    let mut random = run.clone();
    random.results.verdict.forgetting.sentence = "nothing to forget: the weights were random".to_string();
    let held_out = "does not say which class was given for which.";
    for (run, said) in [
        (&run, [held_out, "no <code>hard_rows.json</code>", "do not say what was kept"]),
        (&large, ["tells 1,201 classes apart", "at most 300", "<dt>Classes</dt><dd>1,201</dd>"]),
        (&alone, ["no answers to set beside", "no answers to show", "none were held out"]),
        (&random, [held_out, "no <code>hard_rows.json</code>", "<p>nothing to forget: the weights were random.</p>"]),
    ] {
        let page = report_page(run);
        for part in said.iter().chain(&["holds no steps", "says nothing of gradients", "how far each block moved"]) {
            assert!(page.contains(part), "{part}");
        }
        for id in ["training", "blocks", "kept", "classes", "rows"] {
            assert!(page.contains(&format!("<section id=\"{id}\"")), "{id} vanished");
        }
    }
    let page = comparison_page(&[sample::run(5, 40, "label"), large]);
    assert!(page.contains("B</b> <bdi>sample</bdi>: The model tells 1,201 classes apart"), "classes vanished");
}

#[test]
fn measures_that_have_no_value_are_shown_as_such() {
    let mut run = sample::run(5, 40, "label");
    let shown = |run: &RunDirectory, part: &str| report_page(run).contains(part);
    assert!(shown(&run, "<td>0.900</td>") && shown(&run, "CKA before and after"));
    run.results.verdict.forgetting.cka = vec![None];
    assert!(shown(&run, "<th scope=row class=text>CKA of the last layer</th><td>–</td><td>no value</td>"));
    run.results.verdict.forgetting.cka = Vec::new();
    assert!(!shown(&run, "CKA"), "nothing was compared");
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
