//! Where a model comes from: a directory, or Hugging Face's hub and its cache.
//!
//! The cache is the one that Python's `huggingface_hub` uses (`models--org--name/{refs,blobs,snapshots}`), so that the
//! two share downloads. A revision that is in the cache is not looked up again: `name@revision` asks for another.

mod address;
mod repository;
mod settings;

use std::path::{Path, PathBuf};

use repository::Repository;
pub use settings::HubSettings;
use settings::PUBLIC;

use crate::error::ModelError;
use crate::files::read_json_object;
use crate::places::{Located, of_file, settle};
use crate::sentence_encoder::{MODULES, pooling_file};
use crate::tokenizer::tokenizer_file_names;
use crate::weights::{INDEX, PICKLE, PICKLE_INDEX, SINGLE, shard_map};

/// A local directory for a model: the one at `spec`, or the hub's model of this id (`org/name` or `name`, with `@revision`
/// behind it if wanted) in the cache, downloaded if need be. `spec` may also be a file of a model, a folder that holds one (a
/// trainer's, the hub's cache, a pipeline's), or the address of a model's page.
///
/// # Errors
/// When `spec` is none of these, when a folder holds something else than a model, or when the hub refuses or cannot be reached.
pub fn locate(spec: &str, hub: &HubSettings) -> Result<Located, ModelError> {
    let path = hub.expanded(spec);
    if path.is_dir() {
        return settle(&path);
    }
    if path.is_file() {
        return of_file(&path);
    }
    let refuse =
        |reason: &str| ModelError::NoSuchModel { spec: spec.to_string(), reason: reason.to_string(), instead: None };
    let address = address::parse(spec, &hub.endpoint).transpose().map_err(|reason| refuse(&reason))?;
    let notes = address.iter().map(|address| {
        let revision = address.revision.as_ref().map_or(String::new(), |revision| format!("@{revision}"));
        format!("{spec}: the address of the hub's model {}{revision}", address.id)
    });
    let notes = notes.collect();
    let (id, revision) = match &address {
        Some(address) => (address.id.as_str(), address.revision.as_deref().unwrap_or(MAIN)),
        None => spec.split_once('@').unwrap_or((spec, MAIN)),
    };
    if !is_hub_id(id) {
        let place = if path == Path::new(spec) { String::new() } else { format!(" at {}", path.display()) };
        return Err(refuse(&format!("expected a directory or a hub id, found no such directory{place}")));
    }
    if !is_revision(revision) {
        return Err(refuse("expected a branch, tag or commit after @, found something else"));
    }
    let directory = fetch(&mut Repository::new(hub, id, revision))?;
    let Located { directory, notes: further } = settle(&directory)?;
    Ok(Located { directory, notes: [notes, further].concat() })
}

/// The id of a model of the hub that is written as an id or an address, without its revision; none of a path or of what is there.
pub fn hub_id(spec: &str) -> Option<String> {
    if Path::new(spec).exists() {
        return None;
    }
    let id = match address::parse(spec, PUBLIC) {
        Some(address) => address.ok()?.id,
        None => spec.split_once('@').map_or(spec, |(id, _)| id).to_string(),
    };
    is_hub_id(&id).then_some(id)
}

/// The usual branch.
const MAIN: &str = "main";

/// Whether `id` is `org/name` or `name` in the hub's alphabet.
fn is_hub_id(id: &str) -> bool {
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
    fetch_weights(repository)?;
    for optional in ["tokenizer_config.json", "special_tokens_map.json"] {
        repository.find(optional)?;
    }
    fetch_tokenizer(repository)?;
    let directory = config.parent().unwrap_or(Path::new("."));
    fetch_pooling(repository, directory);
    Ok(directory.to_path_buf())
}

/// The weights, or all parts of them: safetensors before files of PyTorch.
fn fetch_weights(repository: &mut Repository<'_>) -> Result<(), ModelError> {
    for (single, index) in [(SINGLE, INDEX), (PICKLE, PICKLE_INDEX)] {
        if repository.find(single)?.is_some() {
            return Ok(());
        }
        if let Some(index) = repository.find(index)? {
            let shards = shard_map(&index, &read_json_object(&index)?)?;
            for shard in shards.into_values().collect::<std::collections::BTreeSet<_>>() {
                repository.require(&shard)?;
            }
            return Ok(());
        }
    }
    Err(repository.missing(SINGLE))
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
