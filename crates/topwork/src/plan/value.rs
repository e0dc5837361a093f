//! The types of a recipe's values: how each is written in TOML and on the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml_edit::{InlineTable, Value};
use topwork_data::MissingLabels;
use topwork_metrics::Metric;
use topwork_models::Pooling;

use crate::plan::schedule::Schedule;

/// How much each class counts in the loss.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// Every row counts the same.
    None,
    /// Every class counts the same: rows / (classes × rows of the class), as in scikit-learn.
    Balanced,
    /// A weight for each label.
    PerLabel(BTreeMap<String, f64>),
}

/// Where the classifier starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadInit {
    /// From logistic regression on the pretrained features.
    LinearProbe,
    /// From small random numbers.
    Random,
}

/// Where all weights start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Init {
    /// As they are in the checkpoint.
    Pretrained,
    /// Random, in the checkpoint's shapes.
    Random,
}

/// How a model is made good at a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Layers and head are trained on the task's own loss.
    Finetune,
    /// The layers stay as they are; a linear model on what the head reads is fitted to its optimum.
    Linear,
    /// The layers learn to put rows of a class near each other, apart from those of other classes; then the head is fitted as in
    /// [`Method::Linear`] (Tunstall et al., "Efficient Few-Shot Learning Without Prompts", 2022).
    Setfit,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Finetune, Self::Linear, Self::Setfit];

    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finetune => "finetune",
            Self::Linear => "linear",
            Self::Setfit => "setfit",
        }
    }
}

/// What is done about a simpler model that is as good as the trained one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloorRule {
    /// It is said.
    Report,
    /// A linear head on the untouched model is kept in place of a trained one that is not better on validation rows, or on rows that folds
    /// leave out.
    Take,
}

/// What is said of a value that the rows can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrAuto<T> {
    /// The one that suits the rows.
    Auto,
    /// This one.
    Chosen(T),
}

/// A type that a recipe's value can have.
pub trait RecipeValue: Sized {
    /// What a value must be, for errors and help.
    const EXPECTED: &'static str;
    /// The values there are, when they can be listed.
    const CHOICES: &'static [&'static str] = &[];
    /// Whether a flag without a value means `true`.
    const IS_SWITCH: bool = false;

    /// Understands a TOML value.
    fn from_toml(value: &Value) -> Option<Self>;
    /// Understands a flag's value.
    fn from_text(text: &str) -> Option<Self>;
    /// The TOML text of the value.
    fn to_toml(&self) -> String;
}

macro_rules! integer {
    ($($type:ty)+) => { $(
        impl RecipeValue for $type {
            const EXPECTED: &'static str = "a whole number";

            fn from_toml(value: &Value) -> Option<Self> {
                value.as_integer()?.try_into().ok()
            }
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn to_toml(&self) -> String {
                self.to_string()
            }
        }
    )+ };
}

integer!(usize u32);

macro_rules! number {
    ($($type:ty)+) => { $(
        impl RecipeValue for $type {
            const EXPECTED: &'static str = "a number";

            fn from_toml(value: &Value) -> Option<Self> {
                value.as_float().or_else(|| value.as_integer().map(|number| number as f64)).map(|number| number as $type)
            }
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn to_toml(&self) -> String {
                // The shortest text that reads back as the same number; small ones as people write them, 5e-5.
                if *self != 0.0 && self.abs() < 1e-3 { format!("{self:e}") } else { format!("{self:?}") }
            }
        }
    )+ };
}

number!(f32 f64);

impl RecipeValue for u64 {
    const EXPECTED: &'static str = "a whole number from 0 to 9223372036854775807";

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }

    fn from_text(text: &str) -> Option<Self> {
        // TOML's integers are signed: a larger number could not be written into the plan.
        text.parse().ok().filter(|number| i64::try_from(*number).is_ok())
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl RecipeValue for bool {
    const EXPECTED: &'static str = "true or false";
    const CHOICES: &'static [&'static str] = &["true", "false"];
    const IS_SWITCH: bool = true;

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.to_lowercase().parse().ok()
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl RecipeValue for String {
    const EXPECTED: &'static str = "a string";

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_string)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_string())
    }

    fn to_toml(&self) -> String {
        on_one_line(self)
    }
}

impl RecipeValue for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_str().filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    fn to_toml(&self) -> String {
        on_one_line(&self.to_string_lossy())
    }
}

impl RecipeValue for Metric {
    const EXPECTED: &'static str = "a metric";

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        Metric::find(text, &Metric::ALL).ok()
    }

    fn to_toml(&self) -> String {
        on_one_line(self.name())
    }
}

impl RecipeValue for Pooling {
    const EXPECTED: &'static str = "first_token or mean";
    const CHOICES: &'static [&'static str] = &["first_token", "mean"];

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pooling| pooling.name() == text)
    }

    fn to_toml(&self) -> String {
        on_one_line(self.name())
    }
}

impl RecipeValue for Schedule {
    const EXPECTED: &'static str = "linear, cosine or constant";
    const CHOICES: &'static [&'static str] = &["linear", "cosine", "constant"];

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        // `transformers` calls the constant rate after a warm-up by a name of its own; here all have one.
        let name = if text == "constant_with_warmup" { "constant" } else { text };
        Self::ALL.into_iter().find(|schedule| schedule.name() == name)
    }

    fn to_toml(&self) -> String {
        on_one_line(self.name())
    }
}

impl RecipeValue for HeadInit {
    const EXPECTED: &'static str = "linear_probe or random";
    const CHOICES: &'static [&'static str] = &["linear_probe", "random"];

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "linear_probe" => Some(Self::LinearProbe),
            "random" => Some(Self::Random),
            _ => None,
        }
    }

    fn to_toml(&self) -> String {
        on_one_line(match self {
            Self::LinearProbe => "linear_probe",
            Self::Random => "random",
        })
    }
}

impl RecipeValue for Method {
    const EXPECTED: &'static str = "finetune, linear or setfit";
    const CHOICES: &'static [&'static str] = &["finetune", "linear", "setfit"];

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == text)
    }

    fn to_toml(&self) -> String {
        on_one_line(self.name())
    }
}

/// What can be said of values of which there is a list, or `auto`.
macro_rules! or_auto {
    ($type:ty, $expected:literal, $choices:expr) => {
        impl RecipeValue for OrAuto<$type> {
            const EXPECTED: &'static str = $expected;
            const CHOICES: &'static [&'static str] = &$choices;

            fn from_toml(value: &Value) -> Option<Self> {
                if value.as_str() == Some("auto") {
                    Some(Self::Auto)
                } else {
                    <$type>::from_toml(value).map(Self::Chosen)
                }
            }

            fn from_text(text: &str) -> Option<Self> {
                if text == "auto" { Some(Self::Auto) } else { <$type>::from_text(text).map(Self::Chosen) }
            }

            fn to_toml(&self) -> String {
                match self {
                    Self::Auto => on_one_line("auto"),
                    Self::Chosen(value) => value.to_toml(),
                }
            }
        }
    };
}

or_auto!(Method, "auto, finetune, linear or setfit", ["auto", "finetune", "linear", "setfit"]);
or_auto!(usize, "auto or a whole number", []);
or_auto!(Pooling, "auto, first_token or mean", ["auto", "first_token", "mean"]);

impl RecipeValue for Init {
    const EXPECTED: &'static str = "pretrained or random";
    const CHOICES: &'static [&'static str] = &["pretrained", "random"];

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "pretrained" => Some(Self::Pretrained),
            "random" => Some(Self::Random),
            _ => None,
        }
    }

    fn to_toml(&self) -> String {
        on_one_line(match self {
            Self::Pretrained => "pretrained",
            Self::Random => "random",
        })
    }
}

impl RecipeValue for MissingLabels {
    const EXPECTED: &'static str = "error, drop or keep";
    const CHOICES: &'static [&'static str] = &["error", "drop", "keep"];

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "error" => Some(Self::Error),
            "drop" => Some(Self::Drop),
            "keep" => Some(Self::Keep),
            _ => None,
        }
    }

    fn to_toml(&self) -> String {
        on_one_line(match self {
            Self::Error => "error",
            Self::Drop => "drop",
            Self::Keep => "keep",
        })
    }
}

impl RecipeValue for FloorRule {
    const EXPECTED: &'static str = "report or take";
    const CHOICES: &'static [&'static str] = &["report", "take"];

    fn from_toml(value: &Value) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "report" => Some(Self::Report),
            "take" => Some(Self::Take),
            _ => None,
        }
    }

    fn to_toml(&self) -> String {
        on_one_line(match self {
            Self::Report => "report",
            Self::Take => "take",
        })
    }
}

impl RecipeValue for ClassWeights {
    const EXPECTED: &'static str = "none, balanced, or a weight for each label";

    fn from_toml(value: &Value) -> Option<Self> {
        let Some(table) = value.as_inline_table() else { return Self::from_text(value.as_str()?) };
        let weights = table.iter().map(|(label, weight)| Some((label.to_string(), f64::from_toml(weight)?)));
        weights.collect::<Option<_>>().map(Self::PerLabel)
    }

    /// `none`, `balanced`, or `label=weight,label=weight`; a TOML inline table where labels hold commas.
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "none" => return Some(Self::None),
            "balanced" => return Some(Self::Balanced),
            _ => {}
        }
        if text.starts_with('{') {
            return Self::from_toml(&text.parse().ok()?);
        }
        let weights = text.split(',').map(|pair| {
            let (label, weight) = pair.rsplit_once('=')?;
            Some((label.trim().to_string(), weight.trim().parse().ok()?))
        });
        weights.collect::<Option<_>>().map(Self::PerLabel)
    }

    fn to_toml(&self) -> String {
        match self {
            Self::None => on_one_line("none"),
            Self::Balanced => on_one_line("balanced"),
            Self::PerLabel(weights) => {
                let table: InlineTable = weights.iter().map(|(label, weight)| (label.as_str(), *weight)).collect();
                Value::InlineTable(table).to_string()
            }
        }
    }
}

/// A TOML string that never spans lines, so that a comment can follow it.
pub(crate) fn on_one_line(text: &str) -> String {
    if text.contains(['\'', '"', '\\']) || text.contains(char::is_control) {
        let escaped: String = text.chars().map(escape).collect();
        return format!("\"{escaped}\"");
    }
    Value::from(text).to_string()
}

fn escape(character: char) -> String {
    match character {
        '"' | '\\' => format!("\\{character}"),
        control if control.is_control() => format!("\\u{:04X}", u32::from(control)),
        other => other.to_string(),
    }
}

/// A value of a plan: always there, or `None` where absence is a value.
pub trait PlanValue {
    /// The TOML text of the value; none for an absent one.
    fn written(&self) -> Option<String>;
}

impl<T: RecipeValue> PlanValue for T {
    fn written(&self) -> Option<String> {
        Some(self.to_toml())
    }
}

impl<T: RecipeValue> PlanValue for Option<T> {
    fn written(&self) -> Option<String> {
        self.as_ref().map(RecipeValue::to_toml)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_back<T: RecipeValue + PartialEq + std::fmt::Debug>(value: T) {
        let text = value.to_toml();
        assert!(!text.contains('\n'), "{text}");
        let parsed: Value = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(T::from_toml(&parsed), Some(value), "{text}");
    }

    #[test]
    fn every_value_reads_back_from_its_toml() {
        for number in [0.0, 1.0, 0.1, 5e-5, 1e-8, 0.001, 123_456.789, 1e300, f64::MIN_POSITIVE, -0.5] {
            reads_back(number);
        }
        for number in [0.1_f32, 1.0 / 3.0, 0.999, 1e-12, 0.0] {
            reads_back(number);
        }
        for text in ["", "plain", "it's", "say \"no\"", r"C:\new", "two\nlines", "\u{7f}\u{1}", "größe 🍎", "a # b"]
        {
            reads_back(text.to_string());
        }
        reads_back(i64::MAX as u64);
        Metric::ALL.into_iter().for_each(reads_back);
        Pooling::ALL.into_iter().for_each(reads_back);
        Schedule::ALL.into_iter().for_each(reads_back);
        reads_back(HeadInit::LinearProbe);
        reads_back(Init::Random);
        [MissingLabels::Error, MissingLabels::Drop, MissingLabels::Keep].into_iter().for_each(reads_back);
        reads_back(FloorRule::Report);
        reads_back(FloorRule::Take);
        Method::ALL.into_iter().for_each(reads_back);
        Method::ALL.into_iter().map(OrAuto::Chosen).for_each(reads_back);
        reads_back(OrAuto::<Method>::Auto);
        Pooling::ALL.into_iter().map(OrAuto::Chosen).for_each(reads_back);
        reads_back(OrAuto::<Pooling>::Auto);
        reads_back(OrAuto::Chosen(4_usize));
        reads_back(OrAuto::<usize>::Auto);
        reads_back(ClassWeights::Balanced);
        reads_back(ClassWeights::PerLabel([("it's, \"so\"".to_string(), 0.5), ("b=c".to_string(), 2.0)].into()));
    }

    #[test]
    fn small_numbers_are_written_as_people_write_them() {
        assert_eq!((5e-5).to_toml(), "5e-5");
        assert_eq!(0.1_f32.to_toml(), "0.1");
        assert_eq!(1.0_f64.to_toml(), "1.0");
    }

    #[test]
    fn class_weights_read_from_a_flag() {
        let expected = ClassWeights::PerLabel([("a".to_string(), 1.0), ("b=c".to_string(), 2.5)].into());
        assert_eq!(ClassWeights::from_text("a=1, b=c=2.5"), Some(expected.clone()));
        assert_eq!(ClassWeights::from_text("{ a = 1, 'b=c' = 2.5 }"), Some(expected));
        assert_eq!(ClassWeights::from_text("heavy"), None);
    }
}
