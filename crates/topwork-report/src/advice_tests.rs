//! Laws for the pages of advice and of label curves, whatever the task.

use topwork::advise::Advice;
use topwork::tasks::{Part, Supervised, TASKS};
use topwork_metrics::Metric;

use crate::metric_text::{bounds_text, text};
use crate::page::escaped;
use crate::phrases::part_of;
use crate::{advice_page, curve_page, plain_number, sample_advice, task_of};

/// Scripts, marks that turn the direction, ends of attributes and of elements.
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\"><img src=https://example.org onerror=x>\u{0}";

fn tasks() -> Vec<&'static dyn Supervised> {
    TASKS.iter().filter_map(|task| task.supervised).collect()
}

fn page_of(name: &str) -> String {
    let advice = |task: &&'static dyn Supervised| sample_advice::advice(*task, "sample");
    let own: Vec<Advice> = tasks().iter().filter(|task| task.name() == name).map(advice).collect();
    assert_eq!(own.len(), 1, "{name}");
    advice_page(&own[0])
}

#[test]
fn pages_name_the_task_and_what_is_left_out_with_the_reason() {
    for task in tasks() {
        let advice = sample_advice::advice(task, "sample");
        let (page, curve) = (advice_page(&advice), curve_page(&sample_advice::curve(task, "sample")));
        let named = format!("Task: {}.", task_of(task.name()));
        assert!(page.contains(&named) && curve.contains(&named), "{named}");
        assert!(page.contains("recognised by the data: sample"));
        for (part, why) in &advice.not_applicable {
            assert!(page.contains(&format!("<b>{}</b>: {}", part_of(part), escaped(why))), "{}: {part}", task.name());
        }
        assert_eq!(page.contains("id=\"left-out\""), !advice.not_applicable.is_empty(), "{}", task.name());
        assert!(curve.contains("<section id=\"left-out\"") && curve.contains("<b>bag of words</b>: sample"));
        // Without an expectation the time of a run is still said.
        assert!(page.contains("takes about 34 s"), "{}", task.name());
    }
}

#[test]
fn no_page_speaks_of_accuracy_where_the_score_is_another() {
    for task in tasks().into_iter().filter(|task| task.headline() != Metric::Accuracy) {
        let pages =
            [advice_page(&sample_advice::advice(task, "sample")), curve_page(&sample_advice::curve(task, "sample"))];
        for page in pages {
            let page = page.to_lowercase();
            for word in ["accuracy", "parc", "majority", "most frequent class", "h-score"] {
                assert!(!page.contains(word), "{}: {word}", task.name());
            }
        }
    }
}

#[test]
fn a_curve_is_told_by_its_metric() {
    for task in tasks() {
        let metric = task.headline();
        let page = curve_page(&sample_advice::curve(task, "sample"));
        for value in [0.5, 0.75] {
            let cell = format!("{} ({})", text(metric, value), bounds_text(metric, (value - 0.125, value + 0.125)));
            assert!(page.contains(&cell), "{}: {cell}", task.name());
        }
        assert!(page.contains(metric.label()) && page.contains(&format!("has {}", text(metric, 0.25))), "{metric}");
        let mut unknown = sample_advice::curve(task, "sample");
        unknown.majority = None;
        assert!(!curve_page(&unknown).contains(" has "), "{metric}: nothing is known of a guess");
    }
}

#[test]
fn models_are_ranked_by_the_metric_of_a_head_where_there_is_one() {
    for task in tasks().into_iter().filter(|task| task.why_not(Part::Transferability).is_some()) {
        let page = advice_page(&sample_advice::advice(task, "sample"));
        let metric = task.headline();
        let ranked = task.why_not(Part::FrozenHead).is_none();
        for value in [0.4375, 0.5625] {
            assert_eq!(page.contains(&text(metric, value)), ranked, "{}: {value}", task.name());
        }
        assert_eq!(page.contains(&format!("ranked by {}", metric.label())), ranked, "{}", task.name());
        assert!(!page.contains("Layer by layer"), "{}", task.name());
        assert_eq!(page.contains("loss, nats"), !task.metrics().contains(&Metric::Rmse), "{}", task.name());
    }
}

#[test]
fn what_was_found_in_labels_numbers_and_tags_is_shown() {
    let rows = "<bdi>sample</bdi></th><td>7</td><td>2</td>";
    let malformed = "17</th><td class=text>test</td><td class=text>expected a number, found sample";
    for (task, parts) in [
        ("classification", vec![rows, "Rows of each class", malformed]),
        ("multi_label", vec![rows, "Rows without any label: 13 train, 3 test.", malformed]),
        ("regression", vec!["<td>3.25</td><td>4.875</td>", ">99.5<", ">4, 9<", "<td>1.5</td><td>4.5</td>", malformed]),
        ("token_classification", vec![rows, "IOB2", "O or B-PER", "O</bdi> (5)", "Words of each tag", malformed]),
    ] {
        let page = page_of(task);
        for part in parts {
            assert!(page.contains(part), "{task}: {part}");
        }
        let [frequent, rare] = ["<bdi>sample</bdi></th>", "<bdi>sample rare</bdi></th>"].map(|name| page.find(name));
        assert!(frequent <= rare || rare.is_none(), "{task}: the most frequent comes first");
    }
}

#[test]
fn hostile_data_comes_out_escaped() {
    for task in tasks() {
        let (advice, curve) = (sample_advice::advice(task, HOSTILE), sample_advice::curve(task, HOSTILE));
        for page in [advice_page(&advice), curve_page(&curve)] {
            assert!(page.contains("&lt;script&gt;"), "{}", task.name());
            for part in ["<script", "<img", "\u{202e}", "\u{0}"] {
                assert!(!page.contains(part), "{}: {part:?} is in the page", task.name());
            }
        }
    }
}

#[test]
fn numbers_of_the_data_are_short() {
    let shown = [0.0, 4.5, -2.0, 0.1 + 0.2, 1234567.25, 1e-7, f64::NAN].map(plain_number);
    assert_eq!(shown, ["0", "4.5", "-2", "0.3", "1234567.25", "1.000e-7", "no value"]);
}
