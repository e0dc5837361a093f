//! Several runs side by side: their scores, what chance makes of the differences, and what was done differently.

use std::collections::BTreeMap;
use std::path::Path;

use topwork::events::SplitScores;
use topwork::judge::repeats::LEFT_OUT;
use topwork::run::directory::PLAN;
use topwork::tune::run_directory::RunDirectory;
use topwork_metrics::paired::{MeanInterval, mcnemar, mean_interval};
use topwork_metrics::wilson;

use super::STYLE;
use super::answers::{class_scores, why_no_confusion};
use super::headline::{data, model, time};
use super::over_seeds;
use super::pictures::{Chart, Curve, Tone, smoothed};
use super::record::command;
use super::scores::{bar, difference, interval_of, main_split};
use super::training::along_the_way;
use crate::page::{Column, Section, Table, count, escaped, excerpt, list, name, page, percent};

/// More curves than this cannot be told apart.
const MOST_CURVES: usize = 6;
/// Classes in a table.
const MOST_CLASSES: usize = 200;
/// Letters of a value of the plan.
const LETTERS: usize = 120;
/// So seldom does chance make a difference that is called one.
const SIGNIFICANT: f64 = 0.05;
pub(super) const BETTER: &str = "better by more than chance";
pub(super) const WORSE: &str = "worse by more than chance";
pub(super) const EVEN: &str = "chance may be all of it";
/// Where a run wrote is not what it did.
const NOT_COMPARED: [&str; 2] = ["output_dir", "threads"];

/// Runs with the names that the page gives them.
struct Runs<'a> {
    runs: &'a [RunDirectory],
    /// As HTML.
    names: Vec<String>,
}

/// The report of several runs.
pub(crate) fn comparison_page(runs: &[RunDirectory]) -> String {
    let names = runs.iter().enumerate().map(|(place, run)| named(place, &run.path)).collect();
    let all = Runs { runs, names };
    let section = |id, title, body| Section { id, title, body };
    let sections = [
        section("result", "Result", all.scores()),
        section("differences", "What chance leaves of it", all.differences()),
        section("verdict", "Verdict", all.verdicts()),
        section("plans", "What was done differently", all.plans()),
        section("training", "Training", all.curves()),
        section("classes", "Classes", all.classes()),
        section("cost", "Cost", all.cost()),
        section("repeat", "How to repeat them", all.repeat()),
    ];
    let title = format!("{} runs side by side", runs.len());
    let items = runs.iter().zip(&all.names).map(|(run, label)| {
        format!(
            "{label}: {} on {}, <code>{}</code>",
            name(&model(run)),
            name(&data(run)),
            escaped(&run.path.to_string_lossy())
        )
    });
    let header = format!("<p class=kind>Report of fine-tunings</p>\n<h1>{title}</h1>\n{}", list(items));
    let versions: Vec<String> = runs.iter().map(|run| run.results.topwork_version.to_string()).collect();
    page(&title, STYLE, &header, &sections, &format!("<p>topwork {}</p>", escaped(&distinct(versions).join(", "))))
}

/// A letter and the directory's name.
fn named(place: usize, path: &Path) -> String {
    let letter = match u8::try_from(place) {
        Ok(nth) if nth < 26 => char::from(b'A' + nth).to_string(),
        _ => (place + 1).to_string(),
    };
    let last =
        path.file_name().map_or_else(|| path.to_string_lossy().into_owned(), |n| n.to_string_lossy().into_owned());
    format!("<b>{letter}</b> {}", name(&last))
}

impl Runs<'_> {
    fn each(&self) -> impl Iterator<Item = (&RunDirectory, &String)> {
        self.runs.iter().zip(&self.names)
    }

    fn scores(&self) -> String {
        let columns =
            ["accuracy", "95 % interval", "macro-F1", "loss, nats", "rows", "on training rows"].map(Column::number);
        let columns = [vec![Column::text("run"), Column::text("split")], columns.to_vec()].concat();
        let mut table = Table::new("Scores of each run on the rows that say most", columns);
        for (run, label) in self.each() {
            let (split, scores) = main_split(&run.results);
            table.row([
                label.clone(),
                split.to_string(),
                bar(scores.accuracy, Some(wilson(scores.accuracy, scores.rows)), false),
                interval_of(&scores),
                format!("{:.3}", scores.macro_f1),
                format!("{:.3}", scores.loss),
                count(scores.rows),
                percent(run.results.train.accuracy),
            ]);
        }
        table.html()
    }

    /// Each run less the first.
    fn differences(&self) -> String {
        let Some(first) = self.runs.first() else { return String::new() };
        let caption = format!("Accuracy less that of {}", self.names[0]);
        let columns = vec![
            Column::text("run"),
            Column::number("points"),
            Column::number("95 % interval"),
            Column::text("what it means"),
        ];
        let mut table = Table::new(caption, columns);
        let mut is_unequal = false;
        for (run, label) in self.each().skip(1) {
            let ((split, scores), (first_split, first_scores)) = (main_split(&run.results), main_split(&first.results));
            let is_same = split == first_split
                && rows_of(run, split, scores.rows) == rows_of(first, first_split, first_scores.rows);
            if !is_same {
                is_unequal = true;
                table.row([label.clone(), "–".to_string(), "–".to_string(), "scored on other rows".to_string()]);
                continue;
            }
            let told = paired(first, run).unwrap_or_else(|| unpaired(&first_scores, &scores));
            table.row([label.clone()].into_iter().chain(told));
        }
        let mut html = table.html();
        let one_training = match over_seeds::any(self.runs) {
            true => "Here stands one training of each, that with the run's own seed.",
            false => "One training of each says nothing about how much a seed matters.",
        };
        html.push_str(&format!(
            "<p class=quiet>Rows that only one of the two has right decide (McNemar's test). {one_training}</p>\n"
        ));
        if is_unequal {
            html.push_str("<p>Runs that were scored on other rows cannot be compared by their scores.</p>\n");
        }
        html + &over_seeds::differences(self.runs, &self.names)
    }

    fn verdicts(&self) -> String {
        let columns = ["run", "memorised?", "forgot?", "learning rate?"].map(Column::text).to_vec();
        let mut table = Table::new("What each run says of itself", columns);
        for (run, label) in self.each() {
            let said = run.results.verdict.parts().map(|(_, finding, sentence)| {
                format!(
                    "<b>{}</b><br><span class=quiet>{}</span>",
                    escaped(&finding.replace('_', " ")),
                    excerpt(sentence, 300)
                )
            });
            table.row([label.clone()].into_iter().chain(said));
        }
        table.html()
    }

    fn plans(&self) -> String {
        let runs = self.names.iter().map(Column::text);
        let mut table =
            Table::new("Options with different values", [Column::text("option")].into_iter().chain(runs).collect());
        for key in self.keys() {
            let values: Vec<Option<String>> = self.runs.iter().map(|run| run.value(key)).collect();
            if values.windows(2).all(|pair| pair[0] == pair[1]) {
                continue;
            }
            let cell = |value: Option<String>| match value {
                Some(value) => format!("<code>{}</code>", excerpt(&value, LETTERS)),
                None => "<span class=quiet>not set</span>".to_string(),
            };
            table.row([format!("<code>{}</code>", escaped(key))].into_iter().chain(values.into_iter().map(cell)));
        }
        match table.rows.is_empty() {
            true => "<p>The plans say the same.</p>\n".to_string(),
            false => table.html(),
        }
    }

    /// The options of all plans, in their order.
    fn keys(&self) -> Vec<&str> {
        let keys = self.runs.iter().flat_map(|run| &run.plan).map(|line| line.key.as_str());
        distinct(keys.filter(|key| !NOT_COMPARED.contains(key)))
    }

    fn curves(&self) -> String {
        let of = |title, y, points: &dyn Fn(&RunDirectory) -> Vec<(f64, f64)>| {
            let runs = self.each().take(MOST_CURVES).enumerate();
            let curves = runs.map(|(place, (run, label))| Curve::new(label, Tone::Series(place), points(run)));
            Chart::new(title, "epoch", y, curves.collect())
        };
        let validation = |run: &RunDirectory, value: fn(f64, f64) -> f64| -> Vec<(f64, f64)> {
            let scored = along_the_way(run).into_iter().filter(|scored| scored.split == "validation");
            scored.map(|scored| (scored.epoch, value(scored.loss, scored.accuracy))).collect()
        };
        let steps = |run: &RunDirectory| {
            let steps = run.trace.steps.iter().filter(|step| step.loss.is_finite());
            smoothed(&steps.map(|step| (step.epoch, step.loss)).collect::<Vec<_>>())
        };
        let mut accuracy =
            of("Validation accuracy", "per cent", &|run| validation(run, |_, accuracy| 100.0 * accuracy));
        accuracy.y_range = Some(0.0..100.0);
        let pictures = [
            of("Training loss of steps, smoothed", "loss, nats", &steps).figure(),
            of("Validation loss", "loss, nats", &|run| validation(run, |loss, _| loss)).figure(),
            accuracy.figure(),
        ];
        let pictures = pictures.concat();
        if pictures.is_empty() {
            return "<p>The records of the runs hold no steps and no scorings, so there are no curves.</p>\n"
                .to_string();
        }
        let rest = match self.runs.len() > MOST_CURVES {
            true => format!("<p>The first {MOST_CURVES} runs.</p>\n"),
            false => String::new(),
        };
        format!("{rest}<div class=pictures>\n{pictures}</div>\n")
    }

    /// F1 of each class, where all runs know the same classes.
    fn classes(&self) -> String {
        let Some(confusions) = self.runs.iter().map(|run| run.results.confusion.as_ref()).collect::<Option<Vec<_>>>()
        else {
            return self.without_classes();
        };
        let Some(first) = confusions.first() else { return String::new() };
        if confusions.iter().any(|other| other.labels != first.labels) {
            return "<p>The runs know different classes.</p>\n".to_string();
        }
        let mut rows: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for confusion in &confusions {
            for (class, scores) in class_scores(confusion).iter().enumerate() {
                rows.entry(class).or_default().push(scores.f1);
            }
        }
        let spread = |values: &[f64]| {
            values.iter().copied().fold(f64::MIN, f64::max) - values.iter().copied().fold(f64::MAX, f64::min)
        };
        let mut rows: Vec<(usize, Vec<f64>)> = rows.into_iter().collect();
        rows.sort_by(|(_, a), (_, b)| spread(b).total_cmp(&spread(a)));
        let runs = self.names.iter().map(Column::number);
        let columns = [Column::text("class")].into_iter().chain(runs).collect();
        let mut table = Table::new("F1 of each class, the most different first", columns);
        for (class, values) in rows.into_iter().take(MOST_CLASSES) {
            let bars = values.into_iter().map(|f1| bar(f1, None, false));
            table.row([name(&first.labels[class])].into_iter().chain(bars));
        }
        table.html()
    }

    /// Why classes cannot be compared, run by run.
    fn without_classes(&self) -> String {
        let of = |(run, label): (&RunDirectory, &String)| Some(format!("{label}: {}", why_no_confusion(run)?));
        format!(
            "<p>Classes are not compared, because it is not known of every run:</p>\n{}",
            list(self.each().filter_map(of))
        )
    }

    fn cost(&self) -> String {
        let columns = ["time", "training", "steps", "tokens", "tokens a second", "memory at most", "values trained"]
            .map(Column::number);
        let mut table = Table::new("What each run took", [vec![Column::text("run")], columns.to_vec()].concat());
        for (run, label) in self.each() {
            let results = &run.results;
            table.row([
                label.clone(),
                time(results.seconds.total),
                time(results.seconds.train),
                count(results.steps),
                count(results.tokens as usize),
                format!("{:.0}", results.tokens_per_second),
                results.peak_rss_mb.map_or("–".to_string(), |megabytes| format!("{megabytes:.0} MB")),
                run.started.map_or("–".to_string(), |s| format!("{:.1} M", s.trainable_parameters as f64 / 1e6)),
            ]);
        }
        table.html()
    }

    fn repeat(&self) -> String {
        let commands: Vec<String> = self.runs.iter().map(|run| escaped(&command(&run.path.join(PLAN)))).collect();
        format!("<pre><code>{}</code></pre>\n", commands.join("\n"))
    }
}

/// The difference in points, its interval, and what it means, from the answers row by row; none where they are not at hand.
fn paired(first: &RunDirectory, second: &RunDirectory) -> Option<[String; 3]> {
    let right = |run: &RunDirectory| -> Option<Vec<bool>> {
        let rows = run.hard_rows.as_ref().filter(|rows| rows.split == main_split(&run.results).0)?;
        Some(rows.right.bytes().map(|letter| letter == b'1').collect())
    };
    let (first, second) = (right(first)?, right(second)?);
    if first.is_empty() || first.len() != second.len() {
        return None;
    }
    let found = mcnemar(&first, &second);
    let differences: Vec<f64> =
        first.iter().zip(&second).map(|(first, second)| f64::from(*second) - f64::from(*first)).collect();
    let MeanInterval { mean, interval, .. } = mean_interval(&differences)?;
    let only = format!("only it right {}, only the first {}", count(found.only_second), count(found.only_first));
    let (meaning, p) = (meaning(found.p, mean), p_value(found.p));
    Some([points(mean), range(interval), format!("{meaning} ({only}, {p})")])
}

/// What a difference means of which chance makes as large a one so often.
pub(super) fn meaning(p: f64, difference: f64) -> &'static str {
    match (p < SIGNIFICANT, difference > 0.0) {
        (true, true) => BETTER,
        (true, false) => WORSE,
        (false, _) => EVEN,
    }
}

/// How often chance makes as large a difference, as HTML.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "p &lt; 0.001".to_string() } else { format!("p = {p:.3}") }
}

/// The same for different rows, or where answers row by row are not at hand: wider.
fn unpaired(first: &SplitScores, second: &SplitScores) -> [String; 3] {
    let (low, high) = difference(first, second);
    let meaning = match (low > 0.0, high < 0.0) {
        (true, _) => BETTER,
        (_, true) => WORSE,
        _ => EVEN,
    };
    [points(second.accuracy - first.accuracy), range((low, high)), format!("{meaning} (as if on different rows)")]
}

/// A difference of two parts of 1 in points, with its sign.
pub(super) fn points(part: f64) -> String {
    let text = format!("{:+.1}", 100.0 * part);
    if text == "+0.0" || text == "-0.0" { "0.0".to_string() } else { text.replace('-', "−") }
}

/// The bounds of such a difference.
pub(super) fn range((low, high): (f64, f64)) -> String {
    format!("{} to {}", points(low), points(high))
}

/// What says which rows a run was scored on, of a split with so many.
pub(super) fn rows_of(run: &RunDirectory, split: &str, rows: usize) -> Vec<Option<String>> {
    let keys: &[&str] = match (split, run.value("validation_sha256")) {
        ("test", _) => &["test_sha256"],
        ("validation", Some(_)) => &["validation_sha256"],
        _ => &["train_sha256", "validation_fraction", "seed"],
    };
    // Folds that are not all there answer for some of the rows, by their numbers.
    let folds = run.results.folds.as_ref().filter(|_| split == LEFT_OUT).map(|folds| &folds.repeated.numbers);
    let of = run.value("folds").filter(|of| folds.is_some_and(|numbers| Ok(numbers.len()) != of.parse()));
    let which = of.map(|of| format!("folds {folds:?} of {of}"));
    keys.iter().map(|key| run.value(key)).chain([Some(rows.to_string()), which]).collect()
}

fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn runs_stand_side_by_side_under_their_letters() {
        let mut other = sample::run(5, 40, "label");
        other.path = "runs/other".into();
        other
            .plan
            .iter_mut()
            .filter(|line| line.key == "learning_rate")
            .for_each(|line| line.value = Some("5e-5".into()));
        let page = comparison_page(&[sample::run(5, 40, "label"), other]);
        for part in
            ["<b>A</b> <bdi>sample</bdi>", "<b>B</b> <bdi>other</bdi>", "<code>5e-5</code>", "chance may be all of it"]
        {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn scores_on_other_rows_are_not_compared() {
        let mut other = sample::run(5, 40, "label");
        other
            .plan
            .iter_mut()
            .filter(|line| line.key == "test_sha256")
            .for_each(|line| line.value = Some("\"11\"".into()));
        let page = comparison_page(&[sample::run(5, 40, "label"), other]);
        assert!(page.contains("scored on other rows") && !page.contains("chance may be all of it"));
    }
}
