//! Chores of the repository: the model for development, parity with PyTorch, benchmarks, quality.

mod bench;
mod command;
mod curve;
mod earlier;
mod family_step;
#[cfg(test)]
mod house;
mod kills;
mod licences;
mod model;
mod pretrain_step;
mod python;
mod record;
#[cfg(test)]
mod rust;
mod seedling;
mod step;
mod verdicts;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Fetch all-MiniLM-L6-v2 into `models/`, for development and the README's main command.
    Models,
    /// Create the Python environment with PyTorch and transformers in `target/venv`.
    Venv,
    /// Compare with PyTorch and transformers: the ids of hard texts, every gradient of MiniLM, and the saved output directory.
    Parity {
        /// A labelled file with `text` and `label` to fine-tune on for the output check.
        #[arg(long, default_value = "examples/tickets.csv")]
        train: PathBuf,
        /// A file to compare logits on.
        #[arg(long, default_value = "examples/tickets-test.csv")]
        test: PathBuf,
    },
    /// Compare the ids of hard texts with those of transformers, for every combination of a tokenizer's settings; a part of parity.
    Tokenizers {
        /// Texts for each combination.
        #[arg(long, default_value_t = python::TEXTS)]
        texts: usize,
    },
    /// Time a training step against its matrix products and PyTorch, and whole runs against `transformers.Trainer`.
    Bench {
        /// The folder with the peers' scripts.
        #[arg(long, default_value = "../shared/bench")]
        scripts: PathBuf,
        /// A folder with `train.csv` and `test.csv` for whole runs; without it only the step is timed.
        #[arg(long)]
        data: Option<PathBuf>,
        /// A text file for whole loops of pre-training; without it only the step is timed.
        #[arg(long)]
        corpus: Option<PathBuf>,
        /// Only this part.
        #[arg(long)]
        only: Option<bench::Part>,
        /// Sequences of a step of other families and of tagging.
        #[arg(long, default_value_t = bench::BATCH)]
        batch: usize,
        /// Tokens of each of these sequences.
        #[arg(long, default_value_t = bench::TOKENS)]
        tokens: usize,
        /// Steps of other families and of tagging that are counted.
        #[arg(long, default_value_t = bench::REPEATS)]
        repeats: usize,
    },
    /// Compare classification with the build of an earlier commit, in turns: the same weights, and the ratio of the times.
    Earlier {
        /// The commit to compare with.
        #[arg(long, default_value = earlier::BEFORE_METHODS)]
        commit: String,
        /// Labelled rows, one line each after the header.
        #[arg(long, default_value = "../shared/data/trec6/train.csv")]
        train: PathBuf,
        /// How many of the first rows both are trained on.
        #[arg(long, default_value_t = 2000)]
        rows: usize,
        /// Runs of each build; one pair more warms up.
        #[arg(long, default_value_t = 5)]
        pairs: usize,
        /// Options of `tune` for both builds; the default commit knows none of the usual ones, and does the same without.
        #[arg(last = true, default_values = ["--pooling", "first_token", "--method", "finetune"])]
        arguments: Vec<String>,
    },
    /// Quality with few labels, against the peers, on rows drawn from labelled sets.
    Quality {
        /// The folder with the labelled sets.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// The folder with the peers' scripts.
        #[arg(long, default_value = "../shared/bench")]
        scripts: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/quality.jsonl")]
        results: PathBuf,
        /// Who takes part.
        #[arg(long, default_value = "topwork,hf_trainer,frozen_probe")]
        contestants: String,
    },
    /// Quality with 8 to 64 labels a class: `tune` with no flag and with each method, beside peers, on rows drawn from labelled sets.
    FewLabels {
        /// The folder with the labelled sets.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/few_labels.jsonl")]
        results: PathBuf,
        /// The model; MiniLM without it.
        #[arg(long)]
        model: Option<String>,
        /// Who takes part: of tune, finetune, linear, first_token, peer_setfit, peer_logistic and peer_trainer, separated by commas.
        #[arg(long, default_value = "tune")]
        systems: String,
        /// The sets, separated by commas; all without it.
        #[arg(long)]
        sets: Option<String>,
        /// Rows a class, separated by commas.
        #[arg(long, default_value = "8,16,32,64")]
        rows: String,
        /// Draws of rows.
        #[arg(long, default_value_t = 5)]
        seeds: usize,
        /// `test` for the table, `development` for choosing defaults: other rows of the training files.
        #[arg(long, default_value = "test")]
        part: String,
        /// Run nothing: print what is there.
        #[arg(long)]
        table: bool,
    },
    /// Whether the verdict flags runs that are no better than a linear head on the untouched model or a bag of words, and no others.
    Floors {
        /// The folder with the labelled sets.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/floors.jsonl")]
        results: PathBuf,
        /// The results of `few-labels`, whose runs of `tune` are the honest ones.
        #[arg(long, default_value = "benches/runs/few_labels.jsonl")]
        honest: PathBuf,
    },
    /// What pre-training is worth: the carried model against random weights, with few labels.
    Transfer {
        /// The folder with the labelled sets.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/transfer.jsonl")]
        results: PathBuf,
        /// The model.
        #[arg(long, default_value = "seedling")]
        model: String,
    },
    /// What going on with pre-training on a task's domain is worth, against general text of equal tokens.
    Adapt {
        /// The folder with the labelled sets and the raw corpora.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/adapt.jsonl")]
        results: PathBuf,
        /// The model to go on from.
        #[arg(long, default_value = "seedling")]
        model: String,
        /// What is learnt of the corpora.
        #[arg(long, default_value = "mlm")]
        objective: String,
    },
    /// Whether the scores of `topwork advise` order encoders as fine-tuning does.
    Ranking {
        /// The folder with the labelled sets and the raw corpora.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/ranking.jsonl")]
        results: PathBuf,
        /// The sets, separated by commas; all without it.
        #[arg(long)]
        sets: Option<String>,
    },
    /// What the advice of `topwork advise` is worth: its recipe against a grid of depths and learning rates.
    Regret {
        /// The folder with the labelled sets.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/regret.jsonl")]
        results: PathBuf,
        /// Rows to learn from, separated by commas; 0 is all.
        #[arg(long, default_value = "64,500")]
        rows: String,
        /// Draws of rows.
        #[arg(long, default_value_t = 3)]
        seeds: usize,
        /// The sets, separated by commas; all without it.
        #[arg(long)]
        sets: Option<String>,
    },
    /// Whether the verdicts of runs are right: a sweep of learning rates and epochs, judged by where the scores peak.
    Verdicts {
        /// The folder with the labelled sets.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// Where results are kept; finished runs in it are not repeated.
        #[arg(long, default_value = "benches/runs/verdicts.jsonl")]
        results: PathBuf,
        /// Draws of rows.
        #[arg(long, default_value_t = 5)]
        seeds: usize,
        /// Run nothing: judge what is there.
        #[arg(long)]
        table: bool,
    },
    /// Whether `topwork audit` finds planted wrong labels, near-duplicates and leaks.
    Faults {
        /// The folder with the labelled sets.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
    },
    /// Whether the similarity panel orders corpora as people would.
    Nearness {
        /// The folder with the labelled sets and the raw corpora.
        #[arg(long, default_value = "../shared/data")]
        data: PathBuf,
        /// The model whose features are compared.
        #[arg(long, default_value = "seedling")]
        model: String,
    },
    /// Compute anew what the scores are held to, in `fixtures/scores.json` and `fixtures/metrics.json`.
    Oracles,
    /// Turn a pre-trained directory into the model that the binary carries, in `assets/seedling`.
    Seedling {
        /// The output directory of `topwork pretrain`.
        directory: PathBuf,
    },
    /// Draw the carried model's curve, `assets/seedling/curve.svg`, from `curve.json`.
    Curve,
    /// Check that every dependency has a permissive licence.
    Licences,
    /// Kill runs at random times, let them go on, and compare the bits of what they save with a run that nothing disturbed.
    Kills {
        /// A task that learns from labelled rows, or `all`.
        #[arg(long, default_value = "all")]
        task: String,
        /// Runs to kill for each task.
        #[arg(long, default_value_t = 50)]
        kills: usize,
        /// The command to kill.
        #[arg(long, default_value = "target/release/topwork")]
        binary: PathBuf,
        /// Labelled rows of each task.
        #[arg(long, default_value_t = 240)]
        rows: usize,
        /// Times that the rows are gone through: enough for a run of some seconds.
        #[arg(long, default_value_t = 4)]
        epochs: usize,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Models => model::fetch().map(|_| ()),
        Chore::Venv => python::venv().map(|_| ()),
        Chore::Parity { train, test } => python::parity(&train, &test),
        Chore::Tokenizers { texts } => python::tokenizers(texts),
        Chore::Bench { scripts, data, corpus, only, batch, tokens, repeats } => {
            let batch = step::Batch { sequences: batch, tokens };
            let families = bench::FamilySteps { batch, repeats };
            bench::run(&scripts, data.as_deref(), corpus.as_deref(), families, only)
        }
        Chore::Earlier { commit, train, rows, pairs, arguments } => {
            let (commit, arguments) = (commit.as_str(), arguments.as_slice());
            earlier::run(&earlier::Earlier { commit, train: &train, rows, pairs, arguments })
        }
        Chore::Quality { data, scripts, results, contestants } => {
            python::quality(&data, &scripts, &results, &contestants)
        }
        Chore::FewLabels { data, results, model, systems, sets, rows, seeds, part, table } => {
            let (model, sets) = (model.as_deref(), sets.as_deref());
            python::few_labels(&python::FewLabels {
                data: &data,
                results: &results,
                model,
                systems: &systems,
                sets,
                rows: &rows,
                seeds,
                part: &part,
                table,
            })
        }
        Chore::Floors { data, results, honest } => python::floors(&data, &results, &honest),
        Chore::Transfer { data, results, model } => python::transfer(&data, &results, &model),
        Chore::Adapt { data, results, model, objective } => python::adapt(&data, &results, &model, &objective),
        Chore::Ranking { data, results, sets } => python::ranking(&data, &results, sets.as_deref()),
        Chore::Regret { data, results, rows, seeds, sets } => {
            python::regret(&data, &results, &rows, seeds, sets.as_deref())
        }
        Chore::Verdicts { data, results, seeds, table } => {
            if !table {
                python::verdicts(&data, &results, seeds)?;
            }
            verdicts::table(&results)
        }
        Chore::Faults { data } => python::faults(&data),
        Chore::Nearness { data, model } => python::nearness(&data, &model),
        Chore::Oracles => python::oracles(),
        Chore::Seedling { directory } => seedling::store(&directory),
        Chore::Curve => seedling::draw(),
        Chore::Licences => licences::check(),
        Chore::Kills { task, kills, binary, rows, epochs } => {
            kills::run(&kills::Kills { task: &task, kills, binary: &binary, rows, epochs })
        }
    }
}
