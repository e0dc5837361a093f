//! The lines of a file of text, one at a time.

use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::path::Path;

use super::raw::Unpacked;
use crate::error::DataError;
use crate::open::Utf8OrWindows;
use crate::unreadable::unreadable;

/// Reads lines without their ends and without a byte order mark, and makes sure that they are text.
pub(super) struct Lines<'a> {
    path: &'a Path,
    source: Unpacked,
    /// The current line.
    line: String,
    /// Its number, from 1.
    number: usize,
    /// Lines that were looked at ahead of time.
    ahead: VecDeque<String>,
    /// Lines and bytes that were read from the source.
    read: (usize, u64),
    encoding: Utf8OrWindows,
}

impl<'a> Lines<'a> {
    /// The longest line. Where there are no lines, this bounds the memory.
    pub(super) const LONGEST: usize = 64 << 20;

    pub(super) fn new(path: &'a Path, source: Unpacked) -> Lines<'a> {
        Lines {
            path,
            source,
            line: String::new(),
            number: 0,
            ahead: VecDeque::new(),
            read: (0, 0),
            encoding: Utf8OrWindows::default(),
        }
    }

    /// The number of the line that [`Lines::next`] gave last.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// What is to be said of how the lines are encoded.
    pub(super) fn note(&self) -> Option<String> {
        self.encoding.note(self.path)
    }

    /// The next line, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<&str>, DataError> {
        let buffer = std::mem::take(&mut self.line);
        let next = match self.ahead.pop_front() {
            Some(line) => Some(line),
            None => self.read(buffer)?,
        };
        Ok(match next {
            Some(line) => {
                self.number += 1;
                self.line = line;
                Some(&self.line)
            }
            None => None,
        })
    }

    /// The lines up to the second that is not blank, without taking them: enough to tell what the file is.
    pub(super) fn head(&mut self) -> Result<String, DataError> {
        let mut head = String::new();
        let mut with_text = 0;
        while with_text < 2
            && let Some(line) = self.read(String::new())?
        {
            with_text += usize::from(!line.trim().is_empty());
            head.push_str(&line);
            head.push('\n');
            self.ahead.push_back(line);
        }
        Ok(head)
    }

    /// Reads a line into `buffer`, whose content does not matter.
    fn read(&mut self, buffer: String) -> Result<Option<String>, DataError> {
        let mut bytes = buffer.into_bytes();
        bytes.clear();
        let mut limited = (&mut self.source.reader).take(Lines::LONGEST as u64 + 1);
        let length = limited.read_until(b'\n', &mut bytes).map_err(|error| self.failed(error))?;
        if length == 0 {
            return Ok(None);
        }
        let (line, offset) = (self.read.0 + 1, self.read.1);
        self.read = (line, offset + length as u64);
        let path = self.path;
        if let Some(place) = bytes.iter().position(|&byte| byte == 0) {
            return Err(DataError::Binary { path: path.into(), line, offset: offset + place as u64 });
        }
        if length > Lines::LONGEST {
            return Err(DataError::LineTooLong { path: path.into(), line, limit: Lines::LONGEST });
        }
        while bytes.pop_if(|&mut last| last == b'\n' || last == b'\r').is_some() {}
        let mut text = self.encoding.line(line, bytes).map_err(|bytes| {
            let place = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
            let place = std::str::from_utf8(&bytes).err().map_or(place, |error| error.valid_up_to());
            self.not_utf8(line, offset + place as u64, bytes[place])
        })?;
        if offset == 0 && text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(Some(text))
    }

    /// Text in another encoding, or no text at all if zeros follow.
    fn not_utf8(&mut self, line: usize, offset: u64, byte: u8) -> DataError {
        let path = self.path.into();
        match self.source.reader.fill_buf() {
            Ok(ahead) if ahead.contains(&0) => DataError::Binary { path, line, offset },
            _ => DataError::NotUtf8 { path, line, offset: offset as usize, byte },
        }
    }

    fn failed(&self, source: std::io::Error) -> DataError {
        match self.source.compression {
            Some(compression) => DataError::BrokenCompression { path: self.path.into(), compression, source },
            None => unreadable(self.path, source),
        }
    }
}
