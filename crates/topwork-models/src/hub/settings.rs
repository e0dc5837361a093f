//! The hub's environment variables, as `huggingface_hub` documents them.

use std::path::PathBuf;
use std::time::Duration;

/// The public hub.
pub(super) const PUBLIC: &str = "https://huggingface.co";
/// A hub that sends nothing for so long is taken for gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the hub and its cache are.
#[derive(Clone)]
pub struct HubSettings {
    /// The folder of `models--org--name` folders: `HF_HUB_CACHE`, else `$HF_HOME/hub`.
    pub cache: PathBuf,
    /// The hub's address without a slash at its end: `HF_ENDPOINT`.
    pub endpoint: String,
    /// Sent with every request: `HF_TOKEN`, else the content of `HF_TOKEN_PATH` or `$HF_HOME/token`.
    pub token: Option<String>,
    /// No request at all: `HF_HUB_OFFLINE`, else `TRANSFORMERS_OFFLINE`.
    pub offline: bool,
    /// How long to wait for a sign of life: `HF_HUB_DOWNLOAD_TIMEOUT`, in seconds.
    pub patience: Duration,
    /// What `~` stands for in paths: `HOME`, else `USERPROFILE`.
    pub home: Option<PathBuf>,
}

impl HubSettings {
    /// What the environment says.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// What the variables say that `lookup` finds. An empty variable counts as absent.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| lookup(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
        let user = text("HOME").or_else(|| text("USERPROFILE"));
        let path = |name: &str| text(name).map(|value| expand(&value, user.as_deref()));
        let home = path("HF_HOME").unwrap_or_else(|| {
            let caches = path("XDG_CACHE_HOME").unwrap_or_else(|| expand("~/.cache", user.as_deref()));
            caches.join("huggingface")
        });
        let stored = || {
            let content = std::fs::read_to_string(path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"))).ok()?;
            Some(content.trim().to_string()).filter(|token| !token.is_empty())
        };
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| PUBLIC.to_string());
        let on = |value: String| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on");
        let seconds = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| value.parse().ok()).filter(|s: &u64| *s > 0);
        Self {
            cache: path("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            endpoint: endpoint.trim_end_matches('/').to_string(),
            token: text("HF_TOKEN").or_else(stored),
            offline: text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE")).is_some_and(on),
            patience: seconds.map_or(PATIENCE, Duration::from_secs),
            home: user.map(PathBuf::from),
        }
    }

    /// A path whose `~` is the user's folder, where that is known: a shell leaves it between quotes.
    pub(super) fn expanded(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            _ => PathBuf::from(path),
        }
    }
}

/// The token stays out of logs.
impl std::fmt::Debug for HubSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubSettings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("offline", &self.offline)
            .field("patience", &self.patience)
            .field("home", &self.home)
            .finish()
    }
}

/// A path whose `~` is the user's folder; without one, the current folder.
fn expand(path: &str, user: Option<&str>) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => PathBuf::from(user.unwrap_or(".")).join(rest),
        None => PathBuf::from(path),
    }
}
