//! Laws that every family obeys with every head by being on the list. Each law is a function of a subject, and each is
//! shown to catch a family that breaks it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use topwork_engine::{CrossEntropy, Gradients, Mode, ParameterId, Parameters, Pool, Sequences, Tape, Value};

use super::{FAMILIES, FamilyDescription, KeyRule, Sizes};
use crate::backbone::{Asked, Backbone, BlockInput, Tokens};
use crate::config::ModelConfig;
use crate::heads::{HeadKind, HeadRule, Pooling};
use crate::layers::Dropouts;
use crate::load::{WeightOptions, Weights};
use crate::model::{Input, Model, ModelOptions};
use crate::parameters::{Block, ParameterKind, ParameterSpec};
use crate::weights::{Checkpoint, TensorView, write_safetensors};

const HEADS: [HeadKind; 5] = [
    HeadKind::Sequence { outputs: 3 },
    HeadKind::Token { labels: 4 },
    HeadKind::MASKED_WORDS,
    HeadKind::Pretraining { pairs: false, pooler: true },
    HeadKind::Pretraining { pairs: true, pooler: true },
];

const LAYERS: usize = 3;
const LENGTHS: [usize; 4] = [5, 1, 9, 3];
/// The rows of the token axis that are asked about: some of each sequence.
const ASKED: [u32; 7] = [1, 2, 5, 8, 9, 14, 17];

type Law = fn(&Subject) -> Result<(), String>;

/// Every law, and the fault that it catches.
const LAWS: [(&str, Law, Fault); 9] = [
    ("a packed batch is its sequences one by one", packed, Fault::ReadsOtherSequences),
    ("a prefix and the rest are the whole", prefix, Fault::Remembers),
    ("the states of each layer are what the layers below give", states, Fault::Remembers),
    ("the rows that are asked for are those of the whole", asked, Fault::ForgetsWhoAsks),
    ("every parameter gets a gradient", gradients, Fault::UnusedParameter),
    ("every parameter belongs to one block", blocks, Fault::LayerOutOfPlace),
    ("saving what was loaded changes nothing", saving, Fault::LosesKeys),
    ("the number of threads changes nothing", threads, Fault::CountsThreads),
    ("a new configuration has the sizes that were asked for", sizes, Fault::SmallerThanAsked),
];

/// What may be wrong with a family.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    ReadsOtherSequences,
    Remembers,
    ForgetsWhoAsks,
    UnusedParameter,
    LayerOutOfPlace,
    LosesKeys,
    CountsThreads,
    SmallerThanAsked,
}

/// A family with a head, tiny and with random weights.
struct Subject {
    family: FamilyDescription,
    head: HeadKind,
    config: ModelConfig,
    specs: Vec<ParameterSpec>,
    parameters: Parameters,
    model: Model,
}

fn asked_sizes(family: &FamilyDescription) -> Sizes {
    let has_types = family.name != "distilbert";
    Sizes {
        vocab_size: 40,
        hidden_size: 12,
        num_hidden_layers: LAYERS,
        num_attention_heads: 3,
        intermediate_size: 20,
        max_tokens: 9,
        type_vocab_size: has_types.then_some(2),
        pad_token_id: 1,
    }
}

impl Subject {
    /// None when the family has no such head.
    fn new(family: &FamilyDescription, head: HeadKind, pooling: Pooling, fault: Option<Fault>) -> Option<Self> {
        let mut family = *family;
        let mut sizes = asked_sizes(&family);
        match fault {
            Some(Fault::LosesKeys) => family.translate = loses_keys,
            Some(Fault::SmallerThanAsked) => sizes.vocab_size -= 1,
            _ => {}
        }
        let raw = (family.new_config)(&sizes);
        let config = ModelConfig::parse_as(&family, Path::new("config.json"), raw).unwrap();
        let mut weights = Weights::initial(&config, head, 7).ok()?;
        match fault {
            Some(Fault::UnusedParameter) => {
                let spec = ParameterSpec {
                    name: "unused".into(),
                    shape: vec![2],
                    block: Block::Head,
                    kind: ParameterKind::Bias,
                    new_if_missing: false,
                };
                weights.specs.push(spec);
                weights.tensors.push(vec![0.0; 2]);
            }
            Some(Fault::LayerOutOfPlace) => weights.specs[0].block = Block::Layer(1),
            _ => {}
        }
        let dropouts = Dropouts { hidden: 0.2, attention: 0.2, head: 0.3 };
        let parameters = weights.parameters();
        let mut backbone = config.encoder().backbone(&parameters, dropouts).unwrap();
        if let Some(fault) = fault {
            backbone = Box::new(Broken { inner: backbone, fault, calls: AtomicUsize::new(0) });
        }
        let options = ModelOptions { head, pooling, dropouts };
        let model = Model::on(backbone, &config.head(head).unwrap(), &parameters, options).unwrap();
        Some(Self { family, head, config, specs: weights.specs, parameters, model })
    }

    /// What the head says of texts, and a gradient for each parameter.
    fn run(&self, texts: &Texts, start: Start) -> Run {
        let mut tape = Tape::new(&self.parameters, &Pool::new(), Mode::Training);
        let tokens = texts.tokens();
        let input = match start {
            Start::Tokens => Input::Tokens(tokens),
            Start::Above(layers) => {
                let hidden = self.model.hidden_below(&mut tape, &tokens, layers);
                Input::Hidden { layers, hidden, sequences: &texts.sequences }
            }
        };
        let outputs = self.outputs(&mut tape, input, &texts.asked);
        let values = outputs.iter().flat_map(|output| output.values().to_vec()).collect();
        let losses: Vec<(Value, f32)> = outputs.into_iter().map(|output| (loss(&mut tape, output), 1.0)).collect();
        let total = tape.weighted_sum(&losses);
        drop(losses);
        let mut gradients = Gradients::new(&self.parameters, &self.model.sparse_tables());
        tape.backward(total, &mut gradients);
        let gradients = self.parameters.iter().map(|(id, _)| gradients.to_vec(id).unwrap()).collect();
        Run { values, gradients }
    }

    fn outputs(&self, tape: &mut Tape<'_>, input: Input<'_>, asked: &[u32]) -> Vec<Value> {
        match self.head {
            HeadKind::Sequence { .. } => vec![self.model.logits(tape, input)],
            HeadKind::Token { .. } => vec![self.model.token_logits(tape, input, asked)],
            HeadKind::Pretraining { .. } => {
                let logits = self.model.pretraining_logits(tape, input, asked);
                [Some(logits.words), logits.pooled, logits.pairs].into_iter().flatten().collect()
            }
        }
    }
}

/// Where a pass starts.
#[derive(Clone, Copy)]
enum Start {
    Tokens,
    Above(usize),
}

struct Run {
    values: Vec<f32>,
    gradients: Vec<Vec<f32>>,
}

/// A sum over rows, so that the losses of parts add up.
fn loss(tape: &mut Tape<'_>, output: Value) -> Value {
    let width = output.columns() as u32;
    let targets: Vec<u32> = (0..output.rows()).map(|_| 2 % width).collect();
    let loss = CrossEntropy { targets: &targets, class_weights: None, label_smoothing: 0.0, normaliser: 1.0 };
    tape.cross_entropy(output, &loss)
}

/// Some sequences and what is asked of them.
struct Texts {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    sequences: Sequences,
    asked: Vec<u32>,
}

impl Texts {
    fn new() -> Self {
        Self::times(1)
    }

    /// The same sequences several times.
    fn times(repeats: usize) -> Self {
        let tokens = LENGTHS.iter().sum::<usize>();
        let lengths = LENGTHS.iter().cycle().take(repeats * LENGTHS.len());
        let mut offsets = vec![0];
        lengths.for_each(|length| offsets.push(offsets[offsets.len() - 1] + length));
        let all = (repeats * tokens) as u32;
        Self {
            ids: (0..all).map(|i| 2 + i * 7 % 38).collect(),
            type_ids: (0..all).map(|i| i % 2).collect(),
            sequences: Sequences::new(offsets, (0..(repeats * LENGTHS.len()) as u64).map(|s| 50 + s).collect()),
            asked: (0..repeats).flat_map(|repeat| ASKED.map(|row| row + (repeat * tokens) as u32)).collect(),
        }
    }

    fn tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.ids, type_ids: &self.type_ids, sequences: &self.sequences }
    }

    /// One of the sequences alone.
    fn alone(&self, sequence: usize) -> Self {
        let range = self.sequences.range(sequence);
        let asked = self.asked.iter().map(|&row| row as usize).filter(|row| range.contains(row));
        Self {
            ids: self.ids[range.clone()].to_vec(),
            type_ids: self.type_ids[range.clone()].to_vec(),
            asked: asked.map(|row| (row - range.start) as u32).collect(),
            sequences: Sequences::new(vec![0, range.len()], vec![50 + sequence as u64]),
        }
    }
}

fn packed(subject: &Subject) -> Result<(), String> {
    let texts = Texts::new();
    let mode = Mode::Training;
    let outputs = |texts: &Texts| -> Vec<Vec<f32>> {
        let mut tape = Tape::new(&subject.parameters, &Pool::new(), mode);
        let outputs = subject.outputs(&mut tape, Input::Tokens(texts.tokens()), &texts.asked);
        outputs.iter().map(|output| output.values().to_vec()).collect()
    };
    let whole = outputs(&texts);
    let mut parts: Vec<Vec<f32>> = vec![Vec::new(); whole.len()];
    for sequence in 0..LENGTHS.len() {
        parts.iter_mut().zip(outputs(&texts.alone(sequence))).for_each(|(all, part)| all.extend(part));
    }
    whole.iter().zip(&parts).try_for_each(|(whole, parts)| close("outputs", whole, parts))?;
    let whole = subject.run(&texts, Start::Tokens).gradients;
    let mut sums: Vec<Vec<f32>> = whole.iter().map(|gradient| vec![0.0; gradient.len()]).collect();
    for sequence in 0..LENGTHS.len() {
        let part = subject.run(&texts.alone(sequence), Start::Tokens).gradients;
        sums.iter_mut().flatten().zip(part.iter().flatten()).for_each(|(sum, part)| *sum += part);
    }
    close("gradients", &whole.concat(), &sums.concat())
}

fn prefix(subject: &Subject) -> Result<(), String> {
    let texts = Texts::new();
    let whole = subject.run(&texts, Start::Tokens);
    // What is dropped of a row of the last layer depends on which rows are asked for, unless they are the first.
    let is_of_sequences = matches!(subject.head, HeadKind::Sequence { .. });
    let most = if is_of_sequences { LAYERS } else { LAYERS - 1 };
    for layers in 0..=most {
        let parts = subject.run(&texts, Start::Above(layers));
        close(&format!("outputs from layer {layers} on"), &whole.values, &parts.values)?;
        close("gradients", &whole.gradients.concat(), &parts.gradients.concat())?;
    }
    Ok(())
}

fn states(subject: &Subject) -> Result<(), String> {
    let texts = Texts::new();
    let mut tape = Tape::new(&subject.parameters, &Pool::new(), Mode::Inference);
    let states = subject.model.hidden_states(&mut tape, &texts.tokens());
    if states.len() != LAYERS + 1 || states.iter().any(|s| s.columns() != subject.model.backbone().hidden_size()) {
        return Err("a state for the embeddings and each layer".into());
    }
    for (layers, state) in states.iter().enumerate().take(LAYERS) {
        let below = subject.model.hidden_below(&mut tape, &texts.tokens(), layers);
        close(&format!("states of {layers} layers"), state.values(), below.values())?;
    }
    let all = Asked::all(&texts.sequences);
    let last = subject.model.backbone().last_hidden_state(&mut tape, &texts.tokens(), &all);
    close("the last state", states[LAYERS].values(), last.values())
}

fn asked(subject: &Subject) -> Result<(), String> {
    let texts = Texts::new();
    let backbone = subject.model.backbone();
    for mode in [Mode::Inference, Mode::Training] {
        // With dropout, only a sequence's first tokens have the place that they have in the whole.
        let asked = match mode {
            Mode::Inference => Asked::rows(texts.asked.clone(), &texts.sequences),
            Mode::Training => Asked::first_tokens(&texts.sequences),
        };
        let rows = match mode {
            Mode::Inference => texts.asked.clone(),
            Mode::Training => crate::backbone::first_rows(&texts.sequences),
        };
        let mut tape = Tape::new(&subject.parameters, &Pool::new(), mode);
        let whole = backbone.last_hidden_state(&mut tape, &texts.tokens(), &Asked::all(&texts.sequences));
        let some = backbone.last_hidden_state(&mut tape, &texts.tokens(), &asked);
        close("rows", tape.rows(&whole, &rows).values(), some.values())?;
    }
    Ok(())
}

fn gradients(subject: &Subject) -> Result<(), String> {
    let run = subject.run(&Texts::new(), Start::Tokens);
    for (spec, gradient) in subject.specs.iter().zip(&run.gradients) {
        if gradient.iter().all(|&g| g == 0.0) || gradient.iter().any(|g| !g.is_finite()) {
            return Err(format!("{} has no gradient", spec.name));
        }
    }
    Ok(())
}

fn blocks(subject: &Subject) -> Result<(), String> {
    let specs = &subject.specs;
    let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{} is there twice", twice[0]));
    }
    // A pooler that belongs to a head for words stands before it; otherwise from the input to the output.
    if !specs.is_sorted_by_key(|spec| spec.block) {
        return Err("the blocks are not in order".into());
    }
    let has = |block| specs.iter().any(|spec| spec.block == block);
    let layers = (0..LAYERS).all(|index| has(Block::Layer(index))) && !has(Block::Layer(LAYERS));
    if !layers || !has(Block::Embeddings) || !has(Block::Head) {
        return Err("a block has no parameter, or one too many".into());
    }
    let of_backbone = subject.config.encoder().backbone_specs();
    match of_backbone.iter().find(|spec| spec.new_if_missing || matches!(spec.block, Block::Final | Block::Head)) {
        Some(spec) => Err(format!("{} may not start afresh", spec.name)),
        None => Ok(()),
    }
}

fn saving(subject: &Subject) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, specs: &[ParameterSpec], tensors: &[Vec<f32>]| {
        let views = specs.iter().zip(tensors);
        let views: Vec<TensorView<'_>> =
            views.map(|(spec, data)| TensorView { name: &spec.name, shape: &spec.shape, data }).collect();
        let path = folder.path().join(name);
        write_safetensors(&path, &views).unwrap();
        (Checkpoint::open_file(&path).unwrap(), std::fs::read(&path).unwrap())
    };
    let values: Vec<Vec<f32>> = subject.parameters.iter().map(|(_, p)| p.values.to_vec()).collect();
    let (first, before) = write("first.safetensors", &subject.specs, &values);
    let options = WeightOptions::of(subject.head, HeadRule::Required);
    let loaded = Weights::load(&first, &subject.config, &options).map_err(|error| error.to_string())?;
    if !loaded.report.new.is_empty() || !loaded.report.ignored.is_empty() || loaded.report.renamed > 0 {
        return Err(format!("{:?}", loaded.report));
    }
    let (_, after) = write("second.safetensors", &loaded.specs, &loaded.tensors);
    if before == after { Ok(()) } else { Err("the second file is another".into()) }
}

fn threads(subject: &Subject) -> Result<(), String> {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let bits = |run: Run| -> Vec<u32> {
            run.values.iter().chain(run.gradients.iter().flatten()).map(|value| value.to_bits()).collect()
        };
        // More rows than one thread takes at once.
        pool.install(|| bits(subject.run(&Texts::times(9), Start::Tokens)))
    };
    if run(1) == run(2) { Ok(()) } else { Err("other bits on two threads".into()) }
}

fn sizes(subject: &Subject) -> Result<(), String> {
    let (asked, found) = (asked_sizes(&subject.family), subject.config.encoder().sizes());
    if asked == found { Ok(()) } else { Err(format!("expected {asked:?}, found {found:?}")) }
}

fn close(what: &str, a: &[f32], b: &[f32]) -> Result<(), String> {
    let scale = a.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
    let difference = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if a.len() == b.len() && difference <= 2e-5 * scale {
        return Ok(());
    }
    Err(format!("{what}: {} and {} values, off by {difference:e} of {scale:e}", a.len(), b.len()))
}

#[test]
fn every_family_obeys_every_law_with_every_head() {
    for family in FAMILIES {
        for head in HEADS {
            for pooling in Pooling::ALL {
                let Some(subject) = Subject::new(family, head, pooling, None) else {
                    assert!(matches!(head, HeadKind::Pretraining { pooler: true, .. }), "{} {head}", family.name);
                    continue;
                };
                for (law, holds, _) in LAWS {
                    if let Err(message) = holds(&subject) {
                        panic!("{} with {head} on {}: {law}: {message}", family.name, pooling.name());
                    }
                }
            }
        }
    }
}

#[test]
fn every_law_catches_a_family_that_breaks_it() {
    for family in FAMILIES {
        for (law, holds, fault) in LAWS {
            let head = HeadKind::Sequence { outputs: 3 };
            let subject = Subject::new(family, head, Pooling::FirstToken, Some(fault)).unwrap();
            assert!(holds(&subject).is_err(), "{}: {fault:?} is not caught by: {law}", family.name);
        }
    }
}

#[test]
fn a_head_that_a_family_has_not_is_refused_by_name() {
    let pairs = HeadKind::Pretraining { pairs: true, pooler: true };
    let raw = (super::distilbert::DISTILBERT.new_config)(&asked_sizes(&super::distilbert::DISTILBERT));
    let config = ModelConfig::parse(Path::new("config.json"), raw).unwrap();
    let error = config.specs(pairs).unwrap_err();
    assert_eq!(
        error.to_string(),
        "distilbert: expected a head that the family has, found a head for pairs of passages"
    );
    assert!(error.hint().is_some());
}

/// A backbone with a fault.
#[derive(Debug)]
struct Broken {
    inner: Box<dyn Backbone>,
    fault: Fault,
    calls: AtomicUsize,
}

impl Backbone for Broken {
    fn layers(&self) -> usize {
        self.inner.layers()
    }

    fn hidden_size(&self) -> usize {
        self.inner.hidden_size()
    }

    fn embed(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        let embedded = self.inner.embed(tape, tokens);
        match self.fault {
            Fault::CountsThreads => tape.weighted_sum(&[(embedded, rayon::current_num_threads() as f32)]),
            _ => embedded,
        }
    }

    fn block(&self, tape: &mut Tape<'_>, index: usize, input: BlockInput<'_>) -> Value {
        match self.fault {
            Fault::ReadsOtherSequences => {
                let one = |tokens: usize| Sequences::new(vec![0, tokens], vec![0]);
                let (queries, sequences) = (one(input.asking.rows()), one(input.x.rows()));
                self.inner.block(tape, index, BlockInput { queries: &queries, sequences: &sequences, ..input })
            }
            Fault::ForgetsWhoAsks => {
                let last = input.x.rows() as u32 - 1;
                let rows: Vec<u32> = (0..input.asking.rows() as u32).map(|row| last - row).collect();
                let asking = tape.rows(&input.x, &rows);
                self.inner.block(tape, index, BlockInput { asking, ..input })
            }
            Fault::Remembers => {
                let output = self.inner.block(tape, index, input);
                let calls = self.calls.fetch_add(1, Ordering::Relaxed);
                tape.weighted_sum(&[(output, 1.0 + calls as f32 / 100.0)])
            }
            _ => self.inner.block(tape, index, input),
        }
    }

    fn word_table(&self) -> ParameterId {
        self.inner.word_table()
    }

    fn sparse_tables(&self) -> Vec<ParameterId> {
        self.inner.sparse_tables()
    }
}

fn loses_keys(key: &str, _: HeadKind) -> KeyRule {
    match key.ends_with("bias") {
        true => KeyRule::Ignored("a bias"),
        false => KeyRule::Parameter(key.to_string()),
    }
}
