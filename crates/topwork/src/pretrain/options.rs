//! Every option of pre-training, listed once, as [`crate::plan::fields`] does for fine-tuning, and the types of their values.

use std::path::PathBuf;

use toml_edit::{Array, InlineTable, Value};
use topwork_models::TokenizerKind;

use super::facts::PretrainFacts;
use crate::plan::fields::options;
use crate::plan::schedule::Schedule;
use crate::plan::value::{RecipeValue, on_one_line};
use crate::tasks::objectives::mlm::{MaskReplacement, MaskUnit};

/// Every fact that a plan pins, and the option whose value it describes.
const PINNED: &[(&str, &str)] = &[
    ("topwork_version", ""),
    ("corpus_sha256", "corpus_files"),
    ("model_sha256", "model_name_or_path"),
    ("config_sha256", "model_name_or_path"),
    ("tokenizer_sha256", "model_name_or_path"),
];

options! {
    list PRETRAIN_FIELDS; recipe PretrainRecipe; plan PretrainPlan; facts PretrainFacts; pins PINNED;
    Model {
        /// A pretrained model to go on from, with its tokenizer: a directory, or a hub id.
        model_name_or_path: String => Option<String>, ["from", "model"];
        /// The sizes of a new model, where nothing else is said of them.
        preset: Preset => Preset, [];
        /// Layers of a new model.
        num_hidden_layers: usize => usize, ["layers"];
        /// Width of a new model.
        hidden_size: usize => usize, ["hidden"];
        /// Attention heads of a new model; they divide hidden_size.
        num_attention_heads: usize => usize, ["heads"];
        /// Width of a layer's middle of a new model.
        intermediate_size: usize => usize, ["intermediate"];
        /// The longest sequence, in tokens, with special tokens.
        max_seq_length: usize => usize, ["max_length"];
        /// How a new tokenizer cuts words.
        tokenizer_type: TokenizerKind => TokenizerKind, ["tokenizer"];
        /// Tokens of a new tokenizer.
        vocab_size: usize => usize, [];
        /// Whether a new tokenizer lowers texts.
        do_lower_case: bool => bool, ["lowercase"];
        /// Dropout of embeddings and sublayers while pre-training.
        hidden_dropout_prob: f32 => f32, ["hidden_dropout"];
        /// Dropout of attention probabilities while pre-training.
        attention_probs_dropout_prob: f32 => f32, ["attention_dropout"];
    }
    Data {
        /// Text files, plain or .gz or .zst, CSV, TSV, JSON lines or Parquet.
        corpus_files: Vec<PathBuf> => Vec<PathBuf>, ["train_file", "corpus"];
        /// The column with the text, where files have columns.
        text_column: String => Option<String>, ["text_column_name"];
        /// Whether every line of a text file is a document; otherwise a blank line ends one.
        line_by_line: bool => bool, [];
        /// The part of the documents that is held out.
        validation_fraction: f64 => f64, ["val_size"];
        /// Held-out passages that are scored.
        max_eval_samples: usize => usize, [];
        /// Passages among which the next one is drawn.
        shuffle_buffer: usize => usize, ["buffer_size"];
        /// The directory for the result.
        output_dir: PathBuf => PathBuf, ["output"];
    }
    Objective {
        /// What is learnt: mlm, nsp, sop, contrastive, or several with weights, such as mlm=1,nsp=0.5.
        objective: ObjectiveWeights => ObjectiveWeights, ["objectives"];
        /// A control: while learning, the answers of nsp or sop are random, so that held-out pairs must be at chance.
        shuffle_pair_labels: bool => bool, [];
        /// The part of the tokens that is hidden.
        mlm_probability: f64 => f64, ["mask_rate"];
        /// What is hidden as one.
        mask_unit: MaskUnit => MaskUnit, ["masking"];
        /// What stands in the place of a hidden token.
        mask_replacement: MaskReplacement => MaskReplacement, [];
    }
    Training {
        /// The budget in times that the corpus is gone through.
        num_train_epochs: f64 => Option<f64>, ["epochs"];
        /// The budget in optimizer steps.
        max_steps: usize => Option<usize>, ["steps"];
        /// The budget in tokens.
        max_tokens: u64 => Option<u64>, ["tokens"];
        /// The budget in time, such as 90s, 30m or 8h.
        max_time: Span => Option<Span>, ["time"];
        /// Passages of one forward and backward pass.
        per_device_train_batch_size: usize => usize, ["batch_size", "train_batch_size"];
        /// Passes whose gradients make one optimizer step.
        gradient_accumulation_steps: usize => usize, [];
        /// The highest learning rate.
        learning_rate: f64 => f64, ["lr"];
        /// How the learning rate falls after the warm-up.
        lr_scheduler_type: Schedule => Schedule, ["lr_scheduler", "schedule"];
        /// The part of the budget in which the learning rate rises from zero.
        warmup_ratio: f64 => f64, [];
        /// Decoupled weight decay; biases and layer norms have none.
        weight_decay: f64 => f64, [];
        /// AdamW's decay of the first moment.
        adam_beta1: f32 => f32, [];
        /// AdamW's decay of the second moment.
        adam_beta2: f32 => f32, [];
        /// Added to the root of AdamW's second moment.
        adam_epsilon: f32 => f32, [];
        /// The largest norm of a step's gradient; 0 is no limit.
        max_grad_norm: f64 => f64, [];
        /// How often the state of the run is saved.
        save_every: Span => Span, [];
        /// Names all random draws.
        seed: u64 => u64, [];
        /// Threads to compute with.
        threads: usize => usize, [];
    }
}

/// The sizes of a new model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// 2 layers, 128 wide: seconds to minutes, for trying things.
    Nano,
    /// 4 layers, 256 wide: an hour or more on a laptop.
    Mini,
    /// 6 layers, 384 wide, as MiniLM: a day.
    Small,
}

/// The sizes that a preset stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Layers.
    pub layers: usize,
    /// Width.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Tokens of the tokenizer.
    pub vocabulary: usize,
}

impl Preset {
    /// Every preset, in the order in which they are listed to users.
    pub const ALL: [Self; 3] = [Self::Nano, Self::Mini, Self::Small];

    /// The name, as it is said to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nano => "nano",
            Self::Mini => "mini",
            Self::Small => "small",
        }
    }

    /// The sizes.
    pub fn shape(self) -> Shape {
        match self {
            Self::Nano => Shape { layers: 2, hidden: 128, heads: 2, vocabulary: 4_096 },
            Self::Mini => Shape { layers: 4, hidden: 256, heads: 4, vocabulary: 8_192 },
            Self::Small => Shape { layers: 6, hidden: 384, heads: 12, vocabulary: 16_384 },
        }
    }
}

/// What is learnt, each objective with its weight in the loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectiveWeights {
    /// Hidden words.
    pub mlm: Option<f64>,
    /// Next sentence.
    pub nsp: Option<f64>,
    /// Sentence order.
    pub sop: Option<f64>,
    /// Which passage of the batch goes on another.
    pub contrastive: Option<f64>,
}

impl ObjectiveWeights {
    /// Whether the head for pairs is asked.
    pub fn has_pair_head(&self) -> bool {
        self.nsp.is_some() || self.sop.is_some()
    }

    /// Whether the pooled first token is asked for.
    pub fn has_pooler(&self) -> bool {
        self.has_pair_head() || self.contrastive.is_some()
    }

    fn of(&mut self, name: &str) -> Option<&mut Option<f64>> {
        match name {
            "mlm" => Some(&mut self.mlm),
            "nsp" => Some(&mut self.nsp),
            "sop" => Some(&mut self.sop),
            "contrastive" => Some(&mut self.contrastive),
            _ => None,
        }
    }

    /// The objectives that were chosen, with their weights.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [("mlm", self.mlm), ("nsp", self.nsp), ("sop", self.sop), ("contrastive", self.contrastive)];
        all.into_iter().filter_map(|(name, weight)| Some((name, weight?)))
    }

    fn collect(pairs: impl Iterator<Item = Option<(String, f64)>>) -> Option<Self> {
        let mut weights = Self::default();
        for pair in pairs {
            let (name, weight) = pair?;
            let slot = weights.of(&name)?;
            if slot.replace(weight).is_some() {
                return None;
            }
        }
        let is_empty = weights.list().next().is_none();
        (!is_empty).then_some(weights)
    }
}

impl RecipeValue for ObjectiveWeights {
    const EXPECTED: &'static str = "mlm, nsp, sop, contrastive, or several with weights, such as mlm=1,nsp=0.5";

    fn from_toml(value: &Value) -> Option<Self> {
        let Some(table) = value.as_inline_table() else { return Self::from_text(value.as_str()?) };
        Self::collect(table.iter().map(|(name, weight)| Some((name.to_string(), f64::from_toml(weight)?))))
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::collect(text.split(',').map(|part| match part.split_once('=') {
            Some((name, weight)) => Some((name.trim().to_string(), weight.trim().parse().ok()?)),
            None => Some((part.trim().to_string(), 1.0)),
        }))
    }

    fn to_toml(&self) -> String {
        Value::InlineTable(self.list().collect::<InlineTable>()).to_string()
    }
}

/// The longest span, in seconds: ten years.
const LONGEST: f64 = 10.0 * 365.0 * 86_400.0;

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its seconds.
    pub seconds: f64,
}

impl RecipeValue for Span {
    const EXPECTED: &'static str = "a time such as 90s, 30m or 8h";

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        let unit = match text.chars().last()? {
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            _ => return None,
        };
        let seconds = text[..text.len() - 1].trim().parse::<f64>().ok()? * unit;
        (seconds > 0.0 && seconds <= LONGEST).then_some(Self { seconds })
    }

    fn to_toml(&self) -> String {
        let units = [("h", 3600.0), ("m", 60.0)];
        let whole = units.into_iter().find(|(_, unit)| (self.seconds / unit).fract() == 0.0);
        let (unit, seconds) = whole.unwrap_or(("s", 1.0));
        on_one_line(&format!("{}{unit}", self.seconds / seconds))
    }
}

impl RecipeValue for Vec<PathBuf> {
    const EXPECTED: &'static str = "a path, or a list of paths";

    fn from_toml(value: &Value) -> Option<Self> {
        let paths = match value.as_array() {
            Some(array) => array.iter().map(PathBuf::from_toml).collect::<Option<Self>>()?,
            None => vec![PathBuf::from_toml(value)?],
        };
        Some(paths).filter(|paths| !paths.is_empty())
    }

    /// One path, or a TOML array of them.
    fn from_text(text: &str) -> Option<Self> {
        match text.parse::<Value>() {
            Ok(value @ Value::Array(_)) => Self::from_toml(&value),
            _ => Some(vec![PathBuf::from_text(text)?]),
        }
    }

    fn to_toml(&self) -> String {
        let paths: Vec<String> = self.iter().map(PathBuf::to_toml).collect();
        format!("[{}]", paths.join(", "))
    }
}

/// A TOML array of paths, as [`PretrainRecipe`] reads the corpus from one argument.
pub fn path_list<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    Value::Array(paths.into_iter().collect::<Array>()).to_string()
}

macro_rules! choice {
    ($($type:ty: $expected:literal, [$($name:literal),+];)+) => { $(
        impl RecipeValue for $type {
            const EXPECTED: &'static str = $expected;
            const CHOICES: &'static [&'static str] = &[$($name),+];

            fn from_toml(value: &Value) -> Option<Self> {
                Self::from_text(value.as_str()?)
            }
            fn from_text(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|choice| choice.name() == text)
            }
            fn to_toml(&self) -> String {
                on_one_line(self.name())
            }
        }
    )+ };
}

choice! {
    Preset: "nano, mini or small", ["nano", "mini", "small"];
    TokenizerKind: "wordpiece, bpe or unigram", ["wordpiece", "bpe", "unigram"];
    MaskUnit: "token, word or span", ["token", "word", "span"];
    MaskReplacement: "80-10-10 or mask", ["80-10-10", "mask"];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_back<T: RecipeValue + PartialEq + std::fmt::Debug>(value: T) {
        let parsed: Value = value.to_toml().parse().unwrap_or_else(|error| panic!("{}: {error}", value.to_toml()));
        assert_eq!(T::from_toml(&parsed).as_ref(), Some(&value));
        assert!(T::CHOICES.is_empty() || T::CHOICES.contains(&value.to_toml().trim_matches('"')));
    }

    #[test]
    fn every_value_reads_back_from_its_toml() {
        Preset::ALL.into_iter().for_each(reads_back);
        TokenizerKind::ALL.into_iter().for_each(reads_back);
        MaskUnit::ALL.into_iter().for_each(reads_back);
        MaskReplacement::ALL.into_iter().for_each(reads_back);
        for seconds in [1.0, 90.0, 0.5, 1800.0, 28_800.0, 5_400.0] {
            reads_back(Span { seconds });
        }
        reads_back(ObjectiveWeights { mlm: Some(1.0), nsp: Some(0.5), ..ObjectiveWeights::default() });
        reads_back(vec![PathBuf::from("a b.txt"), PathBuf::from("it's \"so\".txt")]);
    }

    #[test]
    fn objectives_and_spans_read_from_flags() {
        let both = Some(ObjectiveWeights { mlm: Some(1.0), nsp: Some(0.5), ..ObjectiveWeights::default() });
        assert_eq!(ObjectiveWeights::from_text("mlm, nsp=0.5"), both);
        for wrong in ["", "clm", "mlm,mlm", "mlm=much"] {
            assert_eq!(ObjectiveWeights::from_text(wrong), None, "{wrong}");
        }
        assert_eq!(Span::from_text("1.5h"), Some(Span { seconds: 5400.0 }));
        for wrong in ["", "30", "0s", "-1m", "infs", "m", "1e30h"] {
            assert_eq!(Span::from_text(wrong), None, "{wrong}");
        }
        assert_eq!(<Vec<PathBuf>>::from_text(&path_list(["a", "b, c"])), Some(vec!["a".into(), "b, c".into()]));
    }
}
