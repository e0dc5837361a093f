//! Which class of `transformers` reads a directory's tokenizer, and what is refused: a class that is not reproduced, and code of the model's own.

use std::path::Path;

use serde_json::Value;

use super::settings::Settings;
use super::{FULL, Source};
use crate::error::{ModelError, quoted};
use crate::families::tokenizer_classes::{Build, ClassName, TokenizerClass, of_model_type};
use crate::files::brief;

/// The class that makes the tokenizer anew; none where `tokenizer.json` is taken as it is.
pub(super) fn of(settings: &Settings) -> Option<&'static TokenizerClass> {
    match settings.class_name() {
        Some(name) => match ClassName::of(name) {
            ClassName::Made(class) => Some(class),
            _ => None,
        },
        None => of_model_type(settings.model_type()?),
    }
}

/// Whether the model gets the segments that the tokenizer gives: `model_input_names` say it, else the class. Where nothing is said of
/// either, it does.
pub(super) fn gives_segments(settings: &Settings) -> bool {
    if let Some(names) = settings.get("model_input_names").and_then(Value::as_array) {
        return names.iter().any(|name| name.as_str() == Some("token_type_ids"));
    }
    match of(settings) {
        Some(class) => class.segments,
        None => settings.class_name().is_none() && settings.model_type().is_none(),
    }
}

/// Refuses what cannot be read as `transformers` reads it.
pub(super) fn check(settings: &Settings, source: Source) -> Result<(), ModelError> {
    refuse_code(settings)?;
    let directory = settings.directory();
    let unsupported = |message: String, hint: String| {
        Err(ModelError::UnsupportedTokenizer { path: directory.join(source.files()[0]), message, hint })
    };
    let name = settings.class_name();
    match (name, name.map(ClassName::of)) {
        (Some(name), Some(ClassName::Program)) => {
            return unsupported(
                format!(
                    "expected a class that is reproduced here, found tokenizer_class {name}, which parts words with a program of its own"
                ),
                "choose a model with another tokenizer".into(),
            );
        }
        (Some(name), Some(ClassName::Other)) if source == Source::Full => {
            return unsupported(
                format!(
                    "expected a class that is reproduced here, found tokenizer_class {name}, which has rules beside {FULL}"
                ),
                convert_command(directory),
            );
        }
        _ => {}
    }
    let fits = |build: Build| {
        matches!(
            (source, build),
            (Source::Full | Source::Characters, _)
                | (Source::WordPiece, Build::WordPiece)
                | (Source::ByteLevel, Build::ByteLevel)
                | (Source::SentencePiece(_), Build::Pieces(_))
        )
    };
    let is_general = name.is_none_or(|name| GENERAL.contains(&name));
    let class = if is_general { settings.model_type().and_then(of_model_type) } else { of(settings) };
    let says_nothing = is_general && settings.model_type().is_none();
    let needs_class = matches!(source, Source::SentencePiece(_));
    let is_read = match class {
        Some(class) => fits(class.build),
        None => matches!(source, Source::Full | Source::Characters) || says_nothing && !needs_class,
    };
    if is_read {
        return Ok(());
    }
    let found = match (name.filter(|_| !is_general), settings.model_type()) {
        (Some(name), _) => format!("those of tokenizer_class {name}"),
        (None, Some(model)) => format!("those of model_type {model}"),
        (None, None) => "no tokenizer_class and no model_type".into(),
    };
    unsupported(format!("expected {FULL} or the files of {}, found {found}", source.kind()), convert_command(directory))
}

/// Classes that say nothing of the kind.
const GENERAL: [&str; 4] = ["PreTrainedTokenizer", "TokenizersBackend", "PythonBackend", "PreTrainedTokenizerBase"];

/// Code that comes with a model is not run, and a `tokenizer.json` that is for another version is not read.
fn refuse_code(settings: &Settings) -> Result<(), ModelError> {
    let code = match settings.own().get("auto_map") {
        Some(Value::Object(map)) => map.get("AutoTokenizer"),
        other => other,
    };
    if let Some(code) = code.filter(|code| !code.is_null()) {
        let class = settings.class_name().map_or_else(String::new, |name| format!(": then it is read as {name}"));
        return Err(ModelError::UnsupportedTokenizer {
            path: settings.path(),
            message: format!("auto_map: expected no code of its own, which is not run here, found {}", brief(code)),
            hint: format!(
                "if the model does without that code, take the key away{class}: python3 -c 'import json, sys; p = sys.argv[1]; s = json.load(open(p)); \
                 s.pop(\"auto_map\"); json.dump(s, open(p, \"w\"), indent=2)' {}",
                quoted(&settings.path())
            ),
        });
    }
    let files = settings.own().get("fast_tokenizer_files").and_then(Value::as_array);
    match files.into_iter().flatten().find(|file| file.as_str() != Some(FULL)) {
        Some(other) => Err(settings.invalid("fast_tokenizer_files", &format!("{FULL} alone"), other)),
        None => Ok(()),
    }
}

/// A command that writes `tokenizer.json` into a directory, and settings with which it is taken as it is.
pub(super) fn convert_command(directory: &Path) -> String {
    format!(
        "python3 -m pip install transformers sentencepiece protobuf && python3 -c 'import sys; from transformers import AutoTokenizer, PreTrainedTokenizerFast; \
         t = AutoTokenizer.from_pretrained(sys.argv[1]); PreTrainedTokenizerFast(tokenizer_object=t.backend_tokenizer, model_max_length=t.model_max_length, \
         model_input_names=t.model_input_names, truncation_side=t.truncation_side, **{{k: str(v) for k, v in t.special_tokens_map.items() if k.endswith(\"_token\")}})\
         .save_pretrained(sys.argv[1])' {}",
        quoted(directory)
    )
}
