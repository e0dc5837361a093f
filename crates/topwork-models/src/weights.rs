//! `model.safetensors` or `pytorch_model.bin`, alone or in shards: read one tensor at a time. Safetensors are written whole or
//! not at all.
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

use crate::error::{Content, ModelError};
use crate::files::{read_json_object, refuse_other_content, write_atomically};
use crate::names::without_prefixes;
use crate::pytorch;

/// The weights in one file.
pub(crate) const SINGLE: &str = "model.safetensors";
/// The list of the files over which the weights are spread.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The same of PyTorch, which are read where there are no safetensors.
pub(crate) const PICKLE: &str = "pytorch_model.bin";
/// The list of such files.
pub(crate) const PICKLE_INDEX: &str = "pytorch_model.bin.index.json";

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
    notes: Vec<String>,
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
struct Stored {
    file: PathBuf,
    dtype: Dtype,
    shape: Vec<usize>,
    place: Place,
}

/// Where the values of a tensor lie in its file.
#[derive(Clone, Debug)]
enum Place {
    /// One behind the other, from this byte on.
    Plain { offset: u64, bytes: u64 },
    /// As PyTorch wrote them.
    Pytorch(Box<pytorch::Place>),
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
    /// Reads the headers of a directory's weights: `model.safetensors` or its shards, otherwise `pytorch_model.bin` or its
    /// shards, otherwise the one file of PyTorch that is there. What a program that holds a model puts before the names of its
    /// tensors is left off.
    ///
    /// # Errors
    /// When there are none, or when a file is not what its header says.
    pub fn open(directory: &Path) -> Result<Self, ModelError> {
        let Self { path, tensors, mut notes } = Self::open_whole(directory)?;
        let (tensors, left_off) = without_prefixes(tensors);
        notes.extend(left_off);
        Ok(Self { path, tensors, notes })
    }

    fn open_whole(directory: &Path) -> Result<Self, ModelError> {
        match weights_of(directory)? {
            WeightFiles::One(path) => {
                let mut opened = Self::open_file(&path)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if ![SINGLE, PICKLE].contains(&&*name) {
                    opened.notes.insert(0, format!("the weights are read from {name}, the only ones in the folder"));
                }
                Ok(opened)
            }
            WeightFiles::Shards(index) => Self::open_shards(directory, index),
        }
    }

    fn open_shards(directory: &Path, index: PathBuf) -> Result<Self, ModelError> {
        let listed = index.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut tensors = BTreeMap::new();
        let map = shard_map(&index, &read_json_object(&index)?)?;
        let mut shards: BTreeMap<&str, BTreeMap<String, Stored>> = BTreeMap::new();
        for shard in map.values() {
            if !shards.contains_key(shard.as_str()) {
                shards.insert(shard, Self::open_file(&directory.join(shard))?.tensors);
            }
        }
        let wrong = |shard: &str, message: String| match shard.ends_with(SAFE) {
            true => ModelError::CorruptWeights { path: directory.join(shard), message },
            false => ModelError::CorruptPytorch { path: directory.join(shard), message },
        };
        for (key, shard) in &map {
            let stored = shards.get_mut(shard.as_str()).and_then(|tensors| tensors.remove(key));
            let stored =
                stored.ok_or_else(|| wrong(shard, format!("expected tensor {key} by {listed}, found none")))?;
            tensors.insert(key.clone(), stored);
        }
        if let Some((shard, key)) = shards.iter().find_map(|(shard, rest)| Some((shard, rest.keys().next()?))) {
            return Err(wrong(shard, format!("expected only what {listed} lists, found tensor {key}")));
        }
        Ok(Self { path: index, tensors, notes: Vec::new() })
    }

    /// Reads the header of one file, safetensors by its ending or else a file of PyTorch; names stay as they are.
    ///
    /// # Errors
    /// When the file is not what its header says.
    pub fn open_file(path: &Path) -> Result<Self, ModelError> {
        if path.extension().is_none_or(|ending| ending != "safetensors") {
            return Self::open_pytorch(path);
        }
        Ok(Self { path: path.to_path_buf(), tensors: read_header(path)?.into_iter().collect(), notes: Vec::new() })
    }

    fn open_pytorch(path: &Path) -> Result<Self, ModelError> {
        refuse_other_content(path, "weights of PyTorch", Content::Pytorch)?;
        let dict = pytorch::open(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let within = (!dict.within.is_empty()).then(|| format!("of {name}, {} is read", dict.within.join(".")));
        let stored = |tensor: pytorch::Tensor| Stored {
            file: path.to_path_buf(),
            dtype: tensor.dtype,
            shape: tensor.shape,
            place: Place::Pytorch(Box::new(tensor.place)),
        };
        let tensors = dict.tensors.into_iter().map(|(name, tensor)| (name, stored(tensor))).collect();
        Ok(Self { path: path.to_path_buf(), tensors, notes: within.into_iter().collect() })
    }

    /// What was done to the names of the tensors, and where they were found; nothing of a usual checkpoint.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
        let (mut reader, bytes, swapped): (Box<dyn Read>, u64, _) = match &self.place {
            Place::Plain { offset, bytes } => {
                file.seek(SeekFrom::Start(*offset)).map_err(error)?;
                (Box::new(file), *bytes, false)
            }
            Place::Pytorch(place) => (place.reader(file).map_err(error)?, place.bytes, place.is_big_endian),
        };
        let size = self.dtype.bitsize() / 8;
        let mut values = Vec::with_capacity(bytes as usize / size.max(1));
        let mut chunk = vec![0; CHUNK.min(bytes as usize)];
        let mut left = bytes as usize;
        while left > 0 {
            let part = &mut chunk[..left.min(CHUNK)];
            reader.read_exact(part).map_err(error)?;
            if swapped {
                part.chunks_exact_mut(size.max(1)).for_each(<[u8]>::reverse);
            }
            convert(part, &mut values);
            left -= part.len();
        }
        Ok(match &self.place {
            Place::Pytorch(place) => match &place.strides {
                Some(strides) => row_by_row(&values, &self.shape, strides),
                None => values,
            },
            Place::Plain { .. } => values,
        })
    }
}

/// The values of a view, one behind the other: the last dimension's lie `strides.last()` apart, and so on.
fn row_by_row(values: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let mut place = vec![0; shape.len()];
    let mut at = 0;
    let count = shape.iter().product();
    let mut dense = Vec::with_capacity(count);
    while dense.len() < count {
        dense.push(values.get(at).copied().unwrap_or(f32::NAN));
        for dimension in (0..shape.len()).rev() {
            place[dimension] += 1;
            at += strides[dimension];
            if place[dimension] < shape[dimension] {
                break;
            }
            at -= strides[dimension] * shape[dimension];
            place[dimension] = 0;
        }
    }
    dense
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
    let ending = if index.ends_with(PICKLE_INDEX) { ".bin" } else { SAFE };
    let plain = |name: &str| name.ends_with(ending) && !name.contains(['/', '\\']) && !name.starts_with('.');
    entries
        .iter()
        .map(|(tensor, shard)| match shard.as_str().filter(|name| plain(name)) {
            Some(name) => Ok((tensor.clone(), name.to_string())),
            None => Err(invalid(&format!("names of {ending} files in the same directory"), shard)),
        })
        .collect()
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
    refuse_other_content(path, "weights in safetensors", Content::Safetensors)?;
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
        place: Place::Plain {
            offset: begin + info.data_offsets.0 as u64,
            bytes: (info.data_offsets.1 - info.data_offsets.0) as u64,
        },
    };
    Ok(metadata.tensors().into_iter().map(|(name, info)| (name, stored(info))).collect())
}

/// The files that a model's weights are read from.
pub(crate) enum WeightFiles {
    One(PathBuf),
    Shards(PathBuf),
}

const SAFE: &str = ".safetensors";

/// What a trainer keeps beside the weights, in files of the same kind.
const NO_WEIGHTS: [&str; 6] =
    ["training_args.bin", "optimizer.", "scheduler.", "rng_state", "scaler.", "adapter_model."];

/// The weights of a directory: those with a usual name, otherwise the one file of PyTorch.
pub(crate) fn weights_of(directory: &Path) -> Result<WeightFiles, ModelError> {
    let file = |name: &str| Some(directory.join(name)).filter(|path| path.is_file());
    if let Some(found) = file(SINGLE).map(WeightFiles::One).or_else(|| file(INDEX).map(WeightFiles::Shards)) {
        return Ok(found);
    }
    if let Some(found) = file(PICKLE).map(WeightFiles::One).or_else(|| file(PICKLE_INDEX).map(WeightFiles::Shards)) {
        return Ok(found);
    }
    let is_weights = |name: &String| {
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("bin" | "pt" | "pth" | "th" | "ckpt"))
            && !name.starts_with('.')
            && !NO_WEIGHTS.iter().any(|beginning| name.starts_with(beginning))
            && directory.join(name).is_file()
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(is_weights).collect();
    names.sort();
    match names.as_slice() {
        [] => Err(ModelError::MissingFile {
            directory: directory.to_path_buf(),
            expected: "model.safetensors or pytorch_model.bin, or the index of their parts",
        }),
        [name] => Ok(WeightFiles::One(directory.join(name))),
        _ => Err(ModelError::SeveralWeights { directory: directory.to_path_buf(), found: names }),
    }
}
