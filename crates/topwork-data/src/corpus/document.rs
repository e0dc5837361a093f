//! Lines and rows become documents.

use crate::error::DataError;

/// What ends a document of a text file, besides the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// A line of white space alone.
    BlankLine,
    /// The end of every line.
    Line,
}

/// Gathers lines and hands on whole documents.
pub(super) struct Assembler<'a> {
    boundary: Boundary,
    text: String,
    /// Lines of white space alone that ended nothing, and rows without text.
    pub(super) empty_lines: u64,
    each: &'a mut dyn FnMut(String) -> Result<(), DataError>,
}

impl<'a> Assembler<'a> {
    /// A document that grows beyond this is parted, so that memory stays bounded whatever the file.
    const LARGEST: usize = 16 << 20;

    pub(super) fn new(boundary: Boundary, each: &'a mut dyn FnMut(String) -> Result<(), DataError>) -> Assembler<'a> {
        Assembler { boundary, text: String::new(), empty_lines: 0, each }
    }

    /// A line of a text file.
    pub(super) fn line(&mut self, line: &str) -> Result<(), DataError> {
        if self.push(line)? {
            return if self.boundary == Boundary::Line { self.end() } else { Ok(()) };
        }
        if self.text.is_empty() {
            self.empty_lines += 1;
        }
        self.end()
    }

    /// A row: a document of its own, whatever lines it has.
    pub(super) fn row(&mut self, text: &str) -> Result<(), DataError> {
        if text.trim().is_empty() {
            self.empty_lines += 1;
            return Ok(());
        }
        for line in text.lines() {
            if !self.push(line)? {
                self.empty_lines += 1;
            }
        }
        self.end()
    }

    /// The document ends here, if there is one.
    pub(super) fn end(&mut self) -> Result<(), DataError> {
        if self.text.is_empty() { Ok(()) } else { (self.each)(std::mem::take(&mut self.text)) }
    }

    /// Adds a line; false if there is nothing on it.
    fn push(&mut self, line: &str) -> Result<bool, DataError> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(false);
        }
        if self.text.len() + line.len() > Assembler::LARGEST {
            self.end()?;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(boundary: Boundary, read: impl FnOnce(&mut Assembler<'_>)) -> (Vec<String>, u64) {
        let mut documents = Vec::new();
        let mut each = |text| {
            documents.push(text);
            Ok(())
        };
        let mut assembler = Assembler::new(boundary, &mut each);
        read(&mut assembler);
        assembler.end().unwrap();
        let empty_lines = assembler.empty_lines;
        (documents, empty_lines)
    }

    #[test]
    fn blank_lines_that_end_nothing_are_counted() {
        let lines = ["", " \t", "a ", "b", "", "", "c"];
        let read = |assembler: &mut Assembler<'_>| lines.iter().for_each(|line| assembler.line(line).unwrap());
        assert_eq!(documents(Boundary::BlankLine, read), (vec!["a\nb".into(), "c".into()], 3));
        assert_eq!(documents(Boundary::Line, read), (vec!["a".into(), "b".into(), "c".into()], 4));
    }

    #[test]
    fn a_row_is_one_document() {
        let rows = ["a\n\n b\r\nc", "", " \n "];
        let read = |assembler: &mut Assembler<'_>| rows.iter().for_each(|row| assembler.row(row).unwrap());
        assert_eq!(documents(Boundary::BlankLine, read), (vec!["a\nb\nc".into()], 3));
    }

    #[test]
    fn a_document_without_end_is_parted_at_a_line() {
        let line = "x".repeat(Assembler::LARGEST / 3 + 1);
        let read = |assembler: &mut Assembler<'_>| (0..4).for_each(|_| assembler.line(&line).unwrap());
        let (documents, _) = documents(Boundary::BlankLine, read);
        assert_eq!(documents.iter().map(|text| text.lines().count()).collect::<Vec<_>>(), [2, 2]);
    }
}
