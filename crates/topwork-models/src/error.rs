//! What can be wrong with a model: one line that names the file and the key, what was expected and what was found,
//! and a hint that works when pasted.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a model could not be found, read or written. [`ModelError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A text file is not UTF-8.
    #[error("{}: expected UTF-8, found another byte at offset {byte}", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The offset of the first byte that is not UTF-8.
        byte: usize,
    },
    /// A JSON file does not parse.
    #[error("{}: not the JSON that was expected: {message}", path.display())]
    InvalidJson {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// The model is neither a directory nor a hub id.
    #[error("model {spec}: {reason}")]
    NoSuchModel {
        /// What the user wrote.
        spec: String,
        /// Why it is not a model.
        reason: String,
        /// What to give instead.
        instead: Option<String>,
    },
    /// A directory lacks a file.
    #[error("{}: expected {expected}, found none", directory.display())]
    MissingFile {
        /// The directory.
        directory: PathBuf,
        /// The file or files of which one is needed.
        expected: &'static str,
    },
    /// A JSON file lacks a key.
    #[error("{}: key {key}: expected {expected}, found nothing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What its value should be.
        expected: String,
    },
    /// A key's value is not usable.
    #[error("{}: key {key}: expected {expected}, found {found}", path.display())]
    InvalidValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What its value should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The family of the model is not among [`crate::FAMILIES`].
    #[error("{}: key model_type: expected one of {supported}, found {found:?}", path.display())]
    UnknownModelType {
        /// The configuration.
        path: PathBuf,
        /// The type it names.
        found: String,
        /// The types that are known.
        supported: String,
    },
    /// A file of PyTorch holds something other than a state dict needs.
    #[error("{}: expected a state dict of PyTorch, found {found}; nothing of it was executed", path.display())]
    RefusedPickle {
        /// The file.
        path: PathBuf,
        /// What is not read.
        found: String,
        /// A command that converts it, unless Python refuses it as well.
        command: String,
    },
    /// A file of PyTorch is not what its own bytes say.
    #[error("{}: not a whole file of PyTorch: {message}", path.display())]
    CorruptPytorch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A directory has several files of PyTorch, none of which has the usual name.
    #[error("{}: expected model.safetensors or pytorch_model.bin, found {} files of PyTorch: {}", directory.display(), found.len(), list(found))]
    SeveralWeights {
        /// The directory.
        directory: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
    /// The content of a file is still in Git's large file storage.
    #[error("{}: expected the file itself, found a Git LFS pointer{}: the content was not fetched", path.display(), bytes.map_or(String::new(), |bytes| format!(" to {bytes} bytes")))]
    LfsPointer {
        /// The file.
        path: PathBuf,
        /// The size of the content.
        bytes: Option<u64>,
        /// Whether the file is in a clone of Git.
        is_clone: bool,
    },
    /// A file of weights is of another kind.
    #[error("{}: expected {expected}, found {found}", path.display())]
    OtherContent {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: Content,
    },
    /// A directory holds an adapter, and not the model that it changes.
    #[error("{}: expected a whole model, found an adapter{}{}: the base model's weights are not in it", directory.display(), kind.as_ref().map_or(String::new(), |kind| format!(" ({kind})")), base.as_ref().map_or(String::new(), |base| format!(" of {base}")))]
    Adapter {
        /// The directory.
        directory: PathBuf,
        /// Its kind, such as LORA.
        kind: Option<String>,
        /// The model that it changes.
        base: Option<String>,
        /// A command that merges both.
        command: String,
    },
    /// A directory has its weights in a format that is not read.
    #[error("{}: expected model.safetensors or pytorch_model.bin, found only {file}, {format}", directory.display())]
    OtherFormat {
        /// The directory.
        directory: PathBuf,
        /// The file, from the directory on.
        file: String,
        /// What it is.
        format: String,
        /// What to do, as a command where there is one.
        hint: String,
    },
    /// A configuration does not say which family it is of.
    #[error("{}: key model_type: expected one of {supported}, found nothing, and no key architectures that tells it", path.display())]
    NoModelType {
        /// The configuration.
        path: PathBuf,
        /// The types that are known.
        supported: String,
        /// The one that the weights look like.
        likely: &'static str,
    },
    /// A weight file ends early, or goes on after its end.
    #[error("{}: expected {expected} bytes by its header, found {found}", path.display())]
    WrongLength {
        /// The weight file.
        path: PathBuf,
        /// Bytes that the header announces.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// A weight file's header makes no sense.
    #[error("{}: not a safetensors file: {message}", path.display())]
    CorruptWeights {
        /// The weight file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor holds something other than floating-point numbers.
    #[error("{}: tensor {key}: expected F32, F16, BF16 or F64, found {found}", path.display())]
    UnsupportedDtype {
        /// The weight file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// Its type.
        found: String,
    },
    /// A tensor holds infinities or not-a-number.
    #[error("{}: tensor {key}: expected finite numbers, found {found} at element {element}", path.display())]
    NotFinite {
        /// The weight file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// The first such value.
        found: f32,
        /// Its index.
        element: usize,
    },
    /// The checkpoint's tensors are not the model's parameters.
    #[error("{0}")]
    KeyMismatch(Box<KeyMismatch>),
    /// Two tensors of the checkpoint are the same parameter.
    #[error("{}: tensors {first} and {second}: expected one of them, found both, for parameter {parameter}", path.display())]
    DuplicateKey {
        /// The checkpoint.
        path: PathBuf,
        /// One tensor.
        first: String,
        /// The other.
        second: String,
        /// The parameter that both would be.
        parameter: String,
    },
    /// A family has no such head.
    #[error("{family}: expected a head that the family has, found {head}")]
    NoSuchHead {
        /// The family.
        family: &'static str,
        /// The head.
        head: String,
    },
    /// A model was built on parameters among which one is missing.
    #[error("parameter {name}: expected by the model, found nothing")]
    MissingParameter {
        /// The parameter.
        name: String,
    },
    /// A tensor to be written has more or fewer values than its shape says.
    #[error("{}: tensor {name}: expected {expected} values by its shape, found {found}", path.display())]
    WrongValueCount {
        /// The file that was to be written.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The product of its shape.
        expected: usize,
        /// The values given.
        found: usize,
    },
    /// The tokenizer cannot be used.
    #[error("{}: not a usable tokenizer: {message}", path.display())]
    InvalidTokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The tokenizer is of a kind that is not read.
    #[error("{}: not a tokenizer that can be read: {message}", path.display())]
    UnsupportedTokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
        /// What to do, in words or as a command.
        hint: String,
    },
    /// The tokenizer has ids for which the model has no embedding.
    #[error("{}: tokenizer larger than the embedding: expected ids below {vocab_size} (vocab_size in config.json), found {id} for token {token:?}", path.display())]
    TokenizerTooLarge {
        /// The tokenizer's file.
        path: PathBuf,
        /// The token with the largest id.
        token: String,
        /// Its id.
        id: u32,
        /// The rows of the embedding.
        vocab_size: usize,
    },
    /// There was no text to train a tokenizer on.
    #[error("texts for the tokenizer: expected words, found none")]
    NoTrainingText,
    /// The texts do not have as many tokens as were asked for.
    #[error(
        "vocabulary larger than the corpus supports: expected at most {supported} tokens, found a wish for {asked}"
    )]
    VocabularyTooLarge {
        /// The size that was asked for.
        asked: usize,
        /// The largest size that the same texts and options give.
        supported: usize,
    },
    /// The vocabulary has no room for the special tokens and the characters.
    #[error(
        "vocabulary too small: expected at least {needed} tokens, for {special} special tokens and {characters} characters, found a wish for {asked}"
    )]
    VocabularyTooSmall {
        /// The size that was asked for.
        asked: usize,
        /// The smallest size that these texts allow.
        needed: usize,
        /// Special tokens among them.
        special: usize,
        /// Tokens of one character among them.
        characters: usize,
    },
    /// The trained tokenizer could not be put together.
    #[error("training a tokenizer: {message}")]
    TokenizerTraining {
        /// What went wrong.
        message: String,
    },
    /// A tokenizer lacks a special token.
    #[error(
        "{location}: expected a {role} token, named by {role}_token in tokenizer_config.json or special_tokens_map.json or else one of {looked_for}, found none in the vocabulary"
    )]
    MissingSpecialToken {
        /// The directory, or what the tokenizer is called without one.
        location: String,
        /// What the token is for: `cls`, `sep` or `mask`.
        role: &'static str,
        /// The tokens that were looked for.
        looked_for: String,
    },
    /// The hub answered with an error.
    #[error("no directory {id} here; hub model {id}: file {file} of revision {revision}: expected an answer from {endpoint}, found status {status}{}", meaning(*status))]
    HubStatus {
        /// The model.
        id: String,
        /// Its revision.
        revision: String,
        /// The file that was asked for.
        file: String,
        /// The hub's address.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
    /// The hub could not be reached, or its answer made no sense.
    #[error("no directory {id} here; hub model {id}: file {file}: {endpoint} could not be used: {message}")]
    HubRequest {
        /// The model.
        id: String,
        /// The file that was asked for.
        file: String,
        /// The hub's address.
        endpoint: String,
        /// What went wrong.
        message: String,
    },
    /// Offline, and the cache does not hold the file.
    #[error("no directory {id} here; hub model {id}: expected {file} of revision {revision} in the cache {} because HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set, found nothing", cache.display())]
    OfflineMiss {
        /// The model.
        id: String,
        /// Its revision.
        revision: String,
        /// The file that is missing.
        file: String,
        /// The cache.
        cache: PathBuf,
    },
}

/// What a file of weights turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// What a server sends instead of a file.
    WebPage,
    /// What `torch.save` writes.
    Pytorch,
    /// What `safetensors` writes.
    Safetensors,
    /// HDF5, as TensorFlow writes it.
    Hdf5,
    /// GGUF, as llama.cpp reads it.
    Gguf,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WebPage => "a web page, as a failed download leaves it",
            Self::Pytorch => "a file of PyTorch",
            Self::Safetensors => "a file of safetensors",
            Self::Hdf5 => "an HDF5 file, as TensorFlow writes it",
            Self::Gguf => "a GGUF file",
        })
    }
}

/// How a checkpoint differs from the model that its configuration describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMismatch {
    /// The checkpoint.
    pub path: PathBuf,
    /// Parameters that no tensor of the checkpoint provides.
    pub missing: Vec<String>,
    /// Tensors of the checkpoint that no rule uses.
    pub unused: Vec<String>,
    /// Tensors whose shape is not the parameter's.
    pub wrong_shapes: Vec<WrongShape>,
}

/// A tensor whose shape is not its parameter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongShape {
    /// The checkpoint's key.
    pub key: String,
    /// The parameter's shape.
    pub expected: Vec<usize>,
    /// The tensor's shape.
    pub found: Vec<usize>,
}

/// So many keys are listed; the rest are counted.
const LISTED: usize = 5;

impl fmt::Display for KeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("expected {}, found nothing", list(&self.missing)));
        }
        if !self.unused.is_empty() {
            parts.push(format!("found {}, which the model does not use", list(&self.unused)));
        }
        if !self.wrong_shapes.is_empty() {
            let shapes: Vec<String> = self.wrong_shapes.iter().map(ToString::to_string).collect();
            parts.push(list(&shapes));
        }
        write!(f, "{}: {}", self.path.display(), parts.join("; "))
    }
}

impl fmt::Display for WrongShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tensor {}: expected shape {:?}, found {:?}", self.key, self.expected, self.found)
    }
}

impl ModelError {
    /// What to do about it, in words or as a command that works when pasted.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { path, .. } => Some(format!("ls -l {}", quoted(path))),
            Self::Write { path, .. } => {
                let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Some(format!("df -h {0}; ls -ld {0}", quoted(folder)))
            }
            Self::NotUtf8 { path, .. } | Self::InvalidJson { path, .. } => {
                Some(format!("python3 -m json.tool {}", quoted(path)))
            }
            Self::NoSuchModel { instead, .. } => Some(instead.clone().unwrap_or_else(|| {
                "give a directory that exists, or a hub id such as sentence-transformers/all-MiniLM-L6-v2".into()
            })),
            Self::MissingFile { directory, .. } => Some(format!("ls -l {}", quoted(directory))),
            Self::MissingKey { path, key, .. } | Self::InvalidValue { path, key, .. } => {
                Some(format!("grep -n '\"{key}\"' {}", quoted(path)))
            }
            Self::UnknownModelType { supported, .. } => Some(format!("choose a model of type {supported}")),
            Self::RefusedPickle { command, .. } | Self::Adapter { command, .. } => Some(command.clone()),
            Self::OtherFormat { hint, .. } => Some(hint.clone()),
            Self::LfsPointer { path, is_clone, .. } => Some(fetch_hint(path, *is_clone)),
            Self::OtherContent { path, found, .. } => Some(content_hint(path, *found)),
            Self::SeveralWeights { directory, found } => found.first().map(|name| {
                format!(
                    "keep the one that holds the model: cp {} {}",
                    quoted(&directory.join(name)),
                    quoted(&directory.join(PICKLE))
                )
            }),
            Self::NoModelType { path, likely, .. } => {
                const ADD: &str = "import json, sys; c = json.load(open(sys.argv[1])); c[\"model_type\"] = sys.argv[2]; \
                                   json.dump(c, open(sys.argv[1], \"w\"), indent=2)";
                Some(format!("python3 -c '{ADD}' {} {likely}", quoted(path)))
            }
            Self::WrongLength { path, .. } | Self::CorruptWeights { path, .. } | Self::CorruptPytorch { path, .. } => {
                Some(format!("the copy is damaged; remove it and rm {}", quoted(path)))
            }
            Self::UnsupportedDtype { .. } => Some("choose a checkpoint that is not quantised".into()),
            Self::NotFinite { .. } => Some("choose an earlier checkpoint: this one has diverged".into()),
            Self::KeyMismatch(mismatch) => Some(mismatch.hint()),
            Self::DuplicateKey { second, path, .. } => Some(format!("remove {second} from {}", path.display())),
            Self::NoSuchHead { .. } => Some("choose a model of family bert, which has every head".into()),
            Self::MissingParameter { .. } | Self::WrongValueCount { .. } => None,
            Self::InvalidTokenizer { path, .. } => {
                Some(format!("restore {} from the model it belongs to", path.display()))
            }
            Self::UnsupportedTokenizer { hint, .. } => Some(hint.clone()),
            Self::TokenizerTooLarge { .. } => {
                Some("use the tokenizer files that were published with these weights".into())
            }
            Self::NoTrainingText => Some("give files that hold text".into()),
            Self::VocabularyTooLarge { supported, .. } => Some(format!("--vocab-size {supported}, or more text")),
            Self::VocabularyTooSmall { needed, .. } => Some(format!("--vocab-size {needed}, or more")),
            Self::TokenizerTraining { .. } => None,
            Self::MissingSpecialToken { role, .. } => Some(format!(
                "choose a model whose tokenizer has a {role} token, such as google-bert/bert-base-uncased"
            )),
            Self::HubStatus { status, id, endpoint, .. } => Some(status_hint(*status, id, endpoint)),
            Self::HubRequest { endpoint, .. } => Some(format!("curl -I {endpoint}")),
            Self::OfflineMiss { .. } => Some("unset HF_HUB_OFFLINE TRANSFORMERS_OFFLINE".into()),
        }
    }
}

impl KeyMismatch {
    fn hint(&self) -> String {
        if self.wrong_shapes.is_empty() {
            "config.json and the weights must be of the same model; fetch both again from one place".into()
        } else {
            "the sizes in config.json are not those of the weights; fetch both again from one place".into()
        }
    }
}

fn list(names: &[String]) -> String {
    let mut text = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}

/// The usual name of weights of PyTorch.
const PICKLE: &str = "pytorch_model.bin";

/// How the content of a pointer is fetched. Without a clone nobody knows from where.
fn fetch_hint(path: &Path, is_clone: bool) -> String {
    let (folder, file) = (folder_of(path), path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let pull = format!("git lfs install && git -C {} lfs pull", quoted(folder));
    match is_clone {
        true => pull,
        false => format!(
            "hf download ORG/NAME {file} --local-dir {}  # or, in a git clone of the model: {pull}",
            quoted(folder)
        ),
    }
}

fn content_hint(path: &Path, found: Content) -> String {
    let renamed = |name: &str| format!("mv {} {}", quoted(path), quoted(&path.with_file_name(name)));
    match found {
        Content::Pytorch => renamed(PICKLE),
        Content::Safetensors => renamed("model.safetensors"),
        Content::WebPage | Content::Hdf5 | Content::Gguf => {
            let (folder, file) = (folder_of(path), path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            format!("rm {}; hf download ORG/NAME {file} --local-dir {}", quoted(path), quoted(folder))
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 => " (not authorised, or no such model)",
        403 => " (access refused)",
        404 => " (not found)",
        429 => " (too many requests)",
        _ => "",
    }
}

fn status_hint(status: u16, id: &str, endpoint: &str) -> String {
    match status {
        401 | 403 => format!("check the name at {endpoint}/{id}, accept its terms there, then: export HF_TOKEN=hf_..."),
        404 => format!("check the name and the revision at {endpoint}/{id}"),
        _ => format!("try again later, or see {endpoint}/{id}"),
    }
}

/// A path as a POSIX shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}
