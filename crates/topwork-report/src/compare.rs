//! Several runs side by side: their scores, what chance makes of the differences, and what was done differently.

use std::collections::BTreeMap;
use std::path::Path;

use topwork::events::SplitScores;
use topwork::events::trace::EvaluationTrace;
use topwork::run::output_directory::PLAN;
use topwork::tune::finished_run::RunDirectory;
use topwork_metrics::Metric;
use topwork_metrics::paired::{MeanInterval, mcnemar, mean_interval};

use crate::chance::{BETTER, EVEN, WORSE, difference, meaning, p_value, rows_of};
use crate::classes::{class_scores, why_no_confusion};
use crate::headline::{data, model, time};
use crate::metric_text::{
    bar, bounds_text, capitalised, cell, counts_rows, difference_bounds, difference_name, difference_text, interval,
    loss_name, metrics_of, number, text,
};
use crate::over_seeds::{self, Named};
use crate::page::{Column, Section, Table, count, escaped, excerpt, list, name, page};
use crate::pictures::{Chart, Curve, Tone, smoothed};
use crate::record::command;
use crate::scores::main_split;
use crate::training::along_the_way;

/// More curves than this cannot be told apart.
const MOST_CURVES: usize = 6;
/// Classes in a table.
const MOST_CLASSES: usize = 200;
/// Letters of a value of the plan.
const LETTERS: usize = 120;
/// Where a run wrote is not what it did.
const NOT_COMPARED: [&str; 2] = ["output_dir", "threads"];

/// Runs with the names that the page gives them.
struct Runs<'a> {
    runs: &'a [RunDirectory],
    /// As HTML.
    names: Vec<String>,
}

/// Those of the runs that learn the same task and are told by the same metric.
struct Group<'a> {
    task: &'a str,
    metric: Metric,
    runs: Vec<Named<'a>>,
}

/// The report of several runs.
pub fn comparison_page(runs: &[RunDirectory]) -> String {
    let names = runs.iter().enumerate().map(|(place, run)| named(place, &run.path)).collect();
    let all = Runs { runs, names };
    let section = |id, title, body| Section { id, title, body };
    let sections = [
        section("result", "Result", all.by_task(Group::scores)),
        section("differences", "What chance leaves of it", all.by_task(Group::differences)),
        section("verdict", "Verdict", all.verdicts()),
        section("plans", "What was done differently", all.plans()),
        section("training", "Training", all.by_task(Group::curves)),
        section("classes", "Classes", all.by_task(Group::classes)),
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
    let header =
        format!("<p class=kind>Report of fine-tunings</p>\n<h1>{title}</h1>\n{}{}", list(items), all.about_tasks());
    let versions: Vec<String> = runs.iter().map(|run| run.results.topwork_version.to_string()).collect();
    page(&title, &header, &sections, &format!("<p>topwork {}</p>", escaped(&distinct(versions).join(", "))))
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
    fn each(&self) -> impl Iterator<Item = Named<'_>> {
        self.runs.iter().zip(self.names.iter().map(String::as_str))
    }

    /// The runs by task, in the order of their first.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (run, label) in self.each() {
            let (task, (metric, _)) = (run.results.task.as_str(), main_split(&run.results).1.headline());
            match groups.iter_mut().find(|group| group.task == task && group.metric == metric) {
                Some(group) => group.runs.push((run, label)),
                None => groups.push(Group { task, metric, runs: vec![(run, label)] }),
            }
        }
        groups
    }

    /// That scores of several tasks are not compared, where there are several.
    fn about_tasks(&self) -> String {
        match self.groups().len() > 1 {
            true => "<p>The runs learn different tasks. Scores of different tasks cannot be compared, so each task has tables \
                     and curves of its own.</p>\n"
                .to_string(),
            false => String::new(),
        }
    }

    /// A part of the page for each task, under its name where there are several.
    fn by_task<'a>(&'a self, part: fn(&Group<'a>) -> String) -> String {
        let groups = self.groups();
        let is_one = groups.len() < 2;
        let part = |group: &Group<'a>| match (is_one, part(group)) {
            (true, html) => html,
            (false, html) if html.is_empty() => html,
            (false, html) => {
                format!("<h3>Task: {}, told by {}</h3>\n{html}", escaped(&said(group.task)), group.metric.label())
            }
        };
        groups.iter().map(part).collect()
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
            table.row([label.to_string()].into_iter().chain(said));
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

    fn cost(&self) -> String {
        let columns = ["time", "training", "steps", "tokens", "tokens a second", "memory at most", "values trained"]
            .map(Column::number);
        let mut table = Table::new("What each run took", [vec![Column::text("run")], columns.to_vec()].concat());
        for (run, label) in self.each() {
            let results = &run.results;
            table.row([
                label.to_string(),
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

impl Group<'_> {
    fn scores(&self) -> String {
        let metric = self.metric;
        let mains = || self.runs.iter().map(|(run, _)| main_split(&run.results));
        let others = metrics_of(mains().map(|(_, scores)| &scores.scores));
        let others: Vec<Metric> = others.into_iter().filter(|other| *other != metric).collect();
        let has_interval = mains().any(|(_, scores)| interval(scores).is_some());
        let mut columns = vec![Column::text("run"), Column::text("split"), Column::number(metric.label())];
        columns.extend(has_interval.then(|| Column::number("95 % interval")));
        columns.extend(others.iter().map(|other| Column::number(other.label())));
        let loss = self.runs.first().map_or("loss", |(run, _)| loss_name(&run.results.train.scores));
        columns.extend([loss, "rows", "on training rows"].map(Column::number));
        let mut table = Table::new("Scores of each run on the rows that say most", columns);
        for (run, label) in &self.runs {
            let (split, scores) = main_split(&run.results);
            let bounds = interval(scores);
            let mut cells = vec![label.to_string(), split.to_string(), cell(metric, scores.value(metric), bounds)];
            cells.extend(has_interval.then(|| bounds.map_or("–".to_string(), |bounds| bounds_text(metric, bounds))));
            cells.extend(others.iter().map(|other| text(*other, scores.value(*other))));
            let train = text(metric, run.results.train.value(metric));
            cells.extend([number(scores.loss()), count(scores.rows), train]);
            table.row(cells);
        }
        table.html()
    }

    fn counts_rows(&self) -> bool {
        self.runs.iter().all(|(run, _)| counts_rows(main_split(&run.results).1))
    }

    /// Each run less the first.
    fn differences(&self) -> String {
        let [(first, first_name), others @ ..] = self.runs.as_slice() else { return String::new() };
        if others.is_empty() {
            return "<p>There is only one run of this task, so there is nothing to compare it with.</p>\n".to_string();
        }
        let metric = self.metric;
        let caption = format!("{} less that of {first_name}", capitalised(metric.label()));
        let columns = vec![
            Column::text("run"),
            Column::number(difference_name(metric)),
            Column::number("95 % interval"),
            Column::text("what it means"),
        ];
        let mut table = Table::new(caption, columns);
        let mut is_unequal = false;
        for (run, label) in others {
            let ((split, scores), (first_split, first_scores)) = (main_split(&run.results), main_split(&first.results));
            let is_same = split == first_split
                && rows_of(run, split, scores.rows) == rows_of(first, first_split, first_scores.rows);
            if !is_same {
                is_unequal = true;
                let cells = ["–", "–", "scored on other rows"].map(str::to_string);
                table.row([label.to_string()].into_iter().chain(cells));
                continue;
            }
            let told = match metric {
                Metric::Accuracy if self.counts_rows() => {
                    paired(first, run).unwrap_or_else(|| unpaired(first_scores, scores))
                }
                other => one_training(other, scores.value(other) - first_scores.value(other)),
            };
            table.row([label.to_string()].into_iter().chain(told));
        }
        let mut html = table.html();
        let one_training = match over_seeds::any(&self.runs) {
            true => "Here stands one training of each, that with the run's own seed.",
            false => "One training of each says nothing about how much a seed matters.",
        };
        let test = match metric {
            Metric::Accuracy if self.counts_rows() => {
                "Rows that only one of the two has right decide (McNemar's test). "
            }
            _ => "",
        };
        html.push_str(&format!("<p class=quiet>{test}{one_training}</p>\n"));
        if is_unequal {
            html.push_str("<p>Runs that were scored on other rows cannot be compared by their scores.</p>\n");
        }
        html + &over_seeds::differences(metric, &self.runs)
    }

    fn curves(&self) -> String {
        let metric = self.metric;
        let of = |title: &str, y, points: &dyn Fn(&RunDirectory) -> Vec<(f64, f64)>| {
            let runs = self.runs.iter().take(MOST_CURVES).enumerate();
            let curves = runs.map(|(place, (run, label))| Curve::new(*label, Tone::Series(place), points(run)));
            Chart::new(title, "epoch", y, curves.collect())
        };
        let validation = |run: &RunDirectory, value: &dyn Fn(&EvaluationTrace) -> f64| -> Vec<(f64, f64)> {
            let scored = along_the_way(run).into_iter().filter(|scored| scored.split == "validation");
            scored.map(|scored| (scored.epoch, value(&scored))).collect()
        };
        let steps = |run: &RunDirectory| {
            let steps = run.trace.steps.iter().filter(|step| step.loss.is_finite());
            smoothed(&steps.map(|step| (step.epoch, step.loss)).collect::<Vec<_>>())
        };
        let loss = self.runs.first().map_or("loss", |(run, _)| loss_name(&run.results.train.scores));
        let (scale, y) = if metric.is_share() { (100.0, "per cent") } else { (1.0, "value") };
        let value = |scored: &EvaluationTrace| scale * scored.scores.get(metric).unwrap_or(f64::NAN);
        let mut scores = of(&format!("Validation {}", metric.label()), y, &|run| validation(run, &value));
        scores.y_range = metric.is_share().then_some(0.0..100.0);
        let pictures = [
            of("Training loss of steps, smoothed", loss, &steps).figure(),
            of("Validation loss", loss, &|run| validation(run, &EvaluationTrace::loss)).figure(),
            scores.figure(),
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
        let confusions: Option<Vec<_>> = self.runs.iter().map(|(run, _)| run.results.confusion.as_ref()).collect();
        let Some(confusions) = confusions else { return self.without_classes() };
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
        let runs = self.runs.iter().map(|(_, label)| Column::number(*label));
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
        let of = |(run, label): &Named<'_>| Some(format!("{label}: {}", why_no_confusion(run)?));
        let reasons = list(self.runs.iter().filter_map(of));
        match reasons.is_empty() {
            true => reasons,
            false => format!("<p>Classes are not compared, because it is not known of every run:</p>\n{reasons}"),
        }
    }
}

/// A task as people write it.
fn said(task: &str) -> String {
    task.replace('_', " ")
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
    let metric = Metric::Accuracy;
    let meaning = format!("{} ({only}, {})", meaning(metric, found.p, mean), p_value(found.p));
    Some([difference_text(metric, mean), difference_bounds(metric, interval), meaning])
}

/// The same for different rows, or where answers row by row are not at hand: wider.
fn unpaired(first: &SplitScores, second: &SplitScores) -> [String; 3] {
    let metric = Metric::Accuracy;
    let (low, high) = difference(first, second);
    let meaning = match (low > 0.0, high < 0.0) {
        (true, _) => BETTER,
        (_, true) => WORSE,
        _ => EVEN,
    };
    let value = difference_text(metric, second.accuracy() - first.accuracy());
    [value, difference_bounds(metric, (low, high)), format!("{meaning} (as if on different rows)")]
}

/// The same of a metric that is no mean over rows.
fn one_training(metric: Metric, difference: f64) -> [String; 3] {
    let meaning = "one training of each does not say what chance makes of it; several seeds do (--seeds)";
    [difference_text(metric, difference), "–".to_string(), meaning.to_string()]
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
    use super::*;
    use crate::sample;

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
