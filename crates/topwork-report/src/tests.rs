//! Laws that hold for every page.

use topwork::events::SplitScores;
use topwork::events::trace::Trace;
use topwork::tasks::{Part, Supervised, TASKS};
use topwork::tune::finished_run::RunDirectory;
use topwork_metrics::Metric;

use crate::page::escaped;
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

/// Every task that is learnt from labelled rows.
fn tasks() -> Vec<&'static dyn Supervised> {
    let tasks: Vec<&'static dyn Supervised> = TASKS.iter().filter_map(|task| task.supervised).collect();
    assert!(tasks.len() > 3);
    tasks
}

fn task(name: &str) -> &'static dyn Supervised {
    tasks().into_iter().find(|task| task.name() == name).expect("a task")
}

/// The scores of the splits and of the evaluations along the way.
fn each_score(run: &mut RunDirectory, change: impl Fn(&mut topwork::events::MetricScores)) {
    let results = &mut run.results;
    let splits = [&mut results.validation, &mut results.test, &mut results.permuted_control];
    splits.into_iter().flatten().chain([&mut results.train]).for_each(|split| change(&mut split.scores));
    let contenders = results.transfer.iter_mut().flat_map(|transfer| &mut transfer.contenders);
    contenders.flat_map(|contender| &mut contender.scores).for_each(|split| change(&mut split.scores));
    run.trace.evaluations.iter_mut().for_each(|evaluation| change(&mut evaluation.scores));
}

#[test]
fn every_metric_of_every_split_is_on_the_page_of_its_task() {
    for task in tasks() {
        let run = sample::of_task(task);
        let page = report_page(&run);
        let (_, table) = page.split_once("Scores without dropout").expect("the table of scores");
        let table = table.split_once("</table>").map_or(table, |(table, _)| table);
        for metric in task.metrics() {
            assert!(table.contains(&format!("<th scope=col>{}", metric.label())), "{}: {metric}", task.name());
            let curve = page.contains(&format!("<th scope=col>{}</th>", metric.label()));
            assert!(curve, "{}: {metric} is in no table", task.name());
            let splits = [Some(&run.results.train), run.results.validation.as_ref(), run.results.test.as_ref()];
            for scores in splits.into_iter().flatten() {
                let shown = topwork::events::shown(*metric, scores.value(*metric));
                assert!(table.contains(&format!("<td>{shown}")), "{}: {metric}: {shown}", task.name());
            }
        }
        let (headline, value) = run.results.test.as_ref().map(SplitScores::headline).expect("test rows");
        assert_eq!(headline, task.headline());
        assert!(page.contains(&format!("<strong>{}</strong>", topwork::events::shown(headline, value))));
    }
}

#[test]
fn a_part_that_does_not_apply_is_left_out_with_the_reason() {
    for task in tasks() {
        let mut run = sample::of_task(task);
        run.hard_rows = Some(sample::by_loss(&[["a text", "one", "two"]]));
        let page = report_page(&run);
        for (part, id) in [(Part::Calibration, "confidence"), (Part::Confusion, "classes"), (Part::HardRows, "rows")] {
            let is_there = page.contains(&format!("<section id=\"{id}\""));
            assert_eq!(is_there, task.why_not(part).is_none(), "{}: {id}", task.name());
        }
        for (part, why) in task.not_applicable() {
            let said = format!("<b>{}</b>: {}", escaped(part.name()), escaped(why));
            assert!(page.contains(&said), "{}: {said}", task.name());
        }
        assert_eq!(page.contains("id=\"left-out\""), !task.not_applicable().is_empty(), "{}", task.name());
    }
}

#[test]
fn what_has_no_value_is_said_in_words() {
    for task in tasks() {
        let mut run = sample::of_task(task);
        each_score(&mut run, |scores| {
            scores.0.loss = f64::NAN;
            scores.0.values.iter_mut().for_each(|(_, value)| *value = f64::NAN);
        });
        run.results.thresholds = Some(vec![0.5, f64::NAN]);
        let mut hard = sample::by_loss(&[["a text", "1.5", "NaN"]]);
        hard.confident_errors.iter_mut().for_each(|row| row.loss = Some(f64::NAN));
        run.hard_rows = Some(hard);
        for page in [report_page(&run), comparison_page(&[run.clone(), run.clone()])] {
            // What the model said stands there as it is.
            let page = page.replace("<bdi>NaN</bdi>", "");
            let at = page.find("NaN").map(|at| page[..at].chars().rev().take(200).collect::<Vec<_>>());
            let before = at.map(|before| before.into_iter().rev().collect::<String>());
            assert_eq!(before, None, "{}", task.name());
            assert!(page.contains("no value") && !page.contains(">inf"), "{}", task.name());
        }
    }
}

#[test]
fn hostile_data_of_every_task_comes_out_escaped() {
    for task in tasks() {
        let mut run = sample::of_task(task);
        run.labels = vec![HOSTILE.to_string(); 3];
        run.results.thresholds = Some(vec![0.5; 3]);
        run.results.not_applicable.push((HOSTILE.to_string(), HOSTILE.to_string()));
        let tags = HOSTILE.replace(' ', "_");
        run.labels.extend([tags.clone(), "O".to_string()]);
        run.hard_rows = Some(sample::by_loss(&[[&tags, &tags, "O"], [HOSTILE, HOSTILE, "x"]]));
        let mut other = run.clone();
        other.results.task = HOSTILE.to_string();
        for page in [report_page(&run), report_page(&other), comparison_page(&[run.clone(), other])] {
            for part in ["<script", "<img", "\u{202e}", "\u{0}"] {
                assert!(!page.contains(part), "{}: {part:?} is in the page", task.name());
            }
        }
    }
}

#[test]
fn rows_are_shown_as_their_targets_are() {
    let mut numbers = sample::of_task(task("regression"));
    numbers.hard_rows = Some(sample::by_loss(&[["cold", "1.5000", "4.0000"], ["hot", "5.0000", "2.0000"]]));
    let page = report_page(&numbers);
    for part in ["Predicted by target", "Only the 2 rows", "Greatest loss", "loss 2.125", "<b><bdi>4.0000</bdi></b>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("Surest errors") && !page.contains("Undecided"));

    let mut tags = sample::of_task(task("token_classification"));
    tags.labels = ["O", "B-PER", "B-LOC"].map(str::to_string).to_vec();
    let row = ["Ada saw Rome", "B-PER O B-LOC", "B-PER O O"];
    tags.hard_rows = Some(sample::by_loss(&[row, ["Ada saw", "B-PER O", "cut"]]));
    let page = report_page(&tags);
    let wrong = "<bdi>Rome</bdi>: answer <b><bdi>O</bdi></b>, label <b><bdi>B-LOC</bdi></b>";
    assert!(page.contains(wrong) && !page.contains("<bdi>saw</bdi>"), "only words that are wrong are listed");
    assert!(page.contains("answer <b><bdi>cut</bdi></b>") && !page.contains("Predicted by target"));

    let mut labels = sample::of_task(task("multi_label"));
    labels.labels = ["sport", "news"].map(str::to_string).to_vec();
    labels.results.thresholds = Some(vec![0.25, 0.75]);
    labels.hard_rows = Some(sample::by_loss(&[["a text", "news", ""]]));
    let page = report_page(&labels);
    assert!(page.contains("<bdi>sport</bdi></th><td>0.250") && page.contains("<bdi>news</bdi></th><td>0.750"));
    assert!(page.contains("answer <b>none</b>, label <b><bdi>news</bdi></b>"));
}

#[test]
fn runs_of_different_tasks_are_not_compared_with_each_other() {
    let [classes, numbers] = ["classification", "regression"].map(|name| sample::of_task(task(name)));
    let page = comparison_page(&[classes.clone(), numbers.clone(), classes.clone()]);
    assert!(page.contains("Scores of different tasks cannot be compared"));
    for part in
        ["Task: classification, told by accuracy", "Task: regression, told by Pearson", "only one run of this task"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("Accuracy less that of <b>A</b>") && !page.contains("Pearson less that of"));
    let page = comparison_page(&[numbers.clone(), numbers]);
    assert!(!page.contains("different tasks") && page.contains("Pearson less that of <b>A</b>"));
    assert!(page.contains("several seeds do (--seeds)") && page.contains(Metric::Rmse.label()));
}

#[test]
fn the_loss_has_a_unit_only_where_it_is_an_entropy() {
    for task in tasks() {
        let is_entropy = !task.metrics().contains(&Metric::Rmse);
        assert_eq!(report_page(&sample::of_task(task)).contains("loss, nats by step"), is_entropy, "{}", task.name());
    }
}
