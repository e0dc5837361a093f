//! The files that PyTorch wrote before version 1.6: pickles one behind the other, then the storages.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::fault::{Fault, shown};
use super::pickle::{self, Object, Pickled, Source};
use super::tensors::{element_size, storages};

/// What such a file begins with: a number that stands for PyTorch.
pub(super) const MAGIC: [u8; 15] =
    [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// The longest pickles that are read.
pub(super) const LONGEST: u64 = 64 << 20;
/// Before each storage stands the number of its elements.
const COUNT: u64 = 8;

/// For each storage, where its bytes begin and how many there are.
type Places = HashMap<String, (u64, u64)>;

/// The pickle of the tensors, and the places of the storages.
pub(super) fn read(file: &mut File, length: u64) -> Result<(Pickled, Places), Fault> {
    file.seek(SeekFrom::Start(0))?;
    let mut source = Source::new(BufReader::new(&mut *file), length.min(LONGEST));
    // The number, the version and what the machine was like; the storages are little-endian on every machine.
    for _ in 0..3 {
        pickle::run(&mut source)?;
    }
    let pickled = pickle::run(&mut source)?;
    let keys = pickle::run(&mut source)?;
    let mut at = source.position();
    let mut elements = HashMap::new();
    for storage in storages(&pickled) {
        let size = element_size(storage.dtype);
        if *elements.entry(storage.key.as_str()).or_insert(size) != size {
            return Fault::damaged(format!("storage {} has two types", shown(&storage.key)));
        }
    }
    let Some(Object::List(keys_in_order)) = keys.object(keys.root) else {
        return Fault::damaged("it has no list of its storages");
    };
    let mut places = HashMap::new();
    for key in keys_in_order {
        let key = keys.text(*key).unwrap_or_default();
        let Some(element) = elements.get(key) else {
            return Fault::damaged(format!("storage {} is of no tensor", shown(key)));
        };
        file.seek(SeekFrom::Start(at))?;
        let mut count = [0; COUNT as usize];
        file.read_exact(&mut count)?;
        let bytes = u64::from_le_bytes(count).checked_mul(*element);
        let start = at + COUNT;
        let end = bytes.and_then(|bytes| start.checked_add(bytes)).filter(|end| *end <= length);
        let (Some(bytes), Some(end)) = (bytes, end) else {
            return Fault::damaged(format!("storage {} lies beyond the file", shown(key)));
        };
        places.insert(key.to_string(), (start, bytes));
        at = end;
    }
    Ok((pickled, places))
}
