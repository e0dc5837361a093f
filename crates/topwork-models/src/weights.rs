//! `model.safetensors`, alone or in shards: read one tensor at a time, written whole or not at all.
//!
//! Files are read with plain reads rather than mapped, so that a file that changes or shrinks meanwhile is an error and
//! not a crash; the peak is one tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde_json::Value;

use crate::error::{ModelError, quoted};
use crate::files::{read_json_object, write_atomically};

/// The weights in one file.
pub(crate) const SINGLE: &str = "model.safetensors";
/// The list of the files over which the weights are spread.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// What comes before the names of a model's tensors where another module holds it: for training on several devices, when
/// compiled, in a trainer, in a pipeline.
const PREFIXES: [&str; 4] = ["module.", "_orig_mod.", "model.", "0.auto_model."];
/// A prefix is one that nearly all tensors have: at most one in so many is not the model's.
const STRANGERS: usize = 10;

/// The length of a header's length.
const PREFIX: u64 = 8;
/// No checkpoint has a longer header; the limit is the format's.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes converted at a time; a multiple of every element's size.
const CHUNK: usize = 1 << 20;

/// The tensors of a model directory: names, types and shapes are known, values are read on demand.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
struct Stored {
    file: PathBuf,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Of its first byte, from the beginning of the file.
    offset: u64,
    bytes: u64,
}

/// A tensor to be written.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// The key in the file.
    pub name: &'a str,
    /// The shape, row-major.
    pub shape: &'a [usize],
    /// The values.
    pub data: &'a [f32],
}

impl Checkpoint {
    /// Reads the headers of a directory's `model.safetensors` or of its shards. What a program that holds a model puts before
    /// the names of its tensors is left off.
    ///
    /// # Errors
    /// When there are none, when there are only pickles, or when a file is not what its header says.
    pub fn open(directory: &Path) -> Result<Self, ModelError> {
        let Self { path, tensors } = Self::open_whole(directory)?;
        Ok(Self { path, tensors: without_prefixes(tensors) })
    }

    fn open_whole(directory: &Path) -> Result<Self, ModelError> {
        let (single, index) = (directory.join(SINGLE), directory.join(INDEX));
        if single.is_file() {
            return Self::open_file(&single);
        }
        let mut tensors = BTreeMap::new();
        if !index.is_file() {
            return Err(no_weights(directory));
        }
        let map = shard_map(&index, &read_json_object(&index)?)?;
        let mut shards: BTreeMap<&str, BTreeMap<String, Stored>> = BTreeMap::new();
        for shard in map.values() {
            if !shards.contains_key(shard.as_str()) {
                shards.insert(shard, read_header(&directory.join(shard))?.into_iter().collect());
            }
        }
        for (key, shard) in &map {
            let stored = shards.get_mut(shard.as_str()).and_then(|tensors| tensors.remove(key));
            let stored = stored.ok_or_else(|| ModelError::CorruptWeights {
                path: directory.join(shard),
                message: format!("expected tensor {key} by {INDEX}, found none"),
            })?;
            tensors.insert(key.clone(), stored);
        }
        if let Some((shard, key)) = shards.iter().find_map(|(shard, rest)| Some((shard, rest.keys().next()?))) {
            let message = format!("expected only what {INDEX} lists, found tensor {key}");
            return Err(ModelError::CorruptWeights { path: directory.join(shard), message });
        }
        Ok(Self { path: index, tensors })
    }

    /// Reads the header of one file; names stay as they are.
    ///
    /// # Errors
    /// When the file is not what its header says.
    pub fn open_file(path: &Path) -> Result<Self, ModelError> {
        Ok(Self { path: path.to_path_buf(), tensors: read_header(path)?.into_iter().collect() })
    }

    /// The file that was opened: the weights, or the index of the shards.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every file that holds weights, sorted.
    pub fn files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = self.tensors.values().map(|stored| stored.file.as_path()).collect();
        files.sort();
        files.dedup();
        files
    }

    /// The keys, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// The type of a tensor's elements.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|stored| stored.dtype)
    }

    /// The values of a tensor, row-major. Half precisions are widened exactly, f64 is rounded.
    ///
    /// # Errors
    /// When there is no such tensor, its elements are not floating-point or not finite, or the file cannot be read.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let stored = self.tensors.get(name).ok_or_else(|| ModelError::CorruptWeights {
            path: self.path.clone(),
            message: format!("expected tensor {name}, found none"),
        })?;
        let values = stored.read(name)?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(element) => Err(ModelError::NotFinite {
                path: stored.file.clone(),
                key: name.to_string(),
                found: values[element],
                element,
            }),
        }
    }
}

impl Checkpoint {
    /// Whether a tensor holds these values, rounded as it stores them.
    ///
    /// # Errors
    /// When there is no such tensor, or it cannot be read.
    pub(crate) fn holds(&self, name: &str, values: &[f32]) -> Result<bool, ModelError> {
        let Some(stored) = self.tensors.get(name) else { return Ok(false) };
        let rounded = |value: f32| match stored.dtype {
            Dtype::F16 => f16::from_f32(value).to_f32(),
            Dtype::BF16 => bf16::from_f32(value).to_f32(),
            _ => value,
        };
        Ok(stored.read(name)?.into_iter().eq(values.iter().copied().map(rounded)))
    }
}

impl Stored {
    fn read(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let convert: fn(&[u8], &mut Vec<f32>) = match self.dtype {
            Dtype::F32 => |bytes, out| out.extend(elements(bytes).map(f32::from_le_bytes)),
            Dtype::F16 => |bytes, out| out.extend(elements(bytes).map(|b| f16::from_le_bytes(b).to_f32())),
            Dtype::BF16 => |bytes, out| out.extend(elements(bytes).map(|b| bf16::from_le_bytes(b).to_f32())),
            Dtype::F64 => |bytes, out| out.extend(elements(bytes).map(|b| f64::from_le_bytes(b) as f32)),
            other => {
                return Err(ModelError::UnsupportedDtype {
                    path: self.file.clone(),
                    key: name.to_string(),
                    found: format!("{other:?}"),
                });
            }
        };
        let error = |source| ModelError::Read { path: self.file.clone(), source };
        let mut file = File::open(&self.file).map_err(error)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(error)?;
        let mut values = Vec::with_capacity(self.shape.iter().product());
        let mut chunk = vec![0; CHUNK.min(self.bytes as usize)];
        let mut left = self.bytes as usize;
        while left > 0 {
            let part = &mut chunk[..left.min(CHUNK)];
            file.read_exact(part).map_err(error)?;
            convert(part, &mut values);
            left -= part.len();
        }
        Ok(values)
    }
}

/// In how many bits weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, as they are trained.
    F32,
    /// 16 bits (IEEE 754 binary16), rounded to the nearest; half the size.
    F16,
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    fn extend(self, bytes: &mut Vec<u8>, values: &[f32]) {
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => bytes.extend(values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes())),
        }
    }
}

/// Writes tensors as f32, sorted by name, with the metadata `{"format": "pt"}` that `transformers` asks for. The same
/// tensors give the same bytes.
///
/// # Errors
/// When a tensor has not the values of its shape, a name is given twice, or the file cannot be written. Nothing
/// half-written is left behind.
pub fn write_safetensors(path: &Path, tensors: &[TensorView<'_>]) -> Result<(), ModelError> {
    write_safetensors_as(path, tensors, Precision::F32)
}

/// As [`write_safetensors`], with that precision.
///
/// # Errors
/// As [`write_safetensors`].
pub fn write_safetensors_as(path: &Path, tensors: &[TensorView<'_>], precision: Precision) -> Result<(), ModelError> {
    let mut sorted: Vec<&TensorView<'_>> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| tensor.name);
    let header = header(path, &sorted, precision)?;
    write_atomically(path, |writer| {
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        let mut bytes = Vec::with_capacity(CHUNK);
        for values in sorted.iter().flat_map(|tensor| tensor.data.chunks(CHUNK / 4)) {
            bytes.clear();
            precision.extend(&mut bytes, values);
            writer.write_all(&bytes)?;
        }
        Ok(())
    })
}

fn header(path: &Path, tensors: &[&TensorView<'_>], precision: Precision) -> Result<Vec<u8>, ModelError> {
    let corrupt = |message: String| ModelError::CorruptWeights { path: path.to_path_buf(), message };
    if let Some(twice) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(corrupt(format!("expected each tensor once, found {} twice", twice[0].name)));
    }
    let mut infos = Vec::with_capacity(tensors.len());
    let mut offset = 0;
    for tensor in tensors {
        let expected = tensor.shape.iter().product();
        if tensor.data.len() != expected {
            return Err(ModelError::WrongValueCount {
                path: path.to_path_buf(),
                name: tensor.name.to_string(),
                expected,
                found: tensor.data.len(),
            });
        }
        let end = offset + precision.bytes() * expected;
        let info = TensorInfo { dtype: precision.dtype(), shape: tensor.shape.to_vec(), data_offsets: (offset, end) };
        infos.push((tensor.name.to_string(), info));
        offset = end;
    }
    let format = [("format".to_string(), "pt".to_string())].into();
    let metadata = Metadata::new(Some(format), infos).map_err(|error| corrupt(error.to_string()))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|error| corrupt(error.to_string()))?;
    // The values begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(PREFIX as usize), b' ');
    Ok(header)
}

/// Which shard holds each key, from an index. A shard is a file beside the index: nothing else is opened.
pub(crate) fn shard_map(index: &Path, content: &Value) -> Result<BTreeMap<String, String>, ModelError> {
    const EXPECTED: &str = "an object from tensors to file names";
    let key = || "weight_map".to_string();
    let map = content.get("weight_map").ok_or_else(|| ModelError::MissingKey {
        path: index.to_path_buf(),
        key: key(),
        expected: EXPECTED.to_string(),
    })?;
    let invalid = |expected: &str, found: &Value| ModelError::InvalidValue {
        path: index.to_path_buf(),
        key: key(),
        expected: expected.to_string(),
        found: crate::files::brief(found),
    };
    let entries = map.as_object().filter(|entries| !entries.is_empty()).ok_or_else(|| invalid(EXPECTED, map))?;
    let plain = |name: &str| name.ends_with(".safetensors") && !name.contains(['/', '\\']) && !name.starts_with('.');
    entries
        .iter()
        .map(|(tensor, shard)| match shard.as_str().filter(|name| plain(name)) {
            Some(name) => Ok((tensor.clone(), name.to_string())),
            None => Err(invalid("names of .safetensors files in the same directory", shard)),
        })
        .collect()
}

/// Leaves off each prefix that nearly all names have, one in another too, unless two tensors would have one name.
fn without_prefixes(mut tensors: BTreeMap<String, Stored>) -> BTreeMap<String, Stored> {
    let is_usual = |tensors: &BTreeMap<String, Stored>, prefix: &str| {
        let strangers = tensors.keys().filter(|name| !name.starts_with(prefix)).count();
        let stripped = |name: &str| name.strip_prefix(prefix).is_some_and(|inner| tensors.contains_key(inner));
        !tensors.is_empty() && strangers * STRANGERS <= tensors.len() && !tensors.keys().any(|name| stripped(name))
    };
    while let Some(prefix) = PREFIXES.into_iter().find(|prefix| is_usual(&tensors, prefix)) {
        tracing::info!("{prefix} before the names of the tensors is left off");
        let inner = |name: String| name.strip_prefix(prefix).map(str::to_string).unwrap_or(name);
        tensors = tensors.into_iter().map(|(name, stored)| (inner(name), stored)).collect();
    }
    tensors
}

fn elements<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.chunks_exact(N).map(|chunk| {
        let mut element = [0; N];
        element.copy_from_slice(chunk);
        element
    })
}

fn read_header(path: &Path) -> Result<Vec<(String, Stored)>, ModelError> {
    let error = |source| ModelError::Read { path: path.to_path_buf(), source };
    let corrupt = |message: String| ModelError::CorruptWeights { path: path.to_path_buf(), message };
    let mut file = File::open(path).map_err(error)?;
    let found = file.metadata().map_err(error)?.len();
    if found < PREFIX {
        return Err(corrupt(format!("expected at least {PREFIX} bytes, found {found}")));
    }
    let mut prefix = [0; PREFIX as usize];
    file.read_exact(&mut prefix).map_err(error)?;
    let length = u64::from_le_bytes(prefix);
    if length > LONGEST_HEADER {
        return Err(corrupt(format!("expected a header of at most {LONGEST_HEADER} bytes, found {length}")));
    }
    if length > found - PREFIX {
        return Err(ModelError::WrongLength { path: path.to_path_buf(), expected: PREFIX + length, found });
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(error)?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| corrupt(format!("its header: {error}")))?;
    let begin = PREFIX + length;
    let expected = begin + metadata.data_len() as u64;
    if expected != found {
        return Err(ModelError::WrongLength { path: path.to_path_buf(), expected, found });
    }
    let stored = |info: &TensorInfo| Stored {
        file: path.to_path_buf(),
        dtype: info.dtype,
        shape: info.shape.clone(),
        offset: begin + info.data_offsets.0 as u64,
        bytes: (info.data_offsets.1 - info.data_offsets.0) as u64,
    };
    Ok(metadata.tensors().into_iter().map(|(name, info)| (name, stored(info))).collect())
}

/// Pickles are named in the error, with a command that converts the first.
fn no_weights(directory: &Path) -> ModelError {
    let missing = || ModelError::MissingFile {
        directory: directory.to_path_buf(),
        expected: "model.safetensors or model.safetensors.index.json",
    };
    let Ok(entries) = std::fs::read_dir(directory) else { return missing() };
    let pickle = |name: &String| {
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("bin" | "pt" | "pth" | "ckpt" | "pkl")) && name != "training_args.bin"
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // The weights are in pytorch_model.bin when it is there, whatever else is.
    match names.filter(pickle).min_by_key(|name| (name != PICKLE, name.clone())) {
        None => missing(),
        Some(file) => ModelError::PickleWeights {
            location: directory.display().to_string(),
            command: convert_command(&directory.join(&file), &directory.join(SINGLE)),
            file,
        },
    }
}

/// The usual name of pickled weights.
pub(crate) const PICKLE: &str = "pytorch_model.bin";

/// `weights_only` keeps the pickle from running code; `clone` parts tensors that share memory, which safetensors
/// refuses.
fn convert_command(from: &Path, to: &Path) -> String {
    format!(
        "python3 -c 'import sys, torch; from safetensors.torch import save_file; \
         w = torch.load(sys.argv[1], map_location=\"cpu\", weights_only=True); \
         save_file({{k: v.clone().contiguous() for k, v in w.items()}}, sys.argv[2], {{\"format\": \"pt\"}})' {} {}",
        quoted(from),
        quoted(to)
    )
}
