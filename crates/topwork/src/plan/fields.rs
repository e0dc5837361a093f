//! Every option of fine-tuning, listed once: its table, key, type, other names and help. The recipe, the plan, the flags,
//! their help and the check that a recipe has no other key all come from this list; the options of pre-training are a
//! list like it ([`crate::pretrain::options`]).
//!
//! An option is a line here and a line in [`crate::plan::resolve`]. Keys are the names that Hugging Face's scripts use.

use std::path::PathBuf;

use topwork_data::MissingLabels;
use topwork_metrics::Metric;
use topwork_models::Pooling;

use crate::plan::error::PlanError;
use crate::plan::facts::Facts;
use crate::plan::recipe::{Place, Said, Written};
use crate::plan::schedule::Schedule;
use crate::plan::value::{ClassWeights, FloorRule, HeadInit, Init, Method, OrAuto, RecipeValue};

/// Every fact that a plan pins, and the option whose value it describes.
const PINNED: &[(&str, &str)] = &[
    ("topwork_version", ""),
    ("train_sha256", "train_file"),
    ("validation_sha256", "validation_file"),
    ("test_sha256", "test_file"),
    ("retain_sha256", "retain_file"),
    ("unlabelled_sha256", "unlabelled_file"),
    ("label_names_sha256", "label_names_file"),
    ("model_sha256", "model_name_or_path"),
    ("config_sha256", "model_name_or_path"),
    ("tokenizer_sha256", "model_name_or_path"),
];

/// A table of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// `[model]`
    Model,
    /// `[data]`
    Data,
    /// `[objective]`
    Objective,
    /// `[training]`
    Training,
}

impl Table {
    /// Every table, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Model, Self::Data, Self::Objective, Self::Training];

    /// The name without brackets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Data => "data",
            Self::Objective => "objective",
            Self::Training => "training",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in a recipe; the flag is the same with dashes.
    pub key: &'static str,
    /// The table of a recipe that it belongs to.
    pub table: Table,
    /// Other names by which it is known.
    pub aliases: &'static [&'static str],
    /// What it is for.
    pub help: &'static str,
    /// What a value must be.
    pub expected: &'static str,
    /// The values there are, when they can be listed.
    pub choices: &'static [&'static str],
    /// Whether the flag may stand without a value.
    pub is_switch: bool,
}

impl Field {
    /// The option of a list with that name or that other name.
    pub fn find_in(fields: &'static [Self], name: &str) -> Option<&'static Self> {
        fields.iter().find(|field| field.key == name || field.aliases.contains(&name))
    }

    /// The option of fine-tuning with that name or that other name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::find_in(FIELDS, name)
    }

    /// The flag, with its dashes.
    pub fn flag(&self) -> String {
        flag(self.key)
    }
}

/// An option's flag, with its dashes.
pub(crate) fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// Makes a list of options, the recipe and the plan that go with it.
macro_rules! options {
    (
        list $list:ident; recipe $recipe:ident; plan $plan:ident; facts $facts:ty; pins $pins:expr;
        $( $table:ident { $( $(#[doc = $doc:literal])+ $key:ident: $said:ty => $planned:ty, [$($alias:literal),*]; )+ } )+
    ) => {
        /// Every option, in the order in which they are listed to users.
        pub const $list: &[$crate::plan::fields::Field] = &[$($(
            $crate::plan::fields::Field {
                key: stringify!($key),
                table: $crate::plan::fields::Table::$table,
                aliases: &[$($alias),*],
                help: concat!($($doc),+),
                expected: <$said as $crate::plan::value::RecipeValue>::EXPECTED,
                choices: <$said as $crate::plan::value::RecipeValue>::CHOICES,
                is_switch: <$said as $crate::plan::value::RecipeValue>::IS_SWITCH,
            },
        )+)+];

        /// What was said about a run: each value, and where it was said.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $recipe {
            $($( $(#[doc = $doc])+ pub $key: Option<$crate::plan::recipe::Said<$said>>, )+)+
            /// The facts that a plan pins.
            pub pins: $crate::plan::recipe::Pins,
        }

        impl $crate::plan::recipe::Options for $recipe {
            const FIELDS: &'static [$crate::plan::fields::Field] = $list;
            const PINNED: &'static [(&'static str, &'static str)] = $pins;

            fn set(
                &mut self,
                key: &str,
                written: $crate::plan::recipe::Written<'_>,
                place: $crate::plan::recipe::Place,
            ) -> Result<(), $crate::plan::error::PlanError> {
                let unknown = || $crate::plan::error::PlanError::unknown_option(key, $list);
                let field = $crate::plan::fields::Field::find_in($list, key).ok_or_else(unknown)?;
                match field.key {
                    $($( stringify!($key) => $crate::plan::fields::put(&mut self.$key, field, &written, place), )+)+
                    _ => Err(unknown()),
                }
            }

            fn said(&self, key: &str) -> bool {
                match key {
                    $($( stringify!($key) => self.$key.is_some(), )+)+
                    _ => false,
                }
            }

            fn path(&self, key: &str) -> Option<std::path::PathBuf> {
                use $crate::plan::value::RecipeValue;
                let text = match key {
                    $($( stringify!($key) => self.$key.as_ref()?.value.to_toml(), )+)+
                    _ => return None,
                };
                text.trim().parse::<toml_edit::Value>().ok()?.as_str().map(std::path::PathBuf::from)
            }

            fn merge(mut self, over: Self, changed: &mut Vec<&'static str>) -> Self {
                $($(
                    if let Some(said) = over.$key {
                        if self.$key.as_ref().is_none_or(|own| own.value != said.value) {
                            changed.push(stringify!($key));
                        }
                        self.$key = Some(said);
                    }
                )+)+
                self
            }

            fn pins(&mut self) -> &mut $crate::plan::recipe::Pins {
                &mut self.pins
            }
        }

        /// What a run will do: each value, where it comes from and why.
        #[derive(Clone, Debug, PartialEq)]
        pub struct $plan {
            $($( $(#[doc = $doc])+ pub $key: $crate::plan::Resolved<$planned>, )+)+
            /// What is known of the data and the model.
            pub facts: $facts,
            /// What the user should know before the run.
            pub warnings: Vec<String>,
        }

        impl $plan {
            /// Every value, in the order of the list of options.
            pub fn entries(&self) -> Vec<$crate::plan::Entry> {
                use $crate::plan::value::PlanValue;
                let values = [$($( (self.$key.value.written(), self.$key.origin, &self.$key.reason), )+)+];
                let entry = |(field, (value, origin, reason)): (&'static $crate::plan::fields::Field, (_, _, &String))| {
                    $crate::plan::Entry { field, value, origin, reason: reason.clone() }
                };
                $list.iter().zip(values).map(entry).collect()
            }
        }
    };
}

pub(crate) use options;

pub(crate) fn put<T: RecipeValue>(
    slot: &mut Option<Said<T>>,
    field: &Field,
    written: &Written<'_>,
    place: Place,
) -> Result<(), PlanError> {
    if let Some(first) = slot {
        return Err(PlanError::Twice { place, key: field.key, first: first.place.clone() });
    }
    let value = match written {
        Written::Text(text) => T::from_text(text),
        Written::Toml(value) => T::from_toml(value),
    };
    let Some(value) = value else {
        let (place, found) = (place.of(field.key), written.to_string());
        return Err(PlanError::Invalid { place, expected: T::EXPECTED.to_string(), found });
    };
    *slot = Some(Said { value, place });
    Ok(())
}

options! {
    list FIELDS; recipe Recipe; plan Plan; facts Facts; pins PINNED;
    Model {
        /// The pretrained model: a directory, or a hub id.
        model_name_or_path: String => String, ["model"];
        /// Whether the weights are the pretrained ones, or random as a control: the difference is what transfer buys.
        init: Init => Init, [];
        /// How many of the model's layers are kept, from the lowest on; the others are left out of the result. auto keeps those after which
        /// a linear head predicts the rows best, where layers stay as they are (method linear), and otherwise all.
        num_hidden_layers: OrAuto<usize> => usize, ["layers"];
        /// How many of the lowest layers, with the embeddings below them, stay as they are; 0 trains everything.
        freeze_layers: usize => usize, ["num_frozen_layers"];
        /// What of the tokens of a text the head reads; auto is what the model's files name, or else what few rows choose.
        pooling: OrAuto<Pooling> => Pooling, [];
        /// Where the head starts: from a linear model on the untouched features, or from random numbers.
        head_init: HeadInit => HeadInit, [];
        /// Dropout of embeddings and sublayers.
        hidden_dropout_prob: f32 => f32, ["hidden_dropout"];
        /// Dropout of attention probabilities.
        attention_probs_dropout_prob: f32 => f32, ["attention_dropout"];
        /// Dropout before the classifier.
        classifier_dropout: f32 => f32, [];
    }
    Data {
        /// The labelled file to learn from: CSV, TSV or JSON lines.
        train_file: PathBuf => PathBuf, ["train"];
        /// A labelled file to look at after each epoch, in place of rows held out.
        validation_file: PathBuf => Option<PathBuf>, ["validation", "eval_file"];
        /// A labelled file that is scored once, at the end.
        test_file: PathBuf => Option<PathBuf>, ["test"];
        /// Texts that the model should not get worse at, or the labelled file of an earlier task whose head the model has: they are
        /// looked at before and after.
        retain_file: PathBuf => Option<PathBuf>, ["retain"];
        /// Texts without labels, of the same kind as the rows: a model that was trained on the rows labels them, and those of which it is
        /// sure are learnt from as well. How sure it must be is measured on folds of the rows.
        unlabelled_file: PathBuf => Option<PathBuf>, ["unlabelled"];
        /// The column with the text.
        text_column: String => Option<String>, ["text_column_name", "text_column_names"];
        /// The column with the second text of a pair.
        text_pair_column: String => Option<String>, ["text_pair_column_name"];
        /// The column with the label; several, with commas between, for tasks that have several.
        label_column: String => Option<String>, ["label_column_name"];
        /// A file with the names of all labels, one a line, in the model's order: also of those that no training row has. A number
        /// in the data stands for a line, from 0.
        label_names_file: PathBuf => Option<PathBuf>, ["label_names"];
        /// Whether the first row of every file is a row and not the names of the columns, which then are 1, 2 and so on.
        no_header: bool => bool, [];
        /// What becomes of rows without a label, or with a word for none, such as nan: an error (error), they are left out (drop), or such
        /// a word is a label (keep).
        missing_labels: MissingLabels => MissingLabels, [];
        /// Tokens after which a text is cut; a longer row of words is parted into windows.
        max_seq_length: usize => usize, ["max_length", "cutoff_len"];
        /// The part of the training rows to hold out for validation; 0 holds out none. By itself it is a tenth, and below 200 rows none.
        validation_fraction: f64 => f64, ["val_size"];
        /// The directory for the result.
        output_dir: PathBuf => PathBuf, ["output"];
    }
    Objective {
        /// What is learnt: classification, multi_label, regression or token_classification.
        task: String => String, [];
        /// The error, in deviations of the targets, beyond which the loss of a regression grows linearly, in place of squared
        /// errors.
        huber_delta: f64 => Option<f64>, [];
    }
    Training {
        /// How the model learns the task: its layers and head by the task's loss (finetune; with head_init linear_probe this is LP-FT), a
        /// linear head on untouched layers (linear), or layers that learn which rows belong together and then such a head (setfit); auto
        /// takes what the rows can carry.
        method: OrAuto<Method> => Method, [];
        /// What is done when the trained model is not better than a linear head on the untouched one: it is said (report), or that head
        /// is kept in its place (take). Test rows do not choose: validation rows do, or folds.
        floor: FloorRule => FloorRule, [];
        /// Whether the name of each class is a row of it.
        label_names_as_rows: bool => bool, [];
        /// How often the training rows are gone through.
        num_train_epochs: usize => usize, ["epochs"];
        /// Optimizer steps of the whole run, in place of num_train_epochs.
        max_steps: usize => Option<usize>, [];
        /// Rows of one forward and backward pass.
        per_device_train_batch_size: usize => usize, ["batch_size", "train_batch_size"];
        /// Passes whose gradients make one optimizer step.
        gradient_accumulation_steps: usize => usize, [];
        /// Rows of one forward pass when scoring.
        per_device_eval_batch_size: usize => usize, ["eval_batch_size"];
        /// The highest learning rate.
        learning_rate: f64 => f64, ["lr"];
        /// The classifier's learning rate, as a multiple of learning_rate.
        head_learning_rate_scale: f64 => f64, [];
        /// What the learning rate of each layer, from the top down, is multiplied with once more.
        layer_decay: f64 => f64, ["layerwise_lr_decay"];
        /// How the learning rate falls after the warm-up.
        lr_scheduler_type: Schedule => Schedule, ["lr_scheduler", "schedule"];
        /// The part of all steps in which the learning rate rises from zero.
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
        /// The part of each target that is spread over all classes.
        label_smoothing_factor: f32 => f32, ["label_smoothing", "smoothing"];
        /// How much each class, label or tag counts in the loss: none, balanced, or label=weight,label=weight.
        class_weights: ClassWeights => ClassWeights, [];
        /// Evaluations without improvement after which training stops.
        early_stopping_patience: usize => Option<usize>, [];
        /// What "better" means: a metric of the task, or loss.
        metric_for_best_model: String => Metric, ["metric"];
        /// Whether the best evaluation's weights are the result, instead of the last.
        load_best_model_at_end: bool => bool, [];
        /// Seeds with which the result is compared with what would be had without transfer; 0 compares nothing.
        compare_seeds: usize => usize, [];
        /// Trainings with different seeds, of which the first is kept: scores come with their mean and interval.
        seeds: usize => usize, ["num_seeds"];
        /// Parts of the training rows that are left out in turn, each answered by a model that has not seen it; the model that is
        /// kept is trained on all rows. 0 is none; by itself there are five where few rows have neither a test file nor rows held out.
        folds: usize => Option<usize>, ["num_folds"];
        /// Whether to train once more on labels in random order: what that run reaches on held-out rows is worth nothing.
        permuted_control: bool => bool, [];
        /// Names all random draws.
        seed: u64 => u64, [];
        /// Threads to compute with.
        threads: usize => usize, [];
    }
}
