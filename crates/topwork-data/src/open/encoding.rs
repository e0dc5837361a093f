//! The encodings of text: UTF-8, UTF-16 and UTF-32 with and without a mark, and Windows-1252 where it can be nothing else.

use std::borrow::Cow;
use std::path::Path;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::error::DataError;

/// Text of wide units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wide {
    Utf16Le,
    Utf16Be,
    Utf32Le,
    Utf32Be,
}

impl Wide {
    /// What a byte order mark says or, without one, the zeros that such an encoding has in every letter of English, between other
    /// bytes.
    fn of(head: &[u8]) -> Option<Wide> {
        match head {
            [0xff, 0xfe, 0, 0, ..] => return Some(Wide::Utf32Le),
            [0, 0, 0xfe, 0xff, ..] => return Some(Wide::Utf32Be),
            [0xff, 0xfe, ..] => return Some(Wide::Utf16Le),
            [0xfe, 0xff, ..] => return Some(Wide::Utf16Be),
            _ => {}
        }
        let sample = &head[..head.len().min(4096) / 4 * 4];
        if sample.is_empty() {
            return None;
        }
        let letters = sample.len() / 4;
        let zeros = |place: usize| sample.iter().skip(place).step_by(4).filter(|&&byte| byte == 0).count();
        let [first, second, third, fourth] = [0, 1, 2, 3].map(zeros);
        let most = |count: usize| 4 * count >= 3 * letters;
        let few = |count: usize| 20 * count <= letters;
        match () {
            () if few(first) && most(third) && fourth == letters => Some(Wide::Utf32Le),
            () if few(fourth) && most(second) && first == letters => Some(Wide::Utf32Be),
            () if few(first) && few(third) && most(second) && most(fourth) => Some(Wide::Utf16Le),
            () if few(second) && few(fourth) && most(first) && most(third) => Some(Wide::Utf16Be),
            () => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Wide::Utf16Le | Wide::Utf16Be => "UTF-16",
            Wide::Utf32Le | Wide::Utf32Be => "UTF-32",
        }
    }

    /// The text of `bytes`; none where they are not of this encoding.
    fn decode(self, bytes: &[u8]) -> Option<String> {
        let whole = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let text = match self {
            Wide::Utf16Le => whole(UTF_16LE.decode_without_bom_handling_and_without_replacement(bytes)),
            Wide::Utf16Be => whole(UTF_16BE.decode_without_bom_handling_and_without_replacement(bytes)),
            Wide::Utf32Le => utf32(bytes, u32::from_le_bytes),
            Wide::Utf32Be => utf32(bytes, u32::from_be_bytes),
        }?;
        Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<String> {
    let (units, []) = bytes.as_chunks::<4>() else { return None };
    units.iter().map(|&bytes| char::from_u32(unit(bytes))).collect()
}

/// Whether a file that begins so is UTF-16 or UTF-32.
pub(super) fn is_wide(head: &[u8]) -> bool {
    Wide::of(head).is_some()
}

/// The text of bytes in UTF-16 or UTF-32, and what is to be said of it; none where they are in neither.
fn wide_text(path: &Path, bytes: &[u8]) -> Result<Option<(String, String)>, DataError> {
    let Some(wide) = Wide::of(bytes) else { return Ok(None) };
    let text = wide.decode(bytes).ok_or_else(|| DataError::BrokenFile {
        path: path.into(),
        kind: wide.name(),
        message: "a unit that is no letter, or half of one at the end".into(),
    })?;
    Ok(Some((text, format!("{}: read as {}", path.display(), wide.name()))))
}

/// The text of `bytes` without a byte order mark, and a note if they are not UTF-8.
pub(super) fn decode(path: &Path, bytes: Vec<u8>) -> Result<(String, Option<String>), DataError> {
    if let Some((text, note)) = wide_text(path, &bytes)? {
        return Ok((one_kind_of_line_end(text), Some(note)));
    }
    let (text, note) = match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => {
            let zero = text.find('\0').unwrap_or(0);
            let line = 1 + text[..zero].matches('\n').count();
            return Err(DataError::Binary { path: path.into(), line, offset: zero as u64 });
        }
        Ok(text) => (text, None),
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let line = 1 + bytes[..offset].iter().filter(|&&byte| byte == b'\n').count();
            if let Some(zero) = bytes.iter().position(|&byte| byte == 0) {
                let line = 1 + bytes[..zero].iter().filter(|&&byte| byte == b'\n').count();
                return Err(DataError::Binary { path: path.into(), line, offset: zero as u64 });
            }
            let text = windows_1252(&bytes).ok_or(DataError::NotUtf8 {
                path: path.into(),
                line,
                offset,
                byte: bytes[offset],
            })?;
            (text, Some(read_as_windows(path, line)))
        }
    };
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok((one_kind_of_line_end(text), note))
}

/// Lines that end in `\r` alone, as old spreadsheets of macOS write them, end in `\n`.
fn one_kind_of_line_end(text: String) -> String {
    if text.contains('\r') && !text.contains('\n') { text.replace('\r', "\n") } else { text }
}

fn read_as_windows(path: &Path, line: usize) -> String {
    format!("{}: read as Windows-1252: line {line} is not UTF-8", path.display())
}

/// The text of bytes in Windows-1252. None where some letters are UTF-8 of several bytes, since then others are damaged, or where a
/// byte is none of that encoding.
fn windows_1252(bytes: &[u8]) -> Option<String> {
    let (high, plain) = bytes.iter().fold((0_usize, 0_usize), |(high, plain), byte| {
        (high + usize::from(*byte >= 0xc0), plain + usize::from(byte.is_ascii_alphabetic()))
    });
    // In no Western language are most letters accented.
    if high > plain {
        return None;
    }
    if bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()) || bytes.iter().any(|byte| UNASSIGNED.contains(byte))
    {
        return None;
    }
    Some(WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned())
}

/// Bytes that mean nothing in Windows-1252.
const UNASSIGNED: [u8; 5] = [0x81, 0x8d, 0x8f, 0x90, 0x9d];

/// Decides line by line between UTF-8 and Windows-1252, as [`decode`] does for a whole text.
#[derive(Debug, Default)]
pub(crate) struct Utf8OrWindows {
    has_utf8: bool,
    /// The first line that is not UTF-8.
    windows_from: Option<usize>,
}

impl Utf8OrWindows {
    /// The text of `line`, which has this number; its own bytes where they are no text.
    pub(crate) fn line(&mut self, number: usize, line: Vec<u8>) -> Result<String, Vec<u8>> {
        match String::from_utf8(line) {
            Ok(text) => {
                self.has_utf8 |= !text.is_ascii();
                if self.has_utf8 && self.windows_from.is_some() { Err(text.into_bytes()) } else { Ok(text) }
            }
            Err(error) => {
                let bytes = error.into_bytes();
                if self.has_utf8 {
                    return Err(bytes);
                }
                let text = windows_1252(&bytes).ok_or(bytes)?;
                self.windows_from.get_or_insert(number);
                Ok(text)
            }
        }
    }

    /// What is to be said of it.
    pub(crate) fn note(&self, path: &Path) -> Option<String> {
        self.windows_from.map(|line| read_as_windows(path, line))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn wide(text: &str, wide: Wide, mark: bool) -> Vec<u8> {
        let marked = format!("{}{text}", if mark { "\u{feff}" } else { "" });
        match wide {
            Wide::Utf16Le => marked.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Wide::Utf16Be => marked.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Wide::Utf32Le => marked.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            Wide::Utf32Be => marked.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        }
    }

    #[test]
    fn every_wide_encoding_is_read_with_and_without_a_mark() {
        let text = "text,label\ncafé 🍎 costs,a\nplain words,b\n";
        for kind in [Wide::Utf16Le, Wide::Utf16Be, Wide::Utf32Le, Wide::Utf32Be] {
            for mark in [true, false] {
                let (read, note) = decode(Path::new("x"), wide(text, kind, mark)).unwrap();
                assert_eq!(read, text, "{kind:?} {mark}");
                assert!(note.unwrap().contains(kind.name()));
                assert!(
                    decode(Path::new("x"), wide(text, kind, mark)[..41].to_vec()).is_err(),
                    "{kind:?}: half a letter"
                );
            }
        }
    }

    #[test]
    fn windows_1252_is_what_has_no_letter_of_utf8() {
        let (text, note) = decode(Path::new("x"), b"caf\xe9 \x80 5".to_vec()).unwrap();
        assert_eq!((text.as_str(), note.is_some()), ("café € 5", true));
        for damaged in [&b"caf\xc3\xa9 and caf\xe9"[..], b"a \x81 b", b"\xe9 \0", b"\xef\xf0\xe8 a", b"a\0b"] {
            assert!(decode(Path::new("x"), damaged.to_vec()).is_err(), "{damaged:?}");
        }
        let mut lines = Utf8OrWindows::default();
        assert_eq!(lines.line(1, b"plain".to_vec()).unwrap(), "plain");
        assert_eq!(lines.line(2, b"caf\xe9".to_vec()).unwrap(), "café");
        assert!(lines.note(Path::new("x")).unwrap().contains("line 2"));
        assert!(lines.line(3, "é".into()).is_err(), "both in one file");
    }

    #[test]
    fn lines_may_end_in_a_carriage_return() {
        assert_eq!(decode(Path::new("x"), b"a,b\rc,d\r".to_vec()).unwrap().0, "a,b\nc,d\n");
        assert_eq!(decode(Path::new("x"), b"a,b\r\nc,\"d\re\"\r\n".to_vec()).unwrap().0, "a,b\r\nc,\"d\re\"\r\n");
    }
}
