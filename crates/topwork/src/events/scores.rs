//! Scores as they are reported and kept: an object with the loss and each metric by its name.

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use topwork_metrics::{Metric, TaskScores};

/// A metric in files, by its name; for fields `#[serde(with = …)]`.
pub(crate) mod metric_name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use topwork_metrics::Metric;

    pub(crate) fn serialize<S: Serializer>(metric: &Metric, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(metric.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metric, D::Error> {
        let name = String::deserialize(deserializer)?;
        Metric::find(&name, &Metric::ALL).map_err(D::Error::custom)
    }
}

/// The loss and the metrics of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricScores(pub TaskScores);

impl MetricScores {
    /// The mean loss; NaN, in files null, where a training diverged and nothing of it could be kept.
    pub fn loss(&self) -> f64 {
        self.0.loss
    }

    /// The value of a metric; none when the task does not have it.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0.get(metric)
    }

    /// The loss and then the other metrics.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> + '_ {
        self.0.iter()
    }

    /// The metric that a score is told by: the first after the loss.
    pub fn headline(&self) -> (Metric, f64) {
        self.0.values.first().copied().unwrap_or((Metric::Loss, self.0.loss))
    }
}

impl Serialize for MetricScores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (metric, value) in self.iter() {
            map.serialize_entry(metric.name(), &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for MetricScores {
    /// Keys that are no metrics are passed over: other fields may stand in the same object.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = MetricScores;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of metrics")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetricScores, A::Error> {
                let mut scores = TaskScores { loss: f64::NAN, values: Vec::new() };
                while let Some(key) = map.next_key::<String>()? {
                    match Metric::ALL.into_iter().find(|metric| metric.name() == key) {
                        None => _ = map.next_value::<IgnoredAny>()?,
                        Some(metric) => {
                            // JSON has no NaN: it is written as `null`.
                            let value = map.next_value::<Option<f64>>()?.unwrap_or(f64::NAN);
                            match metric {
                                Metric::Loss => scores.loss = value,
                                metric => scores.values.push((metric, value)),
                            }
                        }
                    }
                }
                Ok(MetricScores(scores))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// The scores of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitScores {
    /// How many rows were scored.
    pub rows: usize,
    /// The scores.
    #[serde(flatten)]
    pub scores: MetricScores,
}

impl SplitScores {
    /// The scores of so many rows.
    pub fn new(rows: usize, scores: TaskScores) -> Self {
        Self { rows, scores: MetricScores(scores) }
    }

    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.scores.loss()
    }

    /// The value of a metric; none when the task does not have it.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.scores.get(metric)
    }

    /// The value of a metric; NaN when the task does not have it.
    pub fn value(&self, metric: Metric) -> f64 {
        self.get(metric).unwrap_or(f64::NAN)
    }

    /// The part of the rows, or of the words, that are right; NaN when the task has no such part.
    pub fn accuracy(&self) -> f64 {
        self.value(Metric::Accuracy)
    }

    /// The metric that a score is told by.
    pub fn headline(&self) -> (Metric, f64) {
        self.scores.headline()
    }
}

/// A metric as people write it: a share in per cent, any other as a number.
pub fn shown(metric: Metric, value: f64) -> String {
    match metric.is_share() {
        _ if !value.is_finite() => "no value".to_string(),
        true => format!("{:.1} %", 100.0 * value),
        false => format!("{value:.3}"),
    }
}
