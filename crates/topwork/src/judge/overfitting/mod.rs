//! Whether a model learnt its training rows or what they have in common.

use serde::{Deserialize, Serialize};
use topwork_data::{Stream, Targets};
use topwork_metrics::{Chance, Metric, after_order_luck, by_chance, least_chance, paired, wilson, wilson_among};

use super::repeats::lines;
use super::{Answers, Estimate, HeldOut, Scored, percent, points};
use crate::events::trace::Trace;
use crate::events::{metric_name, shown};
use crate::session::inputs::Inputs;
use crate::tasks::Scoring;

/// Resamples of an interval.
const RESAMPLES: usize = 1_000;
/// Resamples of an interval of a score that is not a mean over rows.
const RESAMPLES_OF_SCORES: usize = 200;
/// Permutations that such a score is compared with.
const PERMUTATIONS_OF_SCORES: u64 = 49;
/// Random permutations that the held-out answers are compared with: the more the fewer rows there are, of which one permutation
/// in some thousands may be as good by chance.
const PERMUTATIONS: std::ops::RangeInclusive<usize> = 1_999..=19_999;
/// So many rows in all, where that is within these bounds.
const PERMUTED_ROWS: usize = 500_000;
/// The chance that answers without any relation to the labels look as good, below which there is a relation. Labels in random
/// order have some relation to the right ones by luck, so one in a hundred is not enough.
const CONVINCING: f64 = 0.001;
/// The same from which on there is no sign of a relation; what lies between is not enough to say either.
const UNCONVINCING: f64 = 0.05;
/// A gap of so much accuracy is worth a word.
const WIDE_GAP: f64 = 0.05;
/// Of the room above guessing, the part that a model has learnt of its training rows when it knows them.
const KNOWN: f64 = 0.5;
/// The same of a model that has learnt next to nothing.
const NEXT_TO_NOTHING: f64 = 0.1;
/// A model has memorised when of what it gained over guessing on training rows at most this part can hold for others,
const HOLDS: f64 = 1.0 / 3.0;
/// and has learnt when at least this part does.
const HOLDS_AT_LEAST: f64 = 0.1;
/// The loss on held-out rows has turned when it ends so much above its lowest, as a part of the lowest.
const TURNED: f64 = 0.1;
/// Fewer held-out rows than this say nothing.
const FEWEST_ROWS: usize = 10;
/// Names the draws.
const SEED: u64 = 0;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverfittingFinding {
    /// Neither training rows nor held-out ones are answered much better than by guessing.
    NothingLearnt,
    /// Training rows are known, and next to nothing of it holds for others.
    Memorised,
    /// What was learnt holds for other rows, less well by more than chance.
    Overfits,
    /// Held-out rows are answered about as well as training rows.
    Generalises,
    /// There are no rows to compare with, or too few to tell a relation from luck.
    Unknown,
}

impl OverfittingFinding {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingLearnt => "nothing_learnt",
            Self::Memorised => "memorised",
            Self::Overfits => "overfits",
            Self::Generalises => "generalises",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a run memorised, and what says so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overfitting {
    /// What was found.
    pub finding: OverfittingFinding,
    /// In words.
    pub sentence: String,
    /// The held-out rows: `validation` or `test`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub split: Option<String>,
    /// Accuracy on training rows less that on held-out rows, both without dropout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy_gap: Option<Estimate>,
    /// Loss on held-out rows less that on training rows, in nats, both without dropout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss_gap: Option<Estimate>,
    /// How often answers without any relation to the labels would look as good on the held-out rows: a permutation test of
    /// the mean probability of the right class, multiplied with the number of evaluations that the weights were chosen among.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p_chance: Option<f64>,
    /// What else the finding follows from, of a classifier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracies: Option<Accuracies>,
    /// The same of a task that is told by another score.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<ScoreGap>,
    /// Where the loss on the held-out rows was lowest, when it rose again after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub turned: Option<Turned>,
}

/// What a model gets right, and what guessing gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracies {
    /// The part of the training rows that is right.
    pub train: f64,
    /// The part of the held-out rows that is right.
    pub held_out: f64,
    /// How many rows were learnt from.
    pub train_rows: usize,
    /// How many held-out rows there are.
    pub held_out_rows: usize,
    /// Among how many evaluations the weights were chosen by these rows.
    pub chosen_among: usize,
    /// What guessing the training rows' largest class gets of the training rows.
    pub train_by_guessing: f64,
    /// What guessing their own largest class gets of the held-out rows.
    pub held_out_by_guessing: f64,
}

/// What a model scores on rows that it learnt from and on others, of a task that is not told by accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreGap {
    /// The metric's place in [`Metric::ALL`] is not kept: its name is.
    #[serde(with = "metric_name")]
    pub metric: Metric,
    /// The score on training rows.
    pub train: f64,
    /// The score on held-out rows.
    pub held_out: f64,
    /// How many held-out rows there are.
    pub rows: usize,
    /// What a guess that looks at no text scores on the training rows.
    #[serde(default)]
    pub train_by_guessing: f64,
    /// What it scores on the held-out rows.
    #[serde(default)]
    pub held_out_by_guessing: f64,
    /// The score on training rows less that on held-out rows.
    pub gap: Estimate,
}

/// A loss on held-out rows that rose again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turned {
    /// The epoch after which it was lowest.
    pub epoch: f64,
    /// Its value then, in nats.
    pub lowest: f64,
    /// Its value after the last epoch.
    pub last: f64,
    /// Accuracy on the same rows when the loss was lowest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy_then: Option<f64>,
    /// Accuracy after the last epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy_last: Option<f64>,
}

/// Judges a model by its answers to some of the `train_rows` rows that it learnt from, and to rows that it did not.
pub fn judge(
    classes: usize,
    train: Answers<'_>,
    train_rows: usize,
    held_out: Option<HeldOut<'_>>,
    trace: &Trace,
) -> Overfitting {
    let Some(HeldOut { name: split, answers, chosen_among }) = held_out.filter(|rows| !rows.answers.gold.is_empty())
    else {
        return unknown("there are no answers to held-out rows to compare those to training rows with".to_string());
    };
    let rows = answers.gold.len();
    let permutations = (PERMUTED_ROWS / rows).clamp(*PERMUTATIONS.start(), *PERMUTATIONS.end());
    let Some(Chance { p: chance, .. }) = by_chance(answers.logits, classes, answers.gold, permutations, SEED) else {
        return unknown(format!("the answers to {split} rows are no numbers"));
    };
    let among = chosen_among.max(1) as f64;
    let p = (chance * among).min(1.0);
    if !can_tell(classes, answers.gold, chosen_among) {
        let few = match answers.gold.iter().all(|class| *class == answers.gold[0]) {
            true if rows >= FEWEST_ROWS => "of one class",
            false if rows >= FEWEST_ROWS => "too few, or too few of all classes but one",
            _ => "too few",
        };
        let chosen = match chosen_among {
            0 | 1 => String::new(),
            among => format!(" for weights that were chosen among {among} evaluations by them"),
        };
        return unknown(format!(
            "the {rows} {split} rows are {few}{chosen}: even if all were answered rightly, it could be luck"
        ));
    }
    let (on_train, on_others) = (train.right(classes), answers.right(classes));
    let mut overfitting = Overfitting {
        split: Some(split.to_string()),
        accuracy_gap: difference(&on_train, &on_others),
        loss_gap: difference(&answers.losses(classes), &train.losses(classes)),
        p_chance: Some(p),
        accuracies: Some(Accuracies {
            train: mean(&on_train),
            held_out: mean(&on_others),
            train_rows,
            held_out_rows: rows,
            chosen_among: chosen_among.max(1),
            train_by_guessing: largest_share(train.gold, classes),
            held_out_by_guessing: largest_share(answers.gold, classes),
        }),
        turned: turned(trace),
        ..unknown(String::new())
    };
    overfitting.judge();
    overfitting
}

/// Judges a model of any task by its scores on some of the rows that it learnt from, and on rows that it did not, which may have
/// chosen its weights among so many evaluations.
pub(crate) fn judge_scores(
    inputs: &Inputs,
    scoring: &Scoring,
    train: Scored<'_>,
    held_out: Option<(Scored<'_>, usize)>,
    trace: &Trace,
) -> Overfitting {
    let Some((others, chosen_among)) = held_out.filter(|(rows, _)| !rows.split.is_empty()) else {
        return unknown(
            "there are no predictions for held-out rows to compare those for training rows with".to_string(),
        );
    };
    let (rows, split) = (others.split.len(), others.name);
    if rows < FEWEST_ROWS {
        return unknown(format!("the {rows} {split} rows are too few"));
    }
    let metric = inputs.task.headline_of(&inputs.scoring.space);
    let score = |outputs: &[f32], targets: &Targets| {
        inputs.task.evaluate(outputs, targets, scoring).get(metric).filter(|score| score.is_finite()).unwrap_or(0.0)
    };
    let of = |scored: Scored<'_>| score(scored.logits, &scored.split.targets);
    let (on_train, on_others) = (of(train), of(others));
    let guess = |scored: Scored<'_>| {
        let targets = &scored.split.targets;
        score(&inputs.task.guess(&inputs.train.targets, targets, scoring), targets)
    };
    let (train_by_guessing, held_out_by_guessing) = (guess(train), guess(others));
    let resampled = |scored: Scored<'_>, lines: &[&[f32]], chosen: &[usize]| {
        let outputs: Vec<f32> = chosen.iter().flat_map(|&row| lines[row]).copied().collect();
        score(&outputs, &scored.split.targets.select(chosen))
    };
    let [of_train, of_others] = [train, others].map(|scored| lines(inputs, scored.logits, scored.split));
    let gap = paired::difference_of_scores(
        train.split.len(),
        rows,
        RESAMPLES_OF_SCORES,
        SEED,
        |chosen| resampled(train, &of_train, chosen),
        |chosen| resampled(others, &of_others, chosen),
    );
    let Some(gap) = gap else { return unknown(format!("the outputs for {split} rows are no numbers")) };
    let p = chance_of_score(on_others, others, &score) * chosen_among.max(1) as f64;
    let losses = |scored: Scored<'_>| inputs.task.row_losses(scored.logits, &scored.split.targets, scoring);
    let gap = Estimate { value: gap.gap, interval: gap.interval };
    let mut overfitting = Overfitting {
        split: Some(split.to_string()),
        loss_gap: difference(&losses(others), &losses(train)),
        p_chance: Some(p.min(1.0)),
        score: Some(ScoreGap {
            metric,
            train: on_train,
            held_out: on_others,
            rows,
            train_by_guessing,
            held_out_by_guessing,
            gap,
        }),
        turned: turned(trace),
        ..unknown(String::new())
    };
    overfitting.judge();
    overfitting
}

/// How often predictions without any relation to the targets would score as well on these rows, by the normal distribution of
/// scores on permuted targets: the few permutations that can be afforded tell no small frequency by counting.
fn chance_of_score(own: f64, scored: Scored<'_>, score: &impl Fn(&[f32], &Targets) -> f64) -> f64 {
    let permuted = |nth: u64| {
        let mut draws = Stream::named("chance", SEED).nth(nth);
        score(scored.logits, &scored.split.targets.permute(&mut draws))
    };
    let scores: Vec<f64> = (0..PERMUTATIONS_OF_SCORES).map(permuted).collect();
    let reached = scores.iter().filter(|score| **score >= own).count();
    if reached > 0 {
        return (reached + 1) as f64 / (scores.len() + 1) as f64;
    }
    let mean = mean(&scores);
    let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64).sqrt();
    // The upper tail of the normal distribution (Abramowitz and Stegun, formula 26.2.17, is finer than needed): its bound by
    // Mills' ratio.
    let z = (own - mean) / deviation.max(1e-12);
    ((-0.5 * z * z).exp() / (z.max(1.0) * (2.0 * std::f64::consts::PI).sqrt())).min(1.0 / (scores.len() + 1) as f64)
}

fn unknown(why: String) -> Overfitting {
    Overfitting {
        finding: OverfittingFinding::Unknown,
        sentence: format!("unknown: {why}"),
        split: None,
        accuracy_gap: None,
        loss_gap: None,
        p_chance: None,
        accuracies: None,
        score: None,
        turned: None,
    }
}

impl Accuracies {
    /// What was gained over guessing on training rows.
    fn gained(&self) -> f64 {
        self.train - self.train_by_guessing
    }

    fn is_known(&self) -> bool {
        self.gained() > KNOWN * (1.0 - self.train_by_guessing)
    }

    fn is_next_to_nothing(&self) -> bool {
        self.gained() <= NEXT_TO_NOTHING * (1.0 - self.train_by_guessing)
    }

    /// What holds of the gain, on held-out rows: at least and at most, by how many these are.
    fn holds(&self) -> (f64, f64) {
        let (least, _) = wilson_among(self.held_out, self.held_out_rows, self.chosen_among);
        let (_, most) = wilson(self.held_out, self.held_out_rows);
        (least - self.held_out_by_guessing, most - self.held_out_by_guessing)
    }

    /// Whether a part of what was gained holds that is worth the name, even where the held-out rows had good luck.
    fn holds_enough(&self) -> bool {
        self.holds().0 > (HOLDS_AT_LEAST * self.gained()).max(0.0)
    }

    /// Whether little can hold of what was gained, even where the held-out rows had bad luck: that few rows show no sign of a
    /// relation proves that there is none as little as it proves one.
    fn holds_little(&self) -> bool {
        self.holds().1 <= HOLDS * self.gained()
    }
}

impl Overfitting {
    /// Says what the measures mean; where there are none, what was said stays.
    pub(crate) fn judge(&mut self) {
        if let (Some(score), Some(p)) = (self.score, self.p_chance) {
            self.finding = found_by_score(&score, p);
            self.sentence = self.said_of_score(&score, p);
            return;
        }
        let (Some(accuracies), Some(p)) = (self.accuracies, self.p_chance) else { return };
        self.finding = self.found(&accuracies, p);
        self.sentence = self.said(&accuracies, p);
    }

    fn said_of_score(&self, score: &ScoreGap, p: f64) -> String {
        let split = self.split.as_deref().unwrap_or("held-out");
        let ScoreGap { metric, train, held_out, rows, gap, held_out_by_guessing: guessing, .. } = *score;
        let both = format!(
            "{} {} on training rows, {} on {split} rows",
            metric.label(),
            shown(metric, train),
            shown(metric, held_out)
        );
        let gap = format!("{:.3} ({:.3} to {:.3})", gap.value, gap.interval.0, gap.interval.1);
        let guessing =
            if guessing > 0.0 { format!(", of which a guess gets {}", shown(metric, guessing)) } else { String::new() };
        let both = both + &guessing;
        let p = p_value(p);
        let sentence = match self.finding {
            OverfittingFinding::Memorised => format!("it memorised: {both}, no better than chance ({p}, {rows} rows)"),
            OverfittingFinding::NothingLearnt => {
                format!("nothing was learnt: {both}, no better than chance ({p}, {rows} rows)")
            }
            OverfittingFinding::Unknown => format!("unknown: {both}, which may be luck ({p}, {rows} rows)"),
            OverfittingFinding::Overfits => format!("it overfits: {both}, a gap of {gap}"),
            OverfittingFinding::Generalises => format!("it generalises: {both}, a gap of {gap}"),
        };
        sentence + &self.turned.map_or(String::new(), Turned::sentence)
    }

    fn found(&self, accuracies: &Accuracies, p: f64) -> OverfittingFinding {
        let is_little = accuracies.is_next_to_nothing();
        // Where classes are uneven, guessing the largest is hard to beat; then only a relation that no luck explains will do.
        let beyond_luck = after_order_luck(p, accuracies.held_out_rows, accuracies.train_rows) < CONVINCING;
        let holds = beyond_luck || p < CONVINCING && accuracies.holds_enough();
        match self.accuracy_gap {
            Some(gap) if holds && gap.value > WIDE_GAP && gap.interval.0 > 0.0 => OverfittingFinding::Overfits,
            _ if holds => OverfittingFinding::Generalises,
            _ if p >= UNCONVINCING && is_little => OverfittingFinding::NothingLearnt,
            _ if p >= UNCONVINCING && accuracies.is_known() && accuracies.holds_little() => {
                OverfittingFinding::Memorised
            }
            _ => OverfittingFinding::Unknown,
        }
    }

    fn said(&self, accuracies: &Accuracies, p: f64) -> String {
        let split = self.split.as_deref().unwrap_or("held-out");
        let Accuracies { train, held_out, held_out_rows: rows, held_out_by_guessing: guessing, .. } = *accuracies;
        let few_prove = p >= CONVINCING;
        let (p, guessing) = (p_value(p), percent(guessing));
        let gap = self.accuracy_gap.map_or(String::new(), |gap| {
            format!("{} points ({} to {})", points(gap.value), points(gap.interval.0), points(gap.interval.1))
        });
        // The luck of the training rows' labels does not shrink with held-out rows.
        let more = if few_prove { "more held-out rows or --permuted-control" } else { "--permuted-control" };
        let both = format!("{} right on training rows, {} on {split} rows", percent(train), percent(held_out));
        let sentence = match self.finding {
            OverfittingFinding::Memorised => {
                format!("it memorised: {both}, of which guessing the largest class gets {guessing} ({rows} rows)")
            }
            OverfittingFinding::NothingLearnt => {
                format!("nothing was learnt: {both}, no better than guessing ({p}, {rows} rows)")
            }
            OverfittingFinding::Unknown => format!(
                "unknown: {both}, of which guessing the largest class gets {guessing}, so that it may be luck ({p}, {rows} \
                 rows); {more} would tell"
            ),
            OverfittingFinding::Overfits => format!("it overfits: {both}, a gap of {gap}"),
            OverfittingFinding::Generalises if !accuracies.is_known() => {
                format!("little was learnt, and it holds for other rows: {both}, a gap of {gap}")
            }
            OverfittingFinding::Generalises => format!("it generalises: {both}, a gap of {gap}"),
        };
        sentence + &self.turned.map_or(String::new(), Turned::sentence)
    }
}

/// What a score says that is 1 at best, beside what a guess gets: as with accuracies, only the gain over it counts.
fn found_by_score(score: &ScoreGap, p: f64) -> OverfittingFinding {
    let (gained, room) = (score.train - score.train_by_guessing, 1.0 - score.train_by_guessing);
    let held = score.held_out - score.held_out_by_guessing;
    let holds = p < CONVINCING && held > HOLDS_AT_LEAST * gained.max(0.0);
    let is_worse = score.gap.value > WIDE_GAP && score.gap.interval.0 > 0.0;
    match p >= UNCONVINCING {
        _ if holds && is_worse => OverfittingFinding::Overfits,
        _ if holds => OverfittingFinding::Generalises,
        true if gained <= NEXT_TO_NOTHING * room => OverfittingFinding::NothingLearnt,
        true if gained > KNOWN * room && is_worse && held <= HOLDS * gained => OverfittingFinding::Memorised,
        _ => OverfittingFinding::Unknown,
    }
}

/// A p-value as people write it.
fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_string(),
        p if p < 0.1 => format!("p = {p:.3}"),
        p => format!("p = {p:.2}"),
    }
}

impl Turned {
    fn sentence(self) -> String {
        let Self { epoch, lowest, last, .. } = self;
        let meaning = match (self.accuracy_then, self.accuracy_last) {
            (Some(then), Some(last)) if last > then => {
                format!("it went on to answer more rows rightly ({} → {})", percent(then), percent(last))
            }
            (Some(_), Some(_)) => "what came after only made it surer".to_string(),
            _ => "what came after fitted the training rows alone".to_string(),
        };
        format!(
            "; the loss on validation rows was lowest after epoch {epoch:.0} ({lowest:.3}) and ended at {last:.3}: {meaning}"
        )
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn difference(first: &[f64], second: &[f64]) -> Option<Estimate> {
    let found = paired::difference_of_means(first, second, RESAMPLES, SEED)?;
    Some(Estimate { value: found.gap, interval: found.interval })
}

/// The share of the most frequent class.
fn largest_share(gold: &[u32], classes: usize) -> f64 {
    let mut counts = vec![0usize; classes];
    for &class in gold {
        if let Some(count) = counts.get_mut(class as usize) {
            *count += 1;
        }
    }
    counts.into_iter().max().unwrap_or(0) as f64 / gold.len().max(1) as f64
}

/// Whether any answers to rows of these classes could be told from luck, when weights are chosen among so many evaluations by
/// them.
pub(crate) fn can_tell(classes: usize, gold: &[u32], chosen_among: usize) -> bool {
    let least = least_chance(gold, classes).unwrap_or(1.0) * chosen_among.max(1) as f64;
    gold.len() >= FEWEST_ROWS && least < CONVINCING
}

/// Where the validation loss turned, when it ended clearly above its lowest.
fn turned(trace: &Trace) -> Option<Turned> {
    let last_step = trace.steps.last()?.step;
    let lowest =
        trace.of("validation").filter(|e| e.loss().is_finite()).min_by(|a, b| a.loss().total_cmp(&b.loss()))?;
    // Of the last epoch's, not of the final scoring, which may be of weights that were put back.
    let last = trace.of("validation").find(|evaluation| evaluation.step == last_step)?;
    let has_turned = last.loss().is_finite() && last.loss() > (1.0 + TURNED) * lowest.loss() && lowest.step < last.step;
    has_turned.then_some(Turned {
        epoch: lowest.epoch,
        lowest: lowest.loss(),
        last: last.loss(),
        accuracy_then: lowest.scores.get(Metric::Accuracy),
        accuracy_last: last.scores.get(Metric::Accuracy),
    })
}

#[cfg(test)]
mod tests;
