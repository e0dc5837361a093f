//! One revision of one model on the hub, behind the cache.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use super::HubSettings;
use crate::error::ModelError;

/// A model of the hub; the first file that is found fixes the commit for the others.
pub(super) struct Repository<'a> {
    hub: &'a HubSettings,
    id: String,
    revision: String,
    commit: Option<String>,
}

impl<'a> Repository<'a> {
    pub(super) fn new(hub: &'a HubSettings, id: &str, revision: &str) -> Self {
        let mut repository = Self { hub, id: id.to_string(), revision: revision.to_string(), commit: None };
        let named = fs::read_to_string(repository.folder().join("refs").join(revision));
        repository.commit = match named {
            Ok(commit) => Some(commit.trim().to_string()),
            Err(_) => Some(revision.to_string()).filter(|r| repository.folder().join("snapshots").join(r).is_dir()),
        };
        repository
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A file that the model must have.
    pub(super) fn require(&mut self, file: &str) -> Result<PathBuf, ModelError> {
        self.find(file)?.ok_or_else(|| self.missing(file))
    }

    /// A file that the model may have, from the cache or else from the hub.
    pub(super) fn find(&mut self, file: &str) -> Result<Option<PathBuf>, ModelError> {
        if let Some(commit) = &self.commit {
            let cached = self.folder().join("snapshots").join(commit).join(file);
            if cached.exists() {
                return Ok(Some(cached));
            }
        }
        if self.hub.offline || self.absence(file).is_some_and(|marker| marker.exists()) {
            return Ok(None);
        }
        let found =
            self.ask(file, |api, repo, file, progress| api.repo(repo).download_with_progress(&file, progress))?;
        match &found {
            Some(path) if self.commit.is_none() => {
                self.commit = path.parent().and_then(|p| p.file_name()).map(|name| name.to_string_lossy().into_owned());
            }
            Some(_) => {}
            None => self.remember_absence(file)?,
        }
        Ok(found)
    }

    /// Whether nobody has been asked for a file that is not in the cache, and nobody can be.
    pub(super) fn is_unasked(&self, file: &str) -> bool {
        self.hub.offline && !self.absence(file).is_some_and(|marker| marker.exists())
    }

    /// The error for a required file that is nowhere.
    pub(super) fn missing(&self, file: &str) -> ModelError {
        let (id, revision, file) = (self.id.clone(), self.revision.clone(), file.to_string());
        if self.hub.offline {
            return ModelError::OfflineMiss { id, revision, file, cache: self.hub.cache.clone() };
        }
        ModelError::HubStatus { id, revision, file, endpoint: self.hub.endpoint.clone(), status: 404 }
    }

    fn folder(&self) -> PathBuf {
        self.hub.cache.join(Repo::model(self.id.clone()).folder_name())
    }

    /// Where `huggingface_hub` notes that a commit lacks a file.
    fn absence(&self, file: &str) -> Option<PathBuf> {
        Some(self.folder().join(".no_exist").join(self.commit.as_ref()?).join(file))
    }

    fn remember_absence(&self, file: &str) -> Result<(), ModelError> {
        let Some(marker) = self.absence(file) else { return Ok(()) };
        let folder = marker.parent().map_or(Ok(()), fs::create_dir_all);
        folder.and_then(|()| fs::write(&marker, b"")).map_err(|source| ModelError::Write { path: marker, source })
    }

    /// Puts a question to the hub on a thread of its own, because `hf-hub` waits for ever on a hub that has gone quiet:
    /// after too long without progress the thread is left behind. `None` when the hub answers that there is no such
    /// file.
    fn ask<T: Send + 'static>(
        &self,
        file: &str,
        question: impl FnOnce(Api, Repo, String, Ticks<T>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<Option<T>, ModelError> {
        let failed = |message: String| ModelError::HubRequest {
            id: self.id.clone(),
            file: file.to_string(),
            endpoint: self.hub.endpoint.clone(),
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let api = self.api().map_err(|error| failed(error.to_string()))?;
        let revision = self.commit.clone().unwrap_or_else(|| self.revision.clone());
        let repo = Repo::with_revision(self.id.clone(), RepoType::Model, revision);
        let (sender, receiver) = channel();
        let (name, ticks) = (file.to_string(), Ticks(sender.clone()));
        tracing::info!("fetching {file} of {} from {}", self.id, self.hub.endpoint);
        std::thread::spawn(move || {
            // The receiver is gone when its patience was: the answer is of no use then.
            let _ = sender.send(Message::Answer(question(api, repo, name, ticks)));
        });
        let answer = loop {
            match receiver.recv_timeout(self.hub.patience) {
                Ok(Message::Tick) => {}
                Ok(Message::Answer(answer)) => break answer,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(failed(format!("nothing came for {} seconds", self.hub.patience.as_secs())));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(failed("its answer could not be understood".into())),
            }
        };
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(error) => match status(&error) {
                Some(404) => Ok(None),
                Some(status) => Err(ModelError::HubStatus {
                    id: self.id.clone(),
                    revision: self.revision.clone(),
                    file: file.to_string(),
                    endpoint: self.hub.endpoint.clone(),
                    status,
                }),
                None => Err(failed(error.to_string())),
            },
        }
    }

    fn api(&self) -> Result<Api, ApiError> {
        ApiBuilder::from_cache(Cache::new(self.hub.cache.clone()))
            .with_endpoint(self.hub.endpoint.clone())
            .with_token(self.hub.token.clone())
            .with_progress(false)
            .build()
    }
}

enum Message<T> {
    Tick,
    Answer(Result<T, ApiError>),
}

/// Signs of life of a download.
struct Ticks<T>(Sender<Message<T>>);

impl<T> Ticks<T> {
    fn tick(&self) {
        // As above.
        let _ = self.0.send(Message::Tick);
    }
}

impl<T> Progress for Ticks<T> {
    fn init(&mut self, _size: usize, _filename: &str) {
        self.tick();
    }

    fn update(&mut self, _size: usize) {
        self.tick();
    }

    fn finish(&mut self) {
        self.tick();
    }
}

/// The HTTP status that an error carries.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match error.as_ref() {
            ureq::Error::StatusCode(status) => Some(*status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}
