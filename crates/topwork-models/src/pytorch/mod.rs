//! Checkpoints of PyTorch: `pytorch_model.bin`, `.pt` and the like. Such a file has a pickle, which may run code when Python
//! opens it. Here a machine reads it that knows what state dicts need, refuses everything else by its name, and executes
//! nothing. All sizes and places are checked against the file before anything is read by them.

mod fault;
mod legacy;
mod pickle;
mod tensors;
#[cfg(test)]
mod tests;
mod zip;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;
use safetensors::tensor::Dtype;

use crate::error::{ModelError, quoted};
use fault::{Fault, shown};
use pickle::{Pickled, Source};
use zip::{Archive, Entry};

/// What a zip archive begins with.
const ZIP: &[u8] = b"PK\x03\x04";

/// The tensors of a file.
#[derive(Debug)]
pub(crate) struct StateDict {
    /// The keys that lead to it in the file of a trainer.
    pub(crate) within: Vec<String>,
    pub(crate) tensors: Vec<(String, Tensor)>,
}

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) place: Place,
}

/// Where the values of a tensor lie.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The storage's first byte, from the beginning of the file, and how many bytes it takes there.
    start: u64,
    packed: u64,
    is_deflated: bool,
    /// Bytes of the storage before the tensor.
    skip: u64,
    /// Bytes from the tensor's first value to its last.
    pub(crate) bytes: u64,
    /// From one value to the next along each dimension, in values; none where they lie one behind the other.
    pub(crate) strides: Option<Vec<usize>>,
    /// Whether the first byte of a value is its highest.
    pub(crate) is_big_endian: bool,
}

impl Place {
    /// The bytes of the tensor, from its first value to its last.
    pub(crate) fn reader(&self, mut file: File) -> io::Result<Box<dyn Read>> {
        if !self.is_deflated {
            file.seek(SeekFrom::Start(self.start + self.skip))?;
            return Ok(Box::new(file.take(self.bytes)));
        }
        file.seek(SeekFrom::Start(self.start))?;
        let mut unpacked = DeflateDecoder::new(BufReader::new(file.take(self.packed)));
        io::copy(&mut (&mut unpacked).take(self.skip), &mut io::sink())?;
        Ok(Box::new(unpacked.take(self.bytes)))
    }
}

/// Reads what a file of PyTorch holds, but for the values.
pub(crate) fn open(path: &Path) -> Result<StateDict, ModelError> {
    read(path).map_err(|fault| match fault {
        Fault::Read(source) => ModelError::Read { path: path.to_path_buf(), source },
        Fault::Damaged(message) => ModelError::CorruptPytorch { path: path.to_path_buf(), message },
        Fault::Refused(found) => ModelError::RefusedPickle {
            path: path.to_path_buf(),
            found,
            command: convert_command(path, &path.with_file_name("model.safetensors")),
        },
    })
}

/// A command that converts a file in Python. `weights_only` keeps the pickle from running code; `clone` parts tensors that
/// share memory, which safetensors refuses.
pub(crate) fn convert_command(from: &Path, to: &Path) -> String {
    format!(
        "python3 -c 'import sys, torch; from safetensors.torch import save_file; \
         w = torch.load(sys.argv[1], map_location=\"cpu\", weights_only=True); w = w.get(\"state_dict\", w); \
         save_file({{k: v.clone().contiguous() for k, v in w.items()}}, sys.argv[2], {{\"format\": \"pt\"}})' {} {}",
        quoted(from),
        quoted(to)
    )
}

fn read(path: &Path) -> Result<StateDict, Fault> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut beginning = Vec::new();
    (&mut file).take(512).read_to_end(&mut beginning)?;
    if beginning.starts_with(ZIP) {
        return of_archive(&mut file, length);
    }
    if beginning.starts_with(&legacy::MAGIC) {
        let (pickled, places) = legacy::read(&mut file, length)?;
        let plain =
            |(start, bytes): &(u64, u64)| Bytes { start: *start, packed: *bytes, size: *bytes, is_deflated: false };
        return collect(&pickled, length, false, |key| Ok(places.get(key).map(plain)));
    }
    if beginning.get(257..262) == Some(b"ustar") {
        return Fault::refused("an archive of PyTorch 0.1 (tar)");
    }
    match beginning.first() {
        Some(0x80) => Fault::refused("a pickle that is not of torch.save"),
        _ => Fault::damaged("it begins neither as a zip archive nor as a pickle"),
    }
}

/// The bytes of a storage.
struct Bytes {
    start: u64,
    packed: u64,
    size: u64,
    is_deflated: bool,
}

fn of_archive(file: &mut File, length: u64) -> Result<StateDict, Fault> {
    const PICKLE: &str = "data.pkl";
    let archive = Archive::read(file, length)?;
    let pickles = archive.entries.keys().filter_map(|name| name.strip_suffix(PICKLE));
    let Some(folder) =
        pickles.filter(|folder| folder.is_empty() || folder.ends_with('/')).min_by_key(|folder| folder.len())
    else {
        return Fault::damaged(format!("its archive has no {PICKLE}"));
    };
    let entry = |name: &str| archive.entries.get(&format!("{folder}{name}"));
    if entry("constants.pkl").is_some()
        || archive.entries.keys().any(|name| name.starts_with(&format!("{folder}code/")))
    {
        return Fault::refused("a TorchScript program");
    }
    let Some(own) = entry(PICKLE) else { return Fault::damaged(format!("its archive has no {PICKLE}")) };
    let unpacked = unpacked(file, &archive, own, legacy::LONGEST)?;
    let pickled = pickle::run(&mut Source::new(unpacked.as_slice(), unpacked.len() as u64))?;
    let is_big_endian = match entry("byteorder") {
        None => false,
        Some(order) => match self::unpacked(file, &archive, order, 16)?.as_slice() {
            b"little" => false,
            b"big" => true,
            other => return Fault::damaged(format!("its byte order is {}", shown(&String::from_utf8_lossy(other)))),
        },
    };
    collect(&pickled, length, is_big_endian, |key| {
        let Some(entry) = entry(&format!("data/{key}")) else { return Ok(None) };
        let start = archive.start(file, entry)?;
        Ok(Some(Bytes { start, packed: entry.packed, size: entry.size, is_deflated: entry.is_deflated }))
    })
}

/// The content of an entry, which has at most so many bytes.
fn unpacked(file: &mut File, archive: &Archive, entry: &Entry, most: u64) -> Result<Vec<u8>, Fault> {
    if entry.size > most {
        return Fault::refused(format!("entry {} of {} bytes", shown(&entry.name), entry.size));
    }
    let start = archive.start(file, entry)?;
    file.seek(SeekFrom::Start(start))?;
    let packed = BufReader::new(file.take(entry.packed));
    let mut content = Vec::new();
    match entry.is_deflated {
        false => packed.take(entry.size).read_to_end(&mut content)?,
        true => match DeflateDecoder::new(packed).take(entry.size).read_to_end(&mut content) {
            Ok(length) => length,
            Err(error) => return Fault::damaged(format!("entry {}: {error}", shown(&entry.name))),
        },
    };
    match content.len() as u64 == entry.size {
        true => Ok(content),
        false => Fault::damaged(format!("entry {} ends early", shown(&entry.name))),
    }
}

/// The tensors of a pickle, each within the bytes that `find` has for its storage.
fn collect(
    pickled: &Pickled,
    length: u64,
    is_big_endian: bool,
    mut find: impl FnMut(&str) -> Result<Option<Bytes>, Fault>,
) -> Result<StateDict, Fault> {
    let Some((within, found)) = tensors::state_dict(pickled) else {
        return Fault::refused(format!("no tensors in it, but {}", tensors::keys(pickled)));
    };
    let mut storages: HashMap<String, Bytes> = HashMap::new();
    let mut collected = Vec::with_capacity(found.len());
    for (name, tensor) in found {
        let view = tensors::view(pickled, name, tensor, length)?;
        if !storages.contains_key(&view.key) {
            let bytes = find(&view.key)?;
            let missing =
                || Fault::Damaged(format!("tensor {}: storage {} is not in the file", shown(name), shown(&view.key)));
            storages.insert(view.key.clone(), bytes.ok_or_else(missing)?);
        }
        let Some(storage) = storages.get(&view.key) else { continue };
        if view.skip.checked_add(view.bytes).is_none_or(|end| end > storage.size) {
            return Fault::damaged(format!(
                "tensor {}: expected {} bytes from {} on of storage {}, found {} bytes in all",
                shown(name),
                view.bytes,
                view.skip,
                shown(&view.key),
                storage.size
            ));
        }
        let place = Place {
            start: storage.start,
            packed: storage.packed,
            is_deflated: storage.is_deflated,
            skip: view.skip,
            bytes: view.bytes,
            strides: view.strides,
            is_big_endian,
        };
        collected.push((view.name, Tensor { dtype: view.dtype, shape: view.shape, place }));
    }
    Ok(StateDict { within, tensors: collected })
}
