//! The scores of a run, with what chance makes of them, and beside what would be had without transfer.

use topwork::events::SplitScores;
use topwork::judge::repeats::{LEFT_OUT, Mean, Repeated};
use topwork::judge::transfer::Contender;
use topwork::tune::finished_run::RunDirectory;
use topwork::tune::results::Results;
use topwork_metrics::Metric;

use crate::metric_text::{bar_alone, bounds_text, cell, interval, loss_name, metrics_of, number, text};
use crate::page::{Column, Table, count, escaped, percent};

/// The scores by split: every metric of the task.
pub(crate) fn result(run: &RunDirectory) -> String {
    let results = &run.results;
    let splits = splits(results);
    let metrics = metrics_of(splits.iter().map(|(_, scores)| &scores.scores));
    let (headline, _) = main_split(results).1.headline();
    let has_interval = splits.iter().any(|(_, scores)| interval(scores).is_some());
    let mut columns = vec![Column::text("split"), Column::number(headline.label())];
    columns.extend(has_interval.then(|| Column::number("95 % interval")));
    let others: Vec<Metric> = metrics.into_iter().filter(|metric| *metric != headline).collect();
    columns.extend(others.iter().map(|metric| Column::number(metric.label())));
    columns.extend([loss_name(&results.train.scores), "rows"].map(Column::number));
    let mut table = Table::new("Scores without dropout", columns);
    for (name, scores) in splits {
        let bounds = interval(scores).filter(|_| name != "train");
        let mut cells = vec![name.to_string(), cell(headline, scores.value(headline), None)];
        cells.extend(has_interval.then(|| bounds.map_or("–".to_string(), |bounds| bounds_text(headline, bounds))));
        cells.extend(others.iter().map(|metric| text(*metric, scores.value(*metric))));
        cells.extend([number(scores.loss()), count(scores.rows)]);
        table.row(cells);
    }
    let mut html = table.html();
    if let Some(best) = &results.best {
        let (metric, value) = match Metric::find(&best.metric, &Metric::ALL) {
            Ok(metric) => (metric.label().to_string(), text(metric, best.value)),
            Err(_) => (escaped(&best.metric), number(best.value)),
        };
        html.push_str(&format!(
            "<p>Kept: the weights of step {}, with the best validation {metric} ({value}). Validation rows that weights are chosen by \
             flatter them.</p>\n",
            count(best.step)
        ));
    }
    if let Some(stopped) = &results.stopped {
        html.push_str(&format!("<p>Training ended before its last step: {}.</p>\n", escaped(stopped)));
    }
    if let Some((accuracy, low, high)) = run.advice.as_ref().and_then(expected) {
        html.push_str(&format!(
            "<p>Before the run, {} was expected ({} to {}).</p>\n",
            percent(accuracy),
            percent(low),
            percent(high)
        ));
    }
    if has_interval {
        html.push_str(
            "<p class=quiet>The interval holds the accuracy on all rows of this kind in 95 of 100 samples of so many rows.</p>\n",
        );
    }
    html
}

/// The accuracy that was expected, and its bounds.
fn expected(advice: &serde_json::Value) -> Option<(f64, f64, f64)> {
    let found = &advice["expectation"];
    let bound = |nth: usize| found["interval"][nth].as_f64();
    Some((found["accuracy"].as_f64()?, bound(0)?, bound(1)?))
}

/// What transfer bought, where it was asked.
pub(crate) fn comparison(run: &RunDirectory) -> String {
    let Some(transfer) = &run.results.transfer else { return String::new() };
    let (headline, _) = main_split(&run.results).1.headline();
    let scores = transfer.contenders.iter().flat_map(|contender| &contender.scores);
    let others = metrics_of(scores.map(|scores| &scores.scores));
    let others: Vec<Metric> = others.into_iter().filter(|metric| *metric != headline).collect();
    let mut columns =
        vec![Column::text("what answers"), Column::number(headline.label()), Column::number("uncertainty")];
    columns.extend(others.iter().map(|metric| Column::number(metric.label())));
    columns.push(Column::number("seeds"));
    let caption = format!("On the {} rows, from the least that is known to the most", escaped(&transfer.split));
    let mut table = Table::new(caption, columns);
    let last = transfer.contenders.len().saturating_sub(1);
    for (place, contender) in transfer.contenders.iter().enumerate() {
        let mark = |text: String| if place == last { format!("<span class=own>{text}</span>") } else { text };
        let mut cells = vec![
            mark(escaped(&contender.name)),
            cell(headline, contender.mean(headline), spread(headline, contender)),
            uncertainty(headline, contender),
        ];
        cells.extend(others.iter().map(|metric| match contender.deviation(*metric) {
            Some(deviation) => {
                format!("{} ± {}", text(*metric, contender.mean(*metric)), text(*metric, deviation))
            }
            None => text(*metric, contender.mean(*metric)),
        }));
        cells.push(contender.scores.len().to_string());
        table.row(cells);
    }
    table.html()
        + "<p class=quiet>± is the standard deviation over seeds, which says how much training's chance matters; an interval is \
           that of the rows, for what was run once.</p>\n"
}

/// The same training again: with other seeds, on parts of the rows, on labels in random order.
pub(crate) fn repeated(run: &RunDirectory) -> String {
    let results = &run.results;
    let (headline, _) = main_split(results).1.headline();
    let repeated = [("other seeds", results.seeds.as_ref()), ("folds", results.folds.as_ref().map(|f| &f.repeated))];
    let repeated = repeated.into_iter().filter_map(|(name, found)| Some((name, found?)));
    let scores = repeated.clone().flat_map(|(_, found)| &found.scores).chain(&results.permuted_control);
    let others = metrics_of(scores.map(|scores| &scores.scores));
    let others: Vec<Metric> = others.into_iter().filter(|metric| *metric != headline).collect();
    let columns = [vec!["trainings", headline.label(), "95 % interval"], others.iter().map(|m| m.label()).collect()];
    let columns = columns.concat().into_iter().chain(["lowest and highest"]).map(Column::number);
    let mut table =
        Table::new("What other trainings score", [Column::text("repeated")].into_iter().chain(columns).collect());
    for (name, found) in repeated {
        table.row(over_trainings(name, found, headline, &others));
    }
    if let Some(control) = &results.permuted_control {
        let bounds = interval(control).map_or("–".to_string(), |bounds| bounds_text(headline, bounds));
        let value = cell(headline, control.value(headline), None);
        let mut cells = vec!["labels in random order".to_string(), "1".to_string(), value, bounds];
        cells.extend(others.iter().map(|metric| text(*metric, control.value(*metric))));
        cells.push("–".to_string());
        table.row(cells);
    }
    if table.rows.is_empty() {
        return String::new();
    }
    let control = match results.permuted_control {
        Some(_) => " What is reached with labels in random order is worth nothing.",
        None => "",
    };
    table.html()
        + &format!(
            "<p class=quiet>The interval holds the mean of all such trainings in 95 of 100 cases; that of folds is wider, because \
             they share most of their rows.{control}</p>\n"
        )
}

fn over_trainings(name: &str, repeated: &Repeated, headline: Metric, others: &[Metric]) -> Vec<String> {
    let Mean { mean, std, interval } = repeated.mean(headline);
    let values = || repeated.scores.iter().map(|scores| scores.value(headline));
    let range = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let value = match (headline.is_share(), mean.is_finite()) {
        (true, true) => {
            let spread = std.map_or(String::new(), |std| format!(" ± {:.1}", 100.0 * std));
            format!("{:.1}{spread} %{}", 100.0 * mean, bar_alone(mean, interval, false))
        }
        _ => text(headline, mean) + &std.map_or(String::new(), |std| format!(" ± {std:.3}")),
    };
    let mut cells = vec![
        format!("{name}, {} rows", escaped(&repeated.split)),
        match repeated.diverged {
            0 => repeated.scores.len().to_string(),
            diverged => format!("{}, {diverged} diverged", repeated.scores.len()),
        },
        value,
        interval.map_or("–".to_string(), |bounds| bounds_text(headline, bounds)),
    ];
    cells.extend(others.iter().map(|metric| text(*metric, repeated.mean(*metric).mean)));
    cells.push(if range.0.is_finite() { bounds_text(headline, range) } else { "–".to_string() });
    cells
}

/// The spread over seeds; without several, the interval by rows.
fn uncertainty(headline: Metric, contender: &Contender) -> String {
    match (contender.deviation(headline), contender.scores.first().and_then(interval)) {
        (Some(deviation), _) => format!("± {} over seeds", text(headline, deviation)),
        (None, Some(bounds)) => bounds_text(headline, bounds),
        (None, None) => "–".to_string(),
    }
}

fn spread(headline: Metric, contender: &Contender) -> Option<(f64, f64)> {
    match (contender.deviation(headline), contender.mean(headline)) {
        (Some(deviation), mean) => Some((mean - deviation, mean + deviation)),
        (None, _) => contender.scores.first().and_then(interval),
    }
}

/// The splits that were scored, the most telling last.
fn splits(results: &Results) -> Vec<(&'static str, &SplitScores)> {
    let left_out = results.folds.as_ref().map(|folds| &folds.together);
    let splits = [
        ("train", Some(&results.train)),
        (LEFT_OUT, left_out),
        ("validation", results.validation.as_ref()),
        ("test", results.test.as_ref()),
    ];
    splits.into_iter().filter_map(|(name, scores)| Some((name, scores?))).collect()
}

/// The split that says most, and its scores.
pub(crate) fn main_split(results: &Results) -> (&'static str, &SplitScores) {
    splits(results).pop().unwrap_or(("train", &results.train))
}
