//! The directory of a zip archive: which entries it has and where their bytes lie. Nothing is unpacked here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::fault::{Fault, shown};

/// The longest directory that is read; a checkpoint of ten thousand tensors has one of 1 MB.
const LONGEST_DIRECTORY: u64 = 64 << 20;
/// The end of an archive: its fixed part, and the longest comment behind it.
const END: usize = 22;
const LONGEST_COMMENT: usize = 65_535;
const END_SIGNATURE: u32 = 0x0605_4b50;
/// What stands before the end of an archive with 64-bit sizes, and what that points to.
const LOCATOR: u64 = 20;
const LOCATOR_SIGNATURE: u32 = 0x0706_4b50;
const WIDE_END: usize = 56;
const WIDE_END_SIGNATURE: u32 = 0x0606_4b50;
const ENTRY: usize = 46;
const ENTRY_SIGNATURE: u32 = 0x0201_4b50;
const LOCAL: usize = 30;
const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
/// The mark of the 64-bit sizes in an entry's extra fields.
const WIDE_SIZES: u16 = 1;
const ENCRYPTED: u16 = 1;
/// No stream of deflate grows more than that when unpacked.
const MOST_GROWTH: u64 = 1100;

/// A file of an archive.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_deflated: bool,
    /// Its bytes in the archive.
    pub(super) packed: u64,
    /// Its bytes when unpacked.
    pub(super) size: u64,
    header: u64,
}

/// The entries of an archive by name.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) entries: BTreeMap<String, Entry>,
    length: u64,
}

impl Archive {
    /// Reads the directory of an archive of `length` bytes.
    pub(super) fn read(file: &mut File, length: u64) -> Result<Self, Fault> {
        let (start, size, count) = directory(file, length)?;
        let bytes = read_at(file, start, size as usize)?;
        let mut entries = BTreeMap::new();
        let mut rest = bytes.as_slice();
        for _ in 0..count {
            let (entry, length) = parse_entry(rest)?;
            rest = rest.get(length..).unwrap_or_default();
            entries.insert(entry.name.clone(), entry);
        }
        Ok(Self { entries, length })
    }

    /// Where an entry's bytes begin; all of them are within the file.
    pub(super) fn start(&self, file: &mut File, entry: &Entry) -> Result<u64, Fault> {
        let outside = || Fault::Damaged(format!("entry {}: its bytes lie beyond the file", shown(&entry.name)));
        if entry.header.checked_add(LOCAL as u64).is_none_or(|end| end > self.length) {
            return Err(outside());
        }
        let local = read_at(file, entry.header, LOCAL)?;
        if number::<4>(&local, 0) != u64::from(LOCAL_SIGNATURE) {
            return Fault::damaged(format!("entry {}: its header is not where the directory says", shown(&entry.name)));
        }
        let start = entry.header + LOCAL as u64 + number::<2>(&local, 26) + number::<2>(&local, 28);
        match start.checked_add(entry.packed) {
            Some(end) if end <= self.length => Ok(start),
            _ => Err(outside()),
        }
    }
}

/// Where the directory begins, its length, and the number of its entries.
fn directory(file: &mut File, length: u64) -> Result<(u64, u64, u64), Fault> {
    let tail_length = length.min((END + LONGEST_COMMENT) as u64);
    let tail_start = length - tail_length;
    let tail = read_at(file, tail_start, tail_length as usize)?;
    let is_end = |at: &usize| {
        number::<4>(&tail, *at) == u64::from(END_SIGNATURE)
            && at + END + number::<2>(&tail, at + 20) as usize == tail.len()
    };
    let Some(at) = (0..(tail.len() + 1).saturating_sub(END)).rev().find(is_end) else {
        return Fault::damaged("it ends before the directory of its archive");
    };
    let mut count = number::<2>(&tail, at + 10);
    let mut size = number::<4>(&tail, at + 12);
    let mut start = number::<4>(&tail, at + 16);
    let end = tail_start + at as u64;
    if (count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff)
        && let Some(wide) = wide_end(file, end, length)?
    {
        (count, size, start) = (number::<8>(&wide, 32), number::<8>(&wide, 40), number::<8>(&wide, 48));
    }
    if size > LONGEST_DIRECTORY || start.checked_add(size).is_none_or(|last| last > end) {
        return Fault::damaged(format!("the directory of its archive, {size} bytes at {start}, is not in the file"));
    }
    if count > size / ENTRY as u64 {
        return Fault::damaged(format!("{count} entries do not fit the {size} bytes of its directory"));
    }
    Ok((start, size, count))
}

/// The end of an archive with 64-bit sizes, where there is one.
fn wide_end(file: &mut File, end: u64, length: u64) -> Result<Option<Vec<u8>>, Fault> {
    let Some(at) = end.checked_sub(LOCATOR) else { return Ok(None) };
    let locator = read_at(file, at, LOCATOR as usize)?;
    if number::<4>(&locator, 0) != u64::from(LOCATOR_SIGNATURE) {
        return Ok(None);
    }
    let at = number::<8>(&locator, 8);
    if at.checked_add(WIDE_END as u64).is_none_or(|last| last > length) {
        return Fault::damaged("the end of its archive points beyond the file");
    }
    let wide = read_at(file, at, WIDE_END)?;
    match number::<4>(&wide, 0) == u64::from(WIDE_END_SIGNATURE) {
        true => Ok(Some(wide)),
        false => Fault::damaged("the end of its archive points to something else"),
    }
}

/// The first entry of what is left of a directory, and its length there.
fn parse_entry(bytes: &[u8]) -> Result<(Entry, usize), Fault> {
    if bytes.len() < ENTRY || number::<4>(bytes, 0) != u64::from(ENTRY_SIGNATURE) {
        return Fault::damaged("the directory of its archive ends early");
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| number::<2>(bytes, at) as usize);
    let length = ENTRY + name + extra + comment;
    if bytes.len() < length {
        return Fault::damaged("the directory of its archive ends early");
    }
    let extra = &bytes[ENTRY + name..ENTRY + name + extra];
    let name = String::from_utf8_lossy(&bytes[ENTRY..ENTRY + name]).into_owned();
    let mut size = number::<4>(bytes, 24);
    let mut packed = number::<4>(bytes, 20);
    let mut header = number::<4>(bytes, 42);
    let mut wide = wide_sizes(extra);
    for value in [&mut size, &mut packed, &mut header] {
        if *value == 0xffff_ffff && wide.len() >= 8 {
            (*value, wide) = (number::<8>(wide, 0), &wide[8..]);
        }
    }
    let is_deflated = match number::<2>(bytes, 10) {
        _ if number::<2>(bytes, 8) as u16 & ENCRYPTED != 0 => {
            return Fault::refused(format!("an encrypted entry, {}", shown(&name)));
        }
        0 => false,
        8 => true,
        other => return Fault::refused(format!("entry {} packed by method {other}", shown(&name))),
    };
    let holds = if is_deflated { size / MOST_GROWTH <= packed } else { size == packed };
    if !holds {
        return Fault::damaged(format!("entry {}: {packed} bytes cannot hold {size}", shown(&name)));
    }
    Ok((Entry { name, is_deflated, packed, size, header }, length))
}

/// The 64-bit sizes among extra fields.
fn wide_sizes(mut extra: &[u8]) -> &[u8] {
    while extra.len() >= 4 {
        let (kind, length) = (number::<2>(extra, 0) as u16, number::<2>(extra, 2) as usize);
        let Some(field) = extra.get(4..4 + length) else { break };
        if kind == WIDE_SIZES {
            return field;
        }
        extra = &extra[4 + length..];
    }
    &[]
}

/// The little-endian number of `N` bytes at `at`; zero beyond the end.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + N).unwrap_or_default();
    field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn read_at(file: &mut File, start: u64, length: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
