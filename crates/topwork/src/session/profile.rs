//! `pretraining_profile.json` of a model's directory: what it was pre-trained on.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// What the model was pre-trained on.
pub const PROFILE: &str = "pretraining_profile.json";

/// What is read of the profile of a model: the words that it was pre-trained on, and texts. Early profiles have no texts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct OwnProfile {
    #[serde(default)]
    pub(crate) unigrams: Vec<(String, u64)>,
    #[serde(default)]
    pub(crate) sample: Option<Vec<String>>,
}

impl OwnProfile {
    /// That in the model's directory; none where there is none. The error says what is wrong with it.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, String> {
        let path = directory.join(PROFILE);
        let damaged = |found: String| format!("{}: {found}", path.display());
        match std::fs::read(&path) {
            Ok(content) => Self::parse(&content).map(Some).map_err(damaged),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(damaged(format!("cannot be read: {error}"))),
        }
    }

    /// From JSON, without texts that are blank.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, String> {
        let damaged = |error| format!("expected the profile of a pre-training, found {error}");
        // By way of an object: a list would be one without a name for its fields.
        let object: serde_json::Map<String, Value> = serde_json::from_slice(content).map_err(damaged)?;
        let mut profile: Self = serde_json::from_value(Value::Object(object)).map_err(damaged)?;
        if let Some(texts) = &mut profile.sample {
            texts.retain(|text| !text.trim().is_empty());
        }
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_absent_or_whole_or_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let sample = |text: Option<&str>| {
            let path = folder.path().join(PROFILE);
            match text {
                Some(text) => std::fs::write(path, text).unwrap(),
                None => assert!(!path.exists()),
            }
            OwnProfile::read(folder.path()).map(|profile| profile.map(|profile| profile.sample))
        };
        assert_eq!(sample(None), Ok(None));
        assert_eq!(sample(Some("{}")), Ok(Some(None)));
        assert_eq!(sample(Some(r#"{"sample": ["a", " ", "b"]}"#)), Ok(Some(Some(vec!["a".into(), "b".into()]))));
        for damaged in ["", r#"{"sample": ["a", "b"#, "[]", r#"{"sample": "a"}"#, r#"{"sample": ["a", 1]}"#] {
            let error = sample(Some(damaged)).unwrap_err();
            assert!(error.contains(PROFILE), "{damaged}: {error}");
        }
    }
}
