//! Where a model comes from: a directory, or Hugging Face's hub and its cache.
//!
//! The cache is the one that Python's `huggingface_hub` uses (`models--org--name/{refs,blobs,snapshots}`), so that the
//! two share downloads. A revision that is in the cache is not looked up again: `name@revision` asks for another.

mod repository;
mod settings;

use std::path::{Path, PathBuf};

use repository::Repository;
pub use settings::HubSettings;

use crate::error::{ModelError, quoted};
use crate::files::read_json_object;
use crate::sentence_encoder::{MODULES, pooling_file};
use crate::tokenizer::tokenizer_file_names;
use crate::weights::{INDEX, PICKLE, SINGLE, shard_map};

/// A local directory for a model: `spec` itself when it is one, otherwise the hub's model of this id (`org/name` or
/// `name`, with `@revision` behind it if wanted) in the cache, downloaded if need be.
///
/// # Errors
/// When `spec` is neither, when the hub refuses or cannot be reached, or when its model has only pickled weights.
pub fn locate(spec: &str, hub: &HubSettings) -> Result<PathBuf, ModelError> {
    let path = Path::new(spec);
    if path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let refuse = |reason: &str| ModelError::NoSuchModel { spec: spec.to_string(), reason: reason.to_string() };
    if path.exists() {
        return Err(refuse("expected a directory, found a file"));
    }
    let (id, revision) = spec.split_once('@').unwrap_or((spec, "main"));
    if !is_hub_id(id) {
        return Err(refuse("expected a directory or a hub id, found no such directory"));
    }
    if !is_revision(revision) {
        return Err(refuse("expected a branch, tag or commit after @, found something else"));
    }
    fetch(&mut Repository::new(hub, id, revision))
}

/// Whether `id` is `org/name` or `name` in the hub's alphabet.
pub fn is_hub_id(id: &str) -> bool {
    let segment = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
            && !part.contains("--")
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    id.split('/').count() <= 2 && id.split('/').all(segment)
}

/// A revision becomes a path in the cache, and must stay in it.
fn is_revision(revision: &str) -> bool {
    revision.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && revision.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}

fn fetch(repository: &mut Repository<'_>) -> Result<PathBuf, ModelError> {
    let config = repository.require("config.json")?;
    if repository.find(SINGLE)?.is_none() {
        match repository.find(INDEX)? {
            Some(index) => {
                let shards = shard_map(&index, &read_json_object(&index)?)?;
                for shard in shards.into_values().collect::<std::collections::BTreeSet<_>>() {
                    repository.require(&shard)?;
                }
            }
            None if repository.has(PICKLE)? => return Err(pickle(repository)),
            None => return Err(repository.missing(SINGLE)),
        }
    }
    for optional in ["tokenizer_config.json", "special_tokens_map.json"] {
        repository.find(optional)?;
    }
    fetch_tokenizer(repository)?;
    let directory = config.parent().unwrap_or(Path::new("."));
    fetch_pooling(repository, directory);
    Ok(directory.to_path_buf())
}

/// A sentence encoder's own pooling. A model that was fetched before, by another program, goes without it where nobody can be asked.
fn fetch_pooling(repository: &mut Repository<'_>, directory: &Path) {
    let fetched = repository.find(MODULES).and_then(|modules| match modules {
        Some(_) => repository.require(&pooling_file(directory)?.0).map(|_| ()),
        None if repository.is_unasked(MODULES) => Err(repository.missing(MODULES)),
        None => Ok(()),
    });
    if let Err(error) = fetched {
        tracing::warn!("{}: whether it is a sentence encoder, and its pooling, is not known: {error}", repository.id());
    }
}

/// The first set of files that the hub has as a whole. A `tokenizer.json` holds the added tokens; the others have them in
/// a file of their own, if there are any.
fn fetch_tokenizer(repository: &mut Repository<'_>) -> Result<(), ModelError> {
    let sets = tokenizer_file_names();
    for (place, set) in sets.iter().enumerate() {
        let mut is_whole = true;
        for file in set {
            is_whole = is_whole && repository.find(file)?.is_some();
        }
        if is_whole {
            if place > 0 {
                repository.find("added_tokens.json")?;
            }
            return Ok(());
        }
    }
    Err(repository.missing(sets.first().and_then(|set| set.first()).copied().unwrap_or("tokenizer.json")))
}

/// The command fetches the model into a folder of the model's name and converts it there.
fn pickle(repository: &Repository<'_>) -> ModelError {
    let name = repository.id().rsplit('/').next().unwrap_or("model");
    let command = format!(
        "python3 -c 'import sys, torch; from huggingface_hub import snapshot_download; \
         from safetensors.torch import save_file; d = snapshot_download(sys.argv[1], revision=sys.argv[2], local_dir=sys.argv[3]); \
         w = torch.load(d + \"/{PICKLE}\", map_location=\"cpu\", weights_only=True); \
         save_file({{k: v.clone().contiguous() for k, v in w.items()}}, d + \"/{SINGLE}\", {{\"format\": \"pt\"}})' \
         {} {} {}",
        quoted(Path::new(repository.id())),
        quoted(Path::new(repository.revision())),
        quoted(Path::new(name)),
    );
    ModelError::PickleWeights { location: format!("hub model {}", repository.id()), file: PICKLE.into(), command }
}
