//! A training step of the shapes of other families, in turns with PyTorch's, and of tagging in turns with classification.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use topwork_models::{FAMILIES, HeadKind, ModelConfig, Pooling, Sizes};

use crate::python::venv;
use crate::record::record;
use crate::step::{Batch, Step, median, minilm};

/// The families that are timed, and the sizes that were published. `benches/torch_family_step.py` has the same.
const SHAPES: [(&str, Sizes); 2] = [
    (
        "roberta",
        Sizes {
            vocab_size: 50_265,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_tokens: 512,
            type_vocab_size: None,
            pad_token_id: 1,
        },
    ),
    (
        "distilbert",
        Sizes {
            vocab_size: 30_522,
            hidden_size: 768,
            num_hidden_layers: 6,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_tokens: 512,
            type_vocab_size: None,
            pad_token_id: 0,
        },
    ),
];

/// As many as the peer classifies into.
const CLASSES: usize = 2;
/// The labels of persons, places, organisations and others, of which words are the beginning or the inside, and none.
const TAGS: usize = 9;

/// Milliseconds of steps in turns, of which the first is not counted.
fn in_turns(
    repeats: usize,
    mut one: impl FnMut() -> Result<f64>,
    mut other: impl FnMut() -> Result<f64>,
) -> Result<[f64; 2]> {
    let mut times: [Vec<f64>; 2] = Default::default();
    for round in 0..=repeats {
        let now = [one()?, other()?];
        if round > 0 {
            times.iter_mut().zip(now).for_each(|(times, now)| times.push(now));
        }
    }
    let [one, other] = times;
    Ok([median(one)?, median(other)?])
}

/// The lines of the table.
pub(crate) fn run(batch: Batch, repeats: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (name, sizes) in &SHAPES {
        lines.push(family(name, sizes, batch, repeats)?);
    }
    lines.extend(tagging(batch, repeats)?);
    Ok(lines)
}

fn configuration(name: &str, sizes: &Sizes) -> Result<ModelConfig> {
    let family = FAMILIES.iter().find(|family| family.name == name).with_context(|| format!("no family {name}"))?;
    Ok(ModelConfig::parse("config.json".as_ref(), (family.new_config)(sizes))?)
}

fn family(name: &str, sizes: &Sizes, batch: Batch, repeats: usize) -> Result<String> {
    let head = HeadKind::Sequence { outputs: CLASSES };
    let mut step = Step::new(&configuration(name, sizes)?, head, batch, 0)?;
    let mut peer = Peer::start(name, batch)?;
    let [own, torch] = in_turns(repeats, || Ok(step.run().total()), || peer.step())?;
    let said = peer.end()?;
    ensure!(
        said["parameters"] == json!(step.parameters()),
        "{name}: {} parameters here, {} in PyTorch",
        step.parameters(),
        said["parameters"]
    );
    record(json!({
        "bench": "family step", "family": name, "batch": batch.sequences, "tokens": batch.tokens, "repeats": repeats,
        "step_ms": own, "torch_ms": torch, "torch": said,
    }))?;
    Ok(format!(
        "step of {name:<11} {}×{}: {own:8.1} ms, PyTorch eager f32 {torch:8.1} ms   topwork {:.2} × faster",
        batch.sequences,
        batch.tokens,
        torch / own
    ))
}

/// Every token has an output in tagging, and of the last layer every token is computed. Classification reads the first, and with the
/// mean of all tokens it computes as much as tagging.
fn tagging(batch: Batch, repeats: usize) -> Result<Vec<String>> {
    let config = minilm()?;
    let mut tags = Step::new(&config, HeadKind::Token { labels: TAGS }, batch, 0)?;
    let head = HeadKind::Sequence { outputs: CLASSES };
    let mut classes = Step::new(&config, head, batch, 0)?;
    let mut of_mean = Step::with_pooling(&config, head, Pooling::MeanTokens, batch, 0)?;
    let [tagging, classification] = in_turns(repeats, || Ok(tags.run().total()), || Ok(classes.run().total()))?;
    let [again, mean] = in_turns(repeats, || Ok(tags.run().total()), || Ok(of_mean.run().total()))?;
    record(json!({
        "bench": "tagging step", "batch": batch.sequences, "tokens": batch.tokens, "repeats": repeats,
        "tagging_ms": tagging, "classification_ms": classification, "tagging_again_ms": again, "mean_pooling_ms": mean,
    }))?;
    let per_token = |milliseconds: f64| 1e3 * milliseconds / (batch.sequences * batch.tokens) as f64;
    Ok(vec![
        format!("classification, MiniLM's shape      {:8.2} µs a token", per_token(classification)),
        format!(
            "tagging, the same batch             {:8.2} µs a token   {:.2} × classification",
            per_token(tagging),
            tagging / classification
        ),
        format!(
            "classification by the mean of tokens{:8.2} µs a token   tagging {:.2} × that",
            per_token(mean),
            again / mean
        ),
    ])
}

/// PyTorch, which does a step when asked to. It ends with this.
struct Peer {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(family: &str, batch: Batch) -> Result<Self> {
        let threads = std::thread::available_parallelism()?.to_string();
        let mut command = Command::new(venv()?);
        command.args(["benches/torch_family_step.py", "--turns", "--families", family, "--threads", &threads]);
        command.args(["--batch", &batch.sequences.to_string(), "--tokens", &batch.tokens.to_string()]);
        command.args(["--labels", &CLASSES.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let from = BufReader::new(child.stdout.take().context("the peer's output")?);
        let mut peer = Self { to: child.stdin.take(), child, from };
        let said = peer.line()?;
        ensure!(said == "ready", "torch_family_step.py said {said:?}");
        Ok(peer)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.from.read_line(&mut line)? > 0, "torch_family_step.py ended early");
        Ok(line.trim().to_string())
    }

    /// Milliseconds of a step.
    fn step(&mut self) -> Result<f64> {
        let mut to = self.to.as_ref().context("the peer's input")?;
        to.write_all(b"\n")?;
        to.flush()?;
        Ok(1e3 * self.line()?.parse::<f64>()?)
    }

    /// What it says of itself in the end.
    fn end(mut self) -> Result<Value> {
        self.to = None;
        Ok(serde_json::from_str(&self.line()?)?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps that are timed run, on tiny shapes, with every head.
    #[test]
    fn tiny_steps_run() {
        for (name, sizes) in &SHAPES {
            let tiny = Sizes {
                vocab_size: 40,
                hidden_size: 8,
                num_hidden_layers: 2,
                num_attention_heads: 2,
                intermediate_size: 16,
                ..*sizes
            };
            let config = configuration(name, &tiny).expect("a configuration");
            for head in [HeadKind::Sequence { outputs: CLASSES }, HeadKind::Token { labels: TAGS }] {
                let mut step = Step::new(&config, head, Batch { sequences: 3, tokens: 5 }, 0).expect("a step");
                let [first, second] = [(); 2].map(|()| step.run().total());
                assert!(first > 0.0 && second > 0.0, "{name} {head}");
            }
        }
    }

    #[test]
    fn turns_alternate_and_the_first_is_not_counted() {
        let order = std::cell::RefCell::new(Vec::new());
        let turn = |who: u32| {
            let (order, mut times) = (&order, [99.0, 1.0, 2.0, 3.0].into_iter());
            move || {
                order.borrow_mut().push(who);
                Ok(times.next().context("one more step")? * f64::from(who))
            }
        };
        assert_eq!(in_turns(3, turn(1), turn(2)).expect("times"), [2.0, 4.0]);
        assert_eq!(order.into_inner(), [1, 2, 1, 2, 1, 2, 1, 2]);
    }
}
