//! The objectives for pairs teach what they ask, and nothing gives their answers away.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use topwork::events::NoObserver;
use topwork::fit::{Budget, FitContext, FitOptions, Progress, fit};
use topwork::plan::parameter_policy::{ParameterPolicy, Policy};
use topwork::plan::recipe::Options;
use topwork::plan::schedule::Schedule;
use topwork::pretrain::inputs::PretrainInputs;
use topwork::pretrain::options::PretrainRecipe;
use topwork::tasks::objectives::PairObjective;
use topwork::tasks::objectives::contrastive::Contrastive;
use topwork::tasks::objectives::mlm::Mlm;
use topwork::tasks::objectives::nsp::NextSentence;
use topwork::tasks::objectives::sop::SentenceOrder;
use topwork::tasks::pretraining_problem::{ObjectiveScores, Pretraining, PretrainingOptions};
use topwork_data::Stream;
use topwork_engine::{AdamWOptions, Parameters};
use topwork_models::{HubSettings, Model, ModelOptions, Weights};

/// Documents of one topic each, of ten, which speak of the morning, noon and evening of a day, in this order.
fn corpus(path: &Path) {
    const TOPICS: [[&str; 4]; 10] = [
        ["sea", "boat", "sail", "wave"],
        ["rose", "seed", "hedge", "soil"],
        ["loaf", "oven", "flour", "crust"],
        ["goal", "team", "match", "ball"],
        ["judge", "court", "jury", "trial"],
        ["drum", "flute", "song", "choir"],
        ["snow", "frost", "ice", "sleet"],
        ["horse", "barn", "hay", "plough"],
        ["coin", "bank", "loan", "debt"],
        ["bone", "nurse", "fever", "ward"],
    ];
    let mut random = Stream::named("corpus", 1);
    let mut document = || -> String {
        let topic = TOPICS[random.below(10) as usize];
        let mut sentence = |time: &str| {
            let words: Vec<&str> = (0..6).map(|_| topic[random.below(4) as usize]).collect();
            format!("In the {time} {}.", words.join(" "))
        };
        format!("{} {} {}\n\n", sentence("morning"), sentence("noon"), sentence("evening"))
    };
    std::fs::write(path, (0..1200).map(|_| document()).collect::<String>()).unwrap();
}

/// Pre-trains a tiny model; gives the scores on held-out pairs before and after.
fn learn(objective: &dyn PairObjective, shuffle_pair_labels: bool) -> [ObjectiveScores; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("corpus.txt");
    corpus(&path);
    let mut recipe = PretrainRecipe::default();
    let said = [
        ("corpus_files", path.to_str().unwrap()),
        ("objective", &format!("mlm,{}", objective.name())),
        ("num_hidden_layers", "2"),
        ("hidden_size", "32"),
        ("num_attention_heads", "2"),
        ("vocab_size", "80"),
        ("max_seq_length", "40"),
        ("validation_fraction", "0.25"),
    ];
    for (key, value) in said {
        recipe.say(key, value, key).unwrap();
    }
    let inputs = PretrainInputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).unwrap();
    let weights = Weights::initial(&inputs.config, inputs.head, 42).unwrap();
    let mut parameters = weights.parameters();
    let trained = |spec: &topwork_models::ParameterSpec| ParameterPolicy {
        name: spec.name.clone(),
        block: spec.block,
        values: spec.len(),
        trainable: true,
        lr_scale: 1.0,
        weight_decay: 0.0,
        why: String::new(),
    };
    let policy = Policy { parameters: weights.specs.iter().map(trained).collect() };
    let model = Model::bind(&inputs.config, &parameters, ModelOptions::of(inputs.head)).unwrap();
    let mlm = Mlm::default();
    let options = PretrainingOptions {
        vocabulary: &inputs.vocabulary,
        mlm: Some((&mlm, 1.0)),
        pair: Some((objective, 1.0)),
        shuffle_pair_labels,
        max_length: 40,
        batch_size: 32,
        gradient_accumulation_steps: 1,
        eval_batch_size: 32,
        shuffle_buffer: 4096,
        eval_passages: 1024,
        seed: 42,
    };
    let mut task = Pretraining::new(&model, &policy, options, &inputs.train, inputs.held_out.as_ref()).unwrap();
    let score = |task: &Pretraining<'_>, parameters: &Parameters| {
        let scores = task.score(parameters);
        scores.into_iter().find(|scores| scores.objective == objective.name()).unwrap()
    };
    let before = score(&task, &parameters);
    let fit_options = FitOptions {
        keep_by_training_loss: false,
        budget: Budget::Steps(1000),
        learning_rate: 6e-3,
        schedule: Schedule::Linear,
        warmup_ratio: 0.1,
        adamw: AdamWOptions::default(),
        max_grad_norm: 1.0,
        early_stopping_patience: None,
    };
    let interrupt = AtomicBool::new(false);
    let context = FitContext { observer: &mut NoObserver, interrupt: &interrupt, checkpoints: None };
    fit(&mut task, &mut parameters, &fit_options, &mut Progress::default(), context).unwrap();
    [before, score(&task, &parameters)]
}

/// A guess is right half of the time, with a deviation of half over the root of the questions: four of them is rarer than
/// one in ten thousand.
fn is_chance(scores: &ObjectiveScores) -> bool {
    (scores.accuracy - 0.5).abs() < 4.0 * 0.5 / (scores.questions as f64).sqrt()
}

#[test]
fn the_next_sentence_is_told_by_its_topic() {
    // One random passage in ten is of the same topic, and a short one may name none.
    let [_, scores] = learn(&NextSentence, false);
    assert!(scores.questions > 200 && scores.accuracy > 0.7, "{scores:?}");
}

#[test]
fn the_order_of_sentences_is_told_by_the_time_of_day() {
    let [_, scores] = learn(&SentenceOrder, false);
    assert!(scores.questions > 200 && scores.accuracy > 0.85, "{scores:?}");
}

/// One of 32 passages: of the three or four of its topic that are among them. Words that two passages share speak for each
/// other before anything is learnt, so what counts is what is gained.
#[test]
fn a_passage_is_told_from_all_others_by_its_topic() {
    let [before, after] = learn(&Contrastive, false);
    assert!(after.questions > 200 && after.accuracy > 0.2, "{after:?}");
    assert!(after.accuracy > before.accuracy + 0.05 && after.loss < before.loss - 0.3, "{before:?} {after:?}");
}

#[test]
fn shuffled_answers_leave_chance() {
    for objective in [&NextSentence as &dyn PairObjective, &SentenceOrder] {
        let [_, scores] = learn(objective, true);
        assert!(scores.questions > 200 && is_chance(&scores), "{scores:?}");
    }
}
