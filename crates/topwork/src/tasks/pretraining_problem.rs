//! Language, from plain text: hidden words, and how passages belong together.

use topwork_data::{Passage, PassageOrder, Passages, Stream, TokenStore};
use topwork_engine::{
    CrossEntropy, Gradients, Mode, ParameterId, Parameters, Pool, Rates, Sequences, Tape, Value, mix,
};
use topwork_models::{Block, Model, PretrainingLogits, Tokens};

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::fit::Progress;
use crate::fit::problem::{Evaluation, Problem, StepOutcome};
use crate::plan::parameter_policy::Policy;
use crate::tasks::objectives::contrastive;
use crate::tasks::objectives::mlm::Mlm;
use crate::tasks::objectives::{PairObjective, Question, Questions, Vocabulary};

/// Tells the dropout's random streams from the other draws of the same seed.
const DROPOUT_STREAM: u64 = 0x7072_6574_7261_696E;
/// The questions about held-out passages are the same at every evaluation.
const HELD_OUT_SEED: u64 = 0;
/// Questions on which two models are compared.
const SAMPLE: usize = 32;
/// Held-out passages of the curve; those of the final scores are all.
const CURVE_PASSAGES: usize = 256;
/// Evaluations of a run, at even distances of its budget.
const EVALUATIONS: f64 = 20.0;

/// Learning a language from passages.
pub struct Pretraining<'a> {
    model: &'a Model,
    policy: &'a Policy,
    options: PretrainingOptions<'a>,
    train: PassageStream<'a>,
    /// Passages of the corpus.
    passages_per_epoch: usize,
    held_out: Vec<Question>,
    /// What two models are compared on.
    sample: Vec<Question>,
}

/// What does not change while a language is learnt.
#[derive(Clone, Copy)]
pub struct PretrainingOptions<'a> {
    /// The tokens.
    pub vocabulary: &'a Vocabulary,
    /// Which words are hidden, and the weight of the objective; none leaves it out.
    pub mlm: Option<(&'a Mlm, f32)>,
    /// How passages are paired, and the weight of the objective; none leaves it out.
    pub pair: Option<(&'a dyn PairObjective, f32)>,
    /// As a control, the answers about pairs are drawn at random while learning; those of held-out pairs stay right.
    pub shuffle_pair_labels: bool,
    /// The longest sequence, with special tokens.
    pub max_length: usize,
    /// Passages of one forward and backward pass.
    pub batch_size: usize,
    /// Passes whose gradients make one step.
    pub gradient_accumulation_steps: usize,
    /// Passages of one forward pass when scoring.
    pub eval_batch_size: usize,
    /// Passages among which the next one is drawn.
    pub shuffle_buffer: usize,
    /// Held-out passages that are scored.
    pub eval_passages: usize,
    /// Names all random draws.
    pub seed: u64,
}

impl<'a> PretrainingOptions<'a> {
    fn questions(&self) -> Questions<'a> {
        Questions {
            vocabulary: self.vocabulary,
            mlm: self.mlm.map(|(mlm, _)| mlm),
            pair: self.pair.map(|(pair, _)| pair),
            max_length: self.max_length,
        }
    }

    fn max_passage(&self) -> usize {
        Questions::max_passage(self.max_length, self.pair.is_some())
    }

    fn passages_per_step(&self) -> usize {
        self.batch_size * self.gradient_accumulation_steps
    }

    /// Questions of so many passages.
    fn questions_of(&self, passages: usize) -> usize {
        if self.is_read_apart() { 2 * passages } else { passages }
    }

    fn is_read_apart(&self) -> bool {
        self.pair.is_some_and(|(pair, _)| pair.is_read_apart())
    }
}

/// How well the model answers one objective's questions.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveScores {
    /// The objective's name.
    pub objective: &'static str,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// The part that was right.
    pub accuracy: f64,
    /// How many questions there were.
    pub questions: usize,
}

impl<'a> Pretraining<'a> {
    /// Learning from the passages of `train`, looking at those of `held_out`.
    ///
    /// # Errors
    /// When the tokens cannot be read, or `train` has fewer passages than a step takes.
    pub fn new(
        model: &'a Model,
        policy: &'a Policy,
        options: PretrainingOptions<'a>,
        train: &'a TokenStore,
        held_out: Option<&TokenStore>,
    ) -> Result<Self, Error> {
        let needed = options.passages_per_step();
        let (mut there, mut longest) = (0, 0);
        for passage in Self::passages(train, &options, PassageOrder::AsStored)? {
            longest = passage?.ids.len().max(longest);
            there += 1;
        }
        if longest < 2 && options.is_read_apart() {
            let message = "corpus: expected passages of at least 2 tokens to part into pairs, found none";
            return Err(Error::run(message, "--objective mlm"));
        }
        if there < needed {
            let message = format!(
                "corpus: expected at least {needed} passages of up to {} tokens for a step, found {there}",
                options.max_passage()
            );
            // Two are needed to tell one passage from another.
            let hint = match there / options.gradient_accumulation_steps {
                0 | 1 if there < 2 => "a larger corpus".to_string(),
                0 | 1 => format!("--gradient-accumulation-steps 1 --batch-size {there}"),
                size => format!("--batch-size {size}"),
            };
            return Err(Error::run(message, hint));
        }
        let held_out = match held_out {
            Some(store) => {
                let order = PassageOrder::Shuffled { seed: HELD_OUT_SEED, epoch: 0, buffer: options.shuffle_buffer };
                let passages: Result<Vec<Passage>, _> =
                    Self::passages(store, &options, order)?.take(options.eval_passages).collect();
                options.questions().ask(&passages?, &Stream::named("held-out questions", HELD_OUT_SEED))
            }
            None => Vec::new(),
        };
        let sample = match held_out.is_empty() {
            true => {
                let passages: Result<Vec<Passage>, _> =
                    Self::passages(train, &options, PassageOrder::AsStored)?.take(SAMPLE).collect();
                options.questions().ask(&passages?, &Stream::named("held-out questions", HELD_OUT_SEED))
            }
            false => held_out[..held_out.len().min(SAMPLE)].to_vec(),
        };
        let train = PassageStream { store: train, options, at: None };
        Ok(Self { model, policy, options, train, passages_per_epoch: there, held_out, sample })
    }

    /// Optimizer steps in which the corpus is gone through once; not a whole number, because a step may take passages of
    /// two epochs.
    pub fn steps_per_epoch(&self) -> f64 {
        self.passages_per_epoch as f64 / self.options.passages_per_step() as f64
    }

    /// The questions about held-out passages.
    pub fn held_out(&self) -> &[Question] {
        &self.held_out
    }

    fn passages(store: &TokenStore, options: &PretrainingOptions<'_>, order: PassageOrder) -> Result<Passages, Error> {
        Ok(store.passages(options.max_passage(), order)?)
    }

    /// How well the model answers the questions about held-out passages, by objective; the same ones at each call.
    pub fn score(&self, parameters: &Parameters) -> Vec<ObjectiveScores> {
        self.score_on(parameters, &self.held_out)
    }

    fn score_on(&self, parameters: &Parameters, questions: &[Question]) -> Vec<ObjectiveScores> {
        let pool = Pool::new();
        // One of few is easier to tell than one of many, so pairs that are read apart are asked about in full batches, and
        // in what there is where that is less than one.
        let whole = self.options.questions_of(self.options.eval_batch_size);
        let is_comparable =
            |count: usize| !self.options.is_read_apart() || count == whole || (count == questions.len() && count > 2);
        let mut words = Tally::new("mlm");
        let mut pairs = Tally::new(self.options.pair.map_or("", |(pair, _)| pair.name()));
        for questions in questions.chunks(whole) {
            let batch = QuestionBatch::gather(questions, |_| 0);
            let mut tape = Tape::new(parameters, &pool, Mode::Inference);
            let mut logits = self.model.pretraining_logits(&mut tape, &batch.tokens(), &batch.hidden_rows);
            let pair_logits = self.pair_logits(&mut tape, &mut logits, &batch);
            if let Some((logits, answers)) = pair_logits.filter(|_| is_comparable(questions.len())) {
                pairs.add(&mut tape, logits, &answers);
            }
            if self.options.mlm.is_some() {
                words.add(&mut tape, logits.words, &batch.hidden_words);
            }
        }
        [words, pairs].into_iter().filter(|tally| tally.questions > 0).map(Tally::scores).collect()
    }

    /// What the model says to some held-out questions, or to some about the training text where nothing is held out: for
    /// comparing two models. The second number is how many questions there were.
    pub fn sample_logits(&self, parameters: &Parameters) -> (Vec<f32>, usize) {
        let batch = QuestionBatch::gather(&self.sample, |_| 0);
        let mut tape = Tape::new(parameters, &Pool::new(), Mode::Inference);
        let mut logits = self.model.pretraining_logits(&mut tape, &batch.tokens(), &batch.hidden_rows);
        let pairs = self.pair_logits(&mut tape, &mut logits, &batch);
        let mut all = logits.words.values().to_vec();
        all.extend(pairs.iter().flat_map(|(pairs, _)| pairs.values()));
        (all, self.sample.len())
    }

    /// What the model says about the pairs of a batch, a row for each that is asked about, and the right answers.
    fn pair_logits(
        &self,
        tape: &mut Tape<'_>,
        logits: &mut PretrainingLogits,
        batch: &QuestionBatch,
    ) -> Option<(Value, Vec<u32>)> {
        self.options.pair?;
        if self.options.is_read_apart() {
            let pooled = logits.pooled.take()?;
            let [heads, tails] = [0, 1].map(|first| (first..pooled.rows() as u32).step_by(2).collect::<Vec<u32>>());
            let [first, second] = [&heads, &tails].map(|rows| tape.rows(&pooled, rows));
            return Some((tape.cosines(&first, &second, contrastive::SCALE), (0..heads.len() as u32).collect()));
        }
        let pairs = logits.pairs.take()?;
        Some((tape.rows(&pairs, &batch.related), batch.relations.clone()))
    }

    /// The weight of an objective in the loss.
    fn weight(&self, objective: &str) -> f64 {
        let pair = self.options.pair.filter(|(pair, _)| pair.name() == objective).map(|(_, weight)| weight);
        let mlm = self.options.mlm.filter(|_| objective == "mlm").map(|(_, weight)| weight);
        f64::from(pair.or(mlm).unwrap_or(0.0))
    }
}

impl Problem for Pretraining<'_> {
    fn sparse_tables(&self) -> Vec<ParameterId> {
        self.model.sparse_tables()
    }

    fn rates(&self, id: ParameterId, learning_rate: f64) -> Rates {
        let policy = self.policy.get(id.index());
        Rates { learning_rate: learning_rate * policy.lr_scale, weight_decay: policy.weight_decay }
    }

    fn block(&self, id: ParameterId) -> Option<Block> {
        Some(self.policy.get(id.index()).block)
    }

    /// Every part of a batch divides by the number of questions of the whole, so the parts add up to the full batch's
    /// mean over hidden words, and over pairs. Only passages that are read apart are asked about among those of their part.
    fn accumulate(
        &mut self,
        parameters: &Parameters,
        step: usize,
        pool: &Pool,
        gradients: &mut Gradients,
    ) -> Result<StepOutcome, Error> {
        let options = self.options;
        let passages = self.train.step(step)?;
        let random = Stream::named("questions", options.seed).nth(step as u64);
        let questions = options.questions().ask(&passages, &random);
        let words: usize = questions.iter().map(|question| question.hidden.len()).sum();
        let pairs = match options.is_read_apart() {
            true => questions.len() / 2,
            false => questions.iter().filter(|question| question.relation.is_some()).count(),
        };
        let streams = mix(options.seed ^ DROPOUT_STREAM) ^ mix(step as u64);
        let (mut total, mut tokens, mut first) = (0.0, 0, 0);
        for part in questions.chunks(options.questions_of(options.batch_size)) {
            let batch = QuestionBatch::gather(part, |sequence| mix(streams ^ (first + sequence) as u64));
            first += part.len();
            tokens += batch.ids.len() as u64;
            let mut tape = Tape::new(parameters, pool, Mode::Training);
            let mut logits = self.model.pretraining_logits(&mut tape, &batch.tokens(), &batch.hidden_rows);
            let mut pair_logits = self.pair_logits(&mut tape, &mut logits, &batch);
            if let (Some((logits, answers)), true) = (&mut pair_logits, options.shuffle_pair_labels) {
                let mut random = Stream::named("shuffled answers", options.seed).nth(step as u64).nth(first as u64);
                answers.iter_mut().for_each(|answer| *answer = random.below(logits.columns() as u64) as u32);
            }
            let mut terms: Vec<(Value, f32)> = Vec::new();
            if let (Some((_, weight)), true) = (options.mlm, words > 0) {
                let loss = loss(&mut tape, logits.words, &batch.hidden_words, words);
                terms.push((loss, weight));
            }
            if let (Some((_, weight)), Some((logits, answers)), true) = (options.pair, pair_logits, pairs > 0) {
                let loss = loss(&mut tape, logits, &answers, pairs);
                terms.push((loss, weight));
            }
            if terms.is_empty() {
                continue;
            }
            let loss = tape.weighted_sum(&terms);
            drop(terms);
            total += f64::from(loss.values()[0]);
            tape.backward(loss, gradients);
        }
        Ok(StepOutcome { loss: total, tokens })
    }

    fn epoch(&self, progress: &Progress) -> f64 {
        progress.step as f64 / self.steps_per_epoch()
    }

    fn is_evaluation_due(&self, _: usize, before: f64, after: f64) -> bool {
        (before * EVALUATIONS).floor() < (after * EVALUATIONS).floor()
    }

    fn evaluate(
        &mut self,
        parameters: &Parameters,
        progress: &Progress,
        observer: &mut dyn Observer,
    ) -> Result<Option<Evaluation>, Error> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        let mut loss = 0.0;
        for scores in self
            .score_on(parameters, &self.held_out[..self.held_out.len().min(self.options.questions_of(CURVE_PASSAGES))])
        {
            loss += self.weight(scores.objective) * scores.loss;
            observer.event(&RunEvent::Predicted {
                step: progress.step,
                epoch: self.epoch(progress),
                tokens: progress.tokens,
                split: "held-out".to_string(),
                objective: scores.objective.to_string(),
                loss: scores.loss,
                accuracy: scores.accuracy,
                questions: scores.questions,
            });
        }
        Ok(Some(Evaluation { loss, judgement: None }))
    }
}

/// The mean loss of a part over all questions of a step.
fn loss(tape: &mut Tape<'_>, logits: Value, targets: &[u32], questions: usize) -> Value {
    let options = CrossEntropy { targets, class_weights: None, label_smoothing: 0.0, normaliser: questions as f64 };
    tape.cross_entropy(logits, &options)
}

/// The passages of each step: epoch after epoch without a gap, each in an order of its own.
struct PassageStream<'a> {
    store: &'a TokenStore,
    options: PretrainingOptions<'a>,
    at: Option<Place>,
}

/// Where the stream is.
struct Place {
    /// The step whose passages come next.
    step: usize,
    epoch: u64,
    passages: Passages,
}

impl PassageStream<'_> {
    /// The passages of a step. Going on from the step before costs nothing; any other step is read up to from the start.
    fn step(&mut self, step: usize) -> Result<Vec<Passage>, Error> {
        let mut place = match self.at.take() {
            Some(place) if place.step <= step => place,
            _ => Place { step: 0, epoch: 0, passages: self.epoch(0)? },
        };
        loop {
            let passages = self.next(&mut place)?;
            place.step += 1;
            if place.step > step {
                self.at = Some(place);
                return Ok(passages);
            }
        }
    }

    fn next(&self, place: &mut Place) -> Result<Vec<Passage>, Error> {
        let wanted = self.options.passages_per_step();
        let mut passages = Vec::with_capacity(wanted);
        while passages.len() < wanted {
            match place.passages.next() {
                Some(passage) => passages.push(passage?),
                None => {
                    place.epoch += 1;
                    place.passages = self.epoch(place.epoch)?;
                }
            }
        }
        Ok(passages)
    }

    fn epoch(&self, epoch: u64) -> Result<Passages, Error> {
        let order = PassageOrder::Shuffled { seed: self.options.seed, epoch, buffer: self.options.shuffle_buffer };
        Pretraining::passages(self.store, &self.options, order)
    }
}

/// The questions of one forward pass, without padding.
struct QuestionBatch {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    sequences: Sequences,
    /// The rows of the hidden tokens on the token axis, ascending, and what they were.
    hidden_rows: Vec<u32>,
    hidden_words: Vec<u32>,
    /// The sequences that are asked how their passages belong together, and the answers.
    related: Vec<u32>,
    relations: Vec<u32>,
}

impl QuestionBatch {
    /// Gathers questions; `stream` names the random stream of each.
    fn gather(questions: &[Question], stream: impl Fn(usize) -> u64) -> Self {
        let mut offsets = vec![0];
        let (mut hidden_rows, mut hidden_words) = (Vec::new(), Vec::new());
        let mut end = 0;
        for question in questions {
            hidden_rows.extend(question.hidden.iter().map(|(position, _)| end as u32 + position));
            hidden_words.extend(question.hidden.iter().map(|(_, was)| *was));
            end += question.ids.len();
            offsets.push(end);
        }
        Self {
            ids: questions.iter().flat_map(|question| question.ids.iter().copied()).collect(),
            type_ids: questions.iter().flat_map(|question| question.type_ids.iter().copied()).collect(),
            sequences: Sequences::new(offsets, (0..questions.len()).map(stream).collect()),
            hidden_rows,
            hidden_words,
            related: (0..).zip(questions).filter(|(_, q)| q.relation.is_some()).map(|(i, _)| i).collect(),
            relations: questions.iter().filter_map(|question| question.relation).collect(),
        }
    }

    fn tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.ids, type_ids: &self.type_ids, sequences: &self.sequences }
    }
}

/// The cross-entropy of every hidden token, in nats, question by question.
pub(crate) fn hidden_word_losses(
    model: &Model,
    parameters: &Parameters,
    questions: &[Question],
    batch_size: usize,
) -> Vec<Vec<f64>> {
    let pool = Pool::new();
    let mut losses = Vec::with_capacity(questions.len());
    for questions in questions.chunks(batch_size.max(1)) {
        let batch = QuestionBatch::gather(questions, |_| 0);
        let mut tape = Tape::new(parameters, &pool, Mode::Inference);
        let words = model.pretraining_logits(&mut tape, &batch.tokens(), &batch.hidden_rows).words;
        let width = words.columns();
        let mut rows = words.values().chunks_exact(width);
        for question in questions {
            let own = question.hidden.iter().zip(rows.by_ref());
            losses.push(own.map(|(&(_, was), row)| topwork_metrics::cross_entropy(row, width, &[was])).collect());
        }
    }
    losses
}

/// Adds up an objective's answers.
struct Tally {
    objective: &'static str,
    loss: f64,
    right: usize,
    questions: usize,
}

impl Tally {
    fn new(objective: &'static str) -> Self {
        Self { objective, loss: 0.0, right: 0, questions: 0 }
    }

    fn add(&mut self, tape: &mut Tape<'_>, logits: Value, targets: &[u32]) {
        let guesses = topwork_metrics::argmax(logits.values(), logits.columns());
        self.right += guesses.iter().zip(targets).filter(|(guess, target)| guess == target).count();
        self.questions += targets.len();
        if !targets.is_empty() {
            self.loss += f64::from(loss(tape, logits, targets, 1).values()[0]);
        }
    }

    fn scores(self) -> ObjectiveScores {
        let questions = self.questions as f64;
        ObjectiveScores {
            objective: self.objective,
            loss: self.loss / questions,
            accuracy: self.right as f64 / questions,
            questions: self.questions,
        }
    }
}
