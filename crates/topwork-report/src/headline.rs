//! What a run came to, at a glance: its result, its context, its warnings and its verdict.

use std::fmt::Write;
use std::path::Path;

use topwork::events::SplitScores;
use topwork::tasks::Part;
use topwork::tune::finished_run::RunDirectory;
use topwork::tune::results::Results;

use crate::applicable::applies;
use crate::metric_text::{bounds_text, capitalised, interval, text};
use crate::page::{count, escaped, list, name, percent};
use crate::scores::main_split;

/// Notes and warnings that are shown.
const SHOWN: usize = 12;

/// The title of the page, as text.
pub(crate) fn title(run: &RunDirectory) -> String {
    format!("{} on {}", model(run), data(run))
}

/// What stands above all sections.
pub(crate) fn header(run: &RunDirectory) -> String {
    let (split, scores) = main_split(&run.results);
    let mut html = format!(
        "<p class=kind>Report of a fine-tuning</p>\n<h1>{} on {}</h1>\n{}",
        name(&model(run)),
        name(&data(run)),
        score(split, scores)
    );
    html.push_str(&facts(run));
    let warnings: Vec<String> = run.warnings.iter().take(SHOWN).map(|warning| escaped(warning)).collect();
    if !warnings.is_empty() {
        let _ = writeln!(html, "<div class=warnings><h2>Warnings</h2>{}</div>", list(warnings));
    }
    html
}

fn score(split: &str, scores: &SplitScores) -> String {
    let (headline, value) = scores.headline();
    let label = headline.label();
    let of = match split {
        "train" => format!("{label} on training rows; none were held out"),
        "left-out" => format!("{label} on {} rows, each left out of its training", count(scores.rows)),
        split => format!("{label} on {} {split} rows", count(scores.rows)),
    };
    let interval = interval(scores).filter(|_| split != "train").map_or(String::new(), |bounds| {
        format!("<span class=quiet>95 % interval {}</span>", bounds_text(headline, bounds))
    });
    format!("<p class=score><strong>{}</strong><span>{of}</span>{interval}</p>\n", text(headline, value))
}

fn facts(run: &RunDirectory) -> String {
    let results = &run.results;
    let mut facts = vec![("Task", escaped(&results.task.replace('_', " ")))];
    if let Some(started) = run.started {
        let share = started.trainable_parameters as f64 / started.parameters.max(1) as f64;
        let trained = if share >= 1.0 { "all trained".to_string() } else { format!("{} trained", percent(share)) };
        facts.push(("Rows learnt from", count(started.rows)));
        facts.push(("Model", format!("{:.1} M values, {trained}", started.parameters as f64 / 1e6)));
    }
    for (term, scores) in [("Validation rows", &results.validation), ("Test rows", &results.test)] {
        facts.extend(scores.as_ref().map(|scores| (term, count(scores.rows))));
    }
    let named = results.confusion.as_ref().map(|confusion| confusion.labels.len());
    let term = if applies(results, Part::Confusion) { "Classes" } else { "Outputs" };
    facts.extend(named.or(run.classes).map(|classes| (term, count(classes))));
    let epochs = run.trace.steps.last().map_or(String::new(), |step| format!(", {:.1} epochs", step.epoch));
    facts.push(("Steps", format!("{}{epochs}", count(results.steps))));
    facts.push(("Time", time(results.seconds.total)));
    facts.push(("Seed", results.seed.to_string()));
    let items: String =
        facts.iter().map(|(term, what)| format!("<div><dt>{term}</dt><dd>{what}</dd></div>\n")).collect();
    format!("<dl class=facts>\n{items}</dl>\n")
}

/// The verdict, a card for each part.
pub(crate) fn verdict(results: &Results) -> String {
    let floor = results.floor.iter().map(|floor| ("floor", floor.finding.name(), floor.sentence.as_str()));
    let texts = results.pseudo_labels.iter().map(|labels| {
        let finding = if labels.taken > 0 { "some" } else { "none" };
        ("pseudo_labels", finding, labels.sentence.as_str())
    });
    let choice = results.floor_choice.iter().map(|choice| {
        let finding = if choice.taken { "linear_head" } else { "trained_model" };
        ("floor_choice", finding, choice.sentence.as_str())
    });
    let leaks = results.leaks.iter().map(|leaked| ("leaks", "some", leaked.sentence.as_str()));
    let cards: String = leaks
        .chain(texts)
        .chain(choice)
        .chain(floor)
        .chain(results.verdict.parts())
        .map(|(part, finding, sentence)| card(part, finding, sentence))
        .collect();
    let mut html = format!("<ul class=cards>\n{cards}</ul>\n");
    if let Some(p) = results.verdict.overfitting.p_chance {
        let _ = writeln!(
            html,
            "<p class=quiet>Answers without any relation to the labels would look as good on held-out rows with a chance of {}.</p>",
            if p < 0.001 { "less than 0.1 %".to_string() } else { percent(p) }
        );
    }
    html
}

fn card(part: &str, finding: &str, sentence: &str) -> String {
    let question = match part {
        "floor" => "Is it better than without training?",
        "floor_choice" => "What was kept?",
        "leaks" => "Were held-out rows learnt from?",
        "pseudo_labels" => "Were texts without labels learnt from?",
        "overfitting" => "Did it memorise?",
        "forgetting" => "Did it forget?",
        "learning_rate" => "Was the learning rate right?",
        other => other,
    };
    format!(
        "<li class=\"card {}\"><h3>{}</h3><p class=finding>{}</p><p>{}</p></li>\n",
        tone(finding),
        escaped(question),
        escaped(&capitalised(&finding.replace('_', " "))),
        if sentence.is_empty() { "No judgement.".to_string() } else { escaped(&capitalised(sentence)) }
    )
}

/// How a finding is coloured; the word says the same.
pub(crate) fn tone(finding: &str) -> &'static str {
    match finding {
        "above" | "generalises" | "kept" | "right" => "good",
        "within_chance" | "overfits" | "changed" | "too_low" => "warn",
        "not_better" | "memorised" | "nothing_learnt" | "forgot" | "too_high" => "bad",
        _ => "neutral",
    }
}

/// The model's name, without its folder.
pub(crate) fn model(run: &RunDirectory) -> String {
    run.value("model_name_or_path").map_or("a model".to_string(), |path| last_part(&path))
}

/// The training file's name.
pub(crate) fn data(run: &RunDirectory) -> String {
    run.value("train_file").map_or("a labelled file".to_string(), |path| last_part(&path))
}

fn last_part(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_string(), |name| name.to_string_lossy().into_owned())
}

/// Seconds as people say them.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        short if short < 120.0 => format!("{short:.1} s"),
        middle if middle < 7200.0 => format!("{:.0} min {:02.0} s", (middle / 60.0).floor(), (middle % 60.0).floor()),
        long => format!("{:.0} h {:02.0} min", (long / 3600.0).floor(), (long % 3600.0 / 60.0).floor()),
    }
}
