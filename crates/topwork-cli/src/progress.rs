//! What is seen while a run goes on: a bar where somebody watches, plain lines where not. All of it on stderr.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use topwork::events::{Observer, RunEvent, shown};
use topwork_metrics::Metric;

/// Plain lines come no more often than this.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows events.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    is_terminal: bool,
    last_line: Instant,
    is_training: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bar: None, is_terminal: stderr().is_terminal(), last_line: Instant::now(), is_training: false }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// A line that stays, above the bar if there is one.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Nobody can be told that stderr is closed.
            None => drop(writeln!(stderr(), "{text}")),
        }
    }

    fn phase(&mut self, name: &str) {
        self.is_training = name == "train";
        let doing = match name {
            "load" => "reading data and model",
            "tokenize" => "tokenizing",
            "train" => "preparing the first step",
            "label" => "labelling the texts without labels",
            "choose" => "comparing with a linear head on the untouched model",
            "evaluate" => "scoring",
            "verdict" => "judging: memorised, forgotten, learning rate",
            "save" => "saving and checking what was saved",
            other => other,
        };
        if self.is_terminal {
            self.clear();
            let bar = ProgressBar::new_spinner().with_message(doing.to_string());
            bar.enable_steady_tick(Duration::from_millis(100));
            self.bar = Some(bar);
        }
    }

    fn start_bar(&mut self, total: usize) {
        if self.is_terminal {
            self.clear();
            let style = ProgressStyle::with_template("{bar:30.green/dim} {pos}/{len} {msg} · {eta} left");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(ProgressBar::new(total as u64).with_style(style));
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Phase { name } => self.phase(name),
            RunEvent::Started {
                total_steps, unit, rows, validation_rows, parameters, trainable_parameters, ..
            } => {
                let percent = 100.0 * *trainable_parameters as f64 / (*parameters).max(1) as f64;
                self.line(&format!(
                    "{rows} {unit} to train on, {validation_rows} to validate; {total_steps} steps; {} of {} parameters trained ({percent:.0} %)",
                    millions(*trainable_parameters),
                    millions(*parameters),
                ));
                self.start_bar(*total_steps);
            }
            RunEvent::Step { step, total_steps, loss, learning_rate, tokens_per_second, seconds, .. } => {
                let text = format!("loss {loss:.4} · lr {learning_rate:.1e} · {tokens_per_second:.0} tokens/s");
                match &self.bar {
                    Some(bar) => {
                        // A budget of tokens or seconds is an estimate in steps.
                        bar.set_length(*total_steps as u64);
                        bar.set_position(*step as u64);
                        bar.set_message(text);
                    }
                    None if self.last_line.elapsed() >= BETWEEN_LINES || step == total_steps => {
                        self.last_line = Instant::now();
                        let left = seconds / *step as f64 * total_steps.saturating_sub(*step) as f64;
                        self.line(&format!("step {step}/{total_steps} · {text} · {left:.0} s left"));
                    }
                    None => {}
                }
            }
            RunEvent::Evaluated { epoch, split, scores, .. } if self.is_training && split == "validation" => {
                let metrics = scores.iter().filter(|(metric, _)| *metric != Metric::Loss).take(2);
                let metrics: Vec<String> =
                    metrics.map(|(metric, value)| format!("{} {}", metric.label(), shown(metric, value))).collect();
                let loss = scores.loss();
                self.line(&format!("epoch {epoch:.1} · validation loss {loss:.4} · {}", metrics.join(" · ")));
            }
            RunEvent::Predicted { epoch, split, objective, loss, accuracy, .. } if self.is_training => {
                let accuracy = 100.0 * accuracy;
                self.line(&format!("epoch {epoch:.2} · {split} {objective} loss {loss:.4} · accuracy {accuracy:.1} %"));
            }
            RunEvent::Note { message } => self.line(&format!("note: {message}")),
            RunEvent::Warning { message } => self.line(&format!("warning: {message}")),
            RunEvent::Stopped { step, reason } => self.line(&format!("stopped after step {step}: {reason}")),
            RunEvent::Evaluated { .. }
            | RunEvent::Predicted { .. }
            | RunEvent::Checkpoint { .. }
            | RunEvent::NewBest { .. }
            | RunEvent::Blocks { .. }
            | RunEvent::Verdict { .. }
            | RunEvent::ProofPassed { .. }
            | RunEvent::Finished { .. } => {}
        }
    }
}

fn millions(count: usize) -> String {
    format!("{:.1} M", count as f64 / 1e6)
}
