//! From a checkpoint to a model's parameters, strictly: nothing is left out, left over or made up unless a rule says so,
//! and the report repeats it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use topwork_engine::Parameters;

use crate::config::ModelConfig;
use crate::error::{KeyMismatch, ModelError, WrongShape};
use crate::families::{FamilyDescription, KeyRule};
use crate::heads::{HeadKind, HeadRule, Pooling};
use crate::names::leftover;
use crate::parameters::{Block, ParameterKind, ParameterSpec};
use crate::weights::Checkpoint;

/// Which weights of a checkpoint a model takes.
#[derive(Clone, Copy, Debug)]
pub struct WeightOptions {
    /// The seed of new weights.
    pub seed: u64,
    /// The head of the model.
    pub head: HeadKind,
    /// What may happen to it.
    pub head_rule: HeadRule,
    /// What the head reads of the tokens.
    pub pooling: Pooling,
}

impl WeightOptions {
    /// A head for these weights that reads first tokens, without a seed: for what is new, or where nothing is.
    pub fn of(head: HeadKind, head_rule: HeadRule) -> Self {
        Self { seed: 0, head, head_rule, pooling: Pooling::FirstToken }
    }
}

/// The weights of a model with a head, and what was done to get them.
#[derive(Clone, Debug)]
pub struct Weights {
    /// What each of them is, from the input to the output.
    pub specs: Vec<ParameterSpec>,
    /// The values, row-major, in the order of the specs.
    pub tensors: Vec<Vec<f32>>,
    /// What was new, left out or renamed.
    pub report: LoadReport,
}

impl Weights {
    /// Those of a checkpoint. New weights are drawn from a normal distribution by a generator keyed by seed and
    /// parameter name, so that they depend on nothing else; new biases are zero. Where the head reads the mean of the tokens, a
    /// dense part of it that was made for first tokens is new, and a new one begins as a map that hardly changes what it reads.
    ///
    /// # Errors
    /// When the family has no such head; when parameters are missing, keys are left over, or shapes differ (all of them
    /// in one error); when two keys mean one parameter; when the file cannot be read.
    pub fn load(checkpoint: &Checkpoint, config: &ModelConfig, options: &WeightOptions) -> Result<Self, ModelError> {
        let WeightOptions { seed, head, head_rule, pooling } = *options;
        let specs = config.specs(head)?;
        let layout = config.head(head)?;
        let dense = near_identity(config, head, pooling)?;
        let rules = Rules {
            head,
            head_rule,
            // What was pretrained for another pooling, or for the mean after other layers, says nothing of this one.
            other_vector: match pooling == config.pooling() {
                false => Some((layout.made_for_pooling(), OTHER_POOLING)),
                true if pooling == Pooling::MeanTokens && config.has_fewer_layers() => {
                    Some((layout.made_for_pooling(), OTHER_LAYERS))
                }
                true => None,
            },
            upper_layers: config.whole().specs(head)?.into_iter().map(|spec| spec.name).collect(),
            mean_layer: match config.pooling() {
                Pooling::MeanTokens => {
                    config.whole().encoder().mean_layer().into_iter().map(|(spec, _)| spec.name).collect()
                }
                Pooling::FirstToken => Vec::new(),
            },
        };
        let (sources, report) = plan(checkpoint, config.description(), &specs, &rules)?;
        let range = config.encoder().initializer_range();
        let value = |(spec, source): (&ParameterSpec, &Option<&str>)| match (source, dense.get(&spec.name)) {
            (Some(key), _) => checkpoint.read_f32(key),
            (None, Some(values)) => Ok(values.clone()),
            (None, None) => Ok(initial(spec, seed, range)),
        };
        let tensors = specs.iter().zip(&sources).map(value).collect::<Result<_, _>>()?;
        Ok(Self { specs, tensors, report })
    }

    /// The first values of a model without a checkpoint whose head reads first tokens, as [`Weights::load`] gives them to new
    /// parameters.
    ///
    /// # Errors
    /// When the family has no such head.
    pub fn initial(config: &ModelConfig, head: HeadKind, seed: u64) -> Result<Self, ModelError> {
        Self::initial_with(config, head, Pooling::FirstToken, seed)
    }

    /// As [`Weights::initial`], of a head with that pooling.
    ///
    /// # Errors
    /// As [`Weights::initial`].
    pub fn initial_with(config: &ModelConfig, head: HeadKind, pooling: Pooling, seed: u64) -> Result<Self, ModelError> {
        let (specs, dense) = (config.specs(head)?, near_identity(config, head, pooling)?);
        let range = config.encoder().initializer_range();
        let value = |spec: &ParameterSpec| match dense.get(&spec.name) {
            Some(values) => values.clone(),
            None => initial(spec, seed, range),
        };
        let tensors = specs.iter().map(value).collect();
        Ok(Self { specs, tensors, report: LoadReport::default() })
    }

    /// The parameters by name, all of them trainable, in the order of the specs.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::new();
        for (spec, values) in self.specs.iter().zip(&self.tensors) {
            parameters.add(spec.name.clone(), &spec.shape, values);
        }
        parameters
    }
}

/// What the dense parts of a head that reads the mean start from; nothing of other heads.
fn near_identity(
    config: &ModelConfig,
    head: HeadKind,
    pooling: Pooling,
) -> Result<BTreeMap<String, Vec<f32>>, ModelError> {
    match (pooling, head) {
        (Pooling::MeanTokens, HeadKind::Sequence { .. }) => {
            Ok(config.head(head)?.near_identity(config.encoder().sizes().hidden_size))
        }
        (Pooling::MeanTokens | Pooling::FirstToken, _) => Ok(BTreeMap::new()),
    }
}

/// Whether a checkpoint has every parameter of `block` that the model with that head has, and there is one. Shapes are
/// not looked at.
pub fn checkpoint_has(checkpoint: &Checkpoint, config: &ModelConfig, head: HeadKind, block: Block) -> bool {
    let Ok(specs) = config.specs(head) else { return false };
    let translate = config.description().translate;
    let means = |key: &str| match translate(key, head) {
        KeyRule::Parameter(name) | KeyRule::Repeats(name) => Some(name),
        KeyRule::Ignored(_) | KeyRule::Unknown => None,
    };
    let found: BTreeSet<String> = checkpoint.names().filter_map(means).collect();
    let mut own = specs.iter().filter(|spec| spec.block == block).peekable();
    own.peek().is_some() && own.all(|spec| found.contains(&spec.name))
}

/// What loading did that is not plain copying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that start afresh, each with the reason.
    pub new: Vec<(String, String)>,
    /// Keys of the checkpoint that were left out, each with the reason.
    pub ignored: Vec<(String, String)>,
    /// How many keys of the checkpoint had another name.
    pub renamed: usize,
    /// What was done to the checkpoint as a whole, as [`Checkpoint::notes`] says it.
    pub notes: Vec<String>,
}

impl LoadReport {
    /// Whether the parameter of this name started afresh.
    pub fn is_new(&self, name: &str) -> bool {
        self.new.iter().any(|(new, _)| new == name)
    }
}

/// Why what a checkpoint has between the tokens and the output layer is not taken.
const OTHER_POOLING: &str = "in the checkpoint it was made for another pooling of the tokens";

/// The same, of a mean after layers that are left out.
const OTHER_LAYERS: &str = "in the checkpoint it was made for the mean after layers that are left out";

/// What may happen to a checkpoint's parameters.
struct Rules {
    head: HeadKind,
    head_rule: HeadRule,
    /// Parameters that are new because the checkpoint's were made for another vector of a text, and why.
    other_vector: Option<(Vec<String>, &'static str)>,
    /// Parameters of the checkpoint's layer that computes the mean.
    mean_layer: Vec<String>,
    /// Parameters of the model with all its layers. Those that the model has not are left out.
    upper_layers: Vec<String>,
}

/// The key that each parameter comes from, `None` for a new one.
fn plan<'a>(
    checkpoint: &'a Checkpoint,
    family: &FamilyDescription,
    specs: &[ParameterSpec],
    rules: &Rules,
) -> Result<(Vec<Option<&'a str>>, LoadReport), ModelError> {
    let head = rules.head_rule;
    let mut report = LoadReport { notes: checkpoint.notes().to_vec(), ..LoadReport::default() };
    let mut unused = Vec::new();
    let mut found = translate_keys(checkpoint, family, rules.head, &mut report, &mut unused)?;
    let of_mean = rules.mean_layer.iter().map(|name| (name, "topwork computes the mean of the tokens itself"));
    let of_other = rules.other_vector.iter().flat_map(|(names, reason)| names.iter().map(|name| (name, *reason)));
    let own: BTreeSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let is_upper = |name: &&String| !own.contains(name.as_str());
    let of_upper = rules.upper_layers.iter().filter(is_upper).map(|name| (name, "of a layer that is left out"));
    for (name, reason) in of_mean.chain(of_other).chain(of_upper) {
        if let Some(key) = found.remove(name) {
            report.ignored.push((key.to_string(), reason.to_string()));
        }
    }
    let replaced = replaced_head(checkpoint, specs, &found, head);
    if let Some(reason) = &replaced {
        for spec in specs.iter().filter(|spec| spec.block == Block::Head) {
            if let Some(key) = found.remove(&spec.name) {
                report.ignored.push((key.to_string(), reason.clone()));
            }
        }
    }
    let mut missing = Vec::new();
    let mut wrong_shapes = Vec::new();
    let mut sources = Vec::with_capacity(specs.len());
    for spec in specs {
        let source = found.get(spec.name.as_str()).copied();
        match source {
            Some(key) if checkpoint.shape(key) != Some(&spec.shape) => wrong_shapes.push(WrongShape {
                key: key.to_string(),
                expected: spec.shape.clone(),
                found: checkpoint.shape(key).unwrap_or_default().to_vec(),
            }),
            Some(key) => report.renamed += usize::from(key != spec.name),
            None if may_be_new(spec, specs, &found, head) => {
                let reason = match &replaced {
                    Some(reason) if spec.block == Block::Head => reason,
                    _ => match &rules.other_vector {
                        Some((names, reason)) if names.contains(&spec.name) => reason,
                        _ => "not in the checkpoint",
                    },
                };
                report.new.push((spec.name.clone(), reason.to_string()));
            }
            None => missing.push(spec.name.clone()),
        }
        sources.push(source);
    }
    for spec in specs {
        found.remove(&spec.name);
    }
    unused.extend(found.into_values().map(str::to_string));
    unused.sort();
    if missing.is_empty() && unused.is_empty() && wrong_shapes.is_empty() {
        for (name, reason) in &report.new {
            tracing::info!("{name} is new: {reason}");
        }
        for (key, reason) in &report.ignored {
            tracing::debug!("{key} is left out: {reason}");
        }
        return Ok((sources, report));
    }
    let path = checkpoint.path().to_path_buf();
    Err(ModelError::KeyMismatch(Box::new(KeyMismatch { path, missing, unused, wrong_shapes })))
}

/// The checkpoint's keys by the parameter that they mean.
fn translate_keys<'a>(
    checkpoint: &'a Checkpoint,
    family: &FamilyDescription,
    head: HeadKind,
    report: &mut LoadReport,
    unused: &mut Vec<String>,
) -> Result<BTreeMap<String, &'a str>, ModelError> {
    let mut found = BTreeMap::new();
    let mut repeated = Vec::new();
    for key in checkpoint.names() {
        match (family.translate)(key, head) {
            KeyRule::Repeats(parameter) => repeated.push((parameter, key)),
            KeyRule::Ignored(reason) => report.ignored.push((key.to_string(), reason.to_string())),
            KeyRule::Unknown => match leftover(key) {
                Some(reason) => report.ignored.push((key.to_string(), reason.to_string())),
                None => unused.push(key.to_string()),
            },
            KeyRule::Parameter(parameter) => {
                if let Some(first) = found.insert(parameter.clone(), key) {
                    return Err(ModelError::DuplicateKey {
                        path: checkpoint.path().to_path_buf(),
                        first: first.to_string(),
                        second: key.to_string(),
                        parameter,
                    });
                }
            }
        }
    }
    for (parameter, key) in repeated {
        match found.entry(parameter) {
            Entry::Occupied(own) => {
                let is_same = checkpoint.read_f32(key)? == checkpoint.read_f32(own.get())?;
                let reason = match is_same {
                    true => format!("the same as {}", own.key()),
                    false => format!("not the same as {}, with which it is tied here", own.key()),
                };
                report.ignored.push((key.to_string(), reason));
            }
            Entry::Vacant(place) => _ = place.insert(key),
        }
    }
    Ok(found)
}

/// Why the checkpoint's head is not taken, if it is not.
fn replaced_head(
    checkpoint: &Checkpoint,
    specs: &[ParameterSpec],
    found: &BTreeMap<String, &str>,
    head: HeadRule,
) -> Option<String> {
    let mut own = specs.iter().filter(|spec| spec.block == Block::Head).filter_map(|spec| {
        let shape = checkpoint.shape(found.get(&spec.name)?)?;
        Some((spec, shape))
    });
    match head {
        HeadRule::Required => None,
        HeadRule::New(reason) => own.next().map(|_| reason.to_string()),
        HeadRule::LoadIfShapeFits => own.find(|(spec, shape)| spec.shape != *shape).map(|(spec, shape)| {
            format!("the checkpoint's {} has shape {shape:?}, the data needs {:?}", spec.name, spec.shape)
        }),
    }
}

/// A parameter may be new when its family says so and its sibling (the bias of a weight, the weight of a bias) is new as
/// well: half of a module is a damaged checkpoint.
fn may_be_new(spec: &ParameterSpec, specs: &[ParameterSpec], found: &BTreeMap<String, &str>, head: HeadRule) -> bool {
    let module = |name: &str| name.rsplit_once('.').map_or(String::new(), |(module, _)| module.to_string());
    let own = module(&spec.name);
    let siblings = specs.iter().filter(|other| module(&other.name) == own);
    spec.new_if_missing && head != HeadRule::Required && siblings.into_iter().all(|s| !found.contains_key(&s.name))
}

/// The first value of a new parameter: zero for a bias, one for the weight of a layer norm, normal otherwise.
fn initial(spec: &ParameterSpec, seed: u64, initializer_range: f64) -> Vec<f32> {
    match spec.kind {
        _ if spec.name.ends_with(".bias") => vec![0.0; spec.len()],
        ParameterKind::Bias => vec![0.0; spec.len()],
        ParameterKind::LayerNorm => vec![1.0; spec.len()],
        ParameterKind::Weight | ParameterKind::Embedding => {
            let key = mix(seed ^ hash(&spec.name));
            (0..spec.len() as u64).map(|index| (normal(key, index) * initializer_range) as f32).collect()
        }
    }
}

/// The `index`-th number of the standard normal stream `key` (Box and Muller, 1958).
fn normal(key: u64, index: u64) -> f64 {
    let uniform = |counter: u64| ((mix(key ^ mix(counter)) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let (radius, angle) = (uniform(2 * index), uniform(2 * index + 1));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// The finaliser of SplitMix64 (Steele et al., 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a: a name's hash that is the same on every platform and in every version.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
