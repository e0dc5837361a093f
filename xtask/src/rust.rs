//! Rust as far as the house's tests read it: words, texts and signs, without comments.

use std::iter::Peekable;
use std::str::CharIndices;

/// A piece of Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A name, a keyword or a number.
    Word(String),
    /// What is between the quotes of a string.
    Text(String),
    /// Any other character; a lifetime's quote too.
    Sign(char),
}

/// A piece and the line where it begins, from 1 on.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) piece: Piece,
}

impl Token {
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.piece {
            Piece::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn is(&self, sign: char) -> bool {
        self.piece == Piece::Sign(sign)
    }
}

/// The pieces of a source text.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { source, rest: source.char_indices().peekable(), line: 1 };
    let mut tokens = Vec::new();
    while let Some((start, c)) = reader.next() {
        let line = reader.line;
        let piece = match c {
            '\n' => continue,
            '/' if reader.peek() == Some('/') => {
                reader.skip_while(|c| c != '\n');
                continue;
            }
            '/' if reader.peek() == Some('*') => {
                reader.skip_block_comment();
                continue;
            }
            '"' => Piece::Text(reader.text(0)),
            '\'' => match reader.quoted() {
                Some(text) => Piece::Text(text),
                None => Piece::Sign('\''),
            },
            _ if c == '_' || c.is_alphanumeric() => {
                reader.skip_while(|c| c == '_' || c.is_alphanumeric());
                let word = &source[start..reader.offset()];
                match (word, reader.peek()) {
                    ("r" | "br" | "cr", Some('"' | '#')) if reader.opens_raw() => Piece::Text(reader.raw_text()),
                    ("b" | "c", Some('"')) => {
                        reader.next();
                        Piece::Text(reader.text(0))
                    }
                    _ => Piece::Word(word.to_string()),
                }
            }
            _ if c.is_whitespace() => continue,
            _ => Piece::Sign(c),
        };
        tokens.push(Token { line, piece });
    }
    tokens
}

struct Reader<'a> {
    source: &'a str,
    rest: Peekable<CharIndices<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<(usize, char)> {
        let next = self.rest.next();
        self.line += usize::from(next.is_some_and(|(_, c)| c == '\n'));
        next
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn offset(&mut self) -> usize {
        self.rest.peek().map_or(self.source.len(), |(at, _)| *at)
    }

    fn skip_while(&mut self, holds: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&holds) {
            self.next();
        }
    }

    /// From the star on; such comments nest.
    fn skip_block_comment(&mut self) {
        self.next();
        let mut depth = 1;
        while depth > 0 {
            let Some((_, c)) = self.next() else { return };
            match (c, self.peek()) {
                ('/', Some('*')) => {
                    self.next();
                    depth += 1;
                }
                ('*', Some('/')) => {
                    self.next();
                    depth -= 1;
                }
                _ => {}
            }
        }
    }

    /// From behind the opening quote to behind the closing one, which `fences` follow; without them, a backslash escapes.
    fn text(&mut self, fences: usize) -> String {
        let start = self.offset();
        while let Some((at, c)) = self.next() {
            if c == '\\' && fences == 0 {
                self.next();
            } else if c == '"' {
                let behind = self.source[at + 1..].chars().take(fences).filter(|c| *c == '#').count();
                if behind == fences {
                    (0..fences).for_each(|_| _ = self.next());
                    return self.source[start..at].to_string();
                }
            }
        }
        self.source[start..].to_string()
    }

    fn opens_raw(&mut self) -> bool {
        let at = self.offset();
        self.source[at..].trim_start_matches('#').starts_with('"')
    }

    fn raw_text(&mut self) -> String {
        let mut fences = 0;
        while self.peek() == Some('#') {
            self.next();
            fences += 1;
        }
        self.next();
        match fences {
            // A raw text without fences ends at the first quote: nothing escapes it.
            0 => {
                let start = self.offset();
                self.skip_while(|c| c != '"');
                let text = self.source[start..self.offset()].to_string();
                self.next();
                text
            }
            _ => self.text(fences),
        }
    }

    /// A character in quotes; none for a lifetime, of which nothing is read.
    fn quoted(&mut self) -> Option<String> {
        let start = self.offset();
        let mut ahead = self.source[start..].char_indices();
        let (_, first) = ahead.next()?;
        let length = if first == '\\' {
            ahead.next()?;
            ahead.find(|(_, c)| *c == '\'')?.0
        } else {
            ahead.next().filter(|(_, c)| *c == '\'')?.0
        };
        while self.offset() <= start + length {
            self.next()?;
        }
        Some(self.source[start..start + length].to_string())
    }
}

/// The tokens outside of what `#[cfg(test)]` stands before, and the names of the modules in files of their own that it
/// stands before.
pub(crate) fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if !is_test_attribute(&tokens[at..]) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let end = item_end(&tokens, at);
        let item = &tokens[at..end];
        if item.last().is_some_and(|last| last.is(';')) {
            let place = item.iter().position(|token| token.word() == Some("mod"));
            modules.extend(place.and_then(|place| item.get(place + 1)?.word()).map(str::to_string));
        }
        at = end;
    }
    (kept, modules)
}

/// `#[cfg(test)]`, also beside other conditions.
fn is_test_attribute(tokens: &[Token]) -> bool {
    let [hash, bracket, cfg, rest @ ..] = tokens else { return false };
    hash.is('#')
        && bracket.is('[')
        && cfg.word() == Some("cfg")
        && rest.iter().take_while(|token| !token.is(']')).any(|token| token.word() == Some("test"))
        && !rest.iter().take_while(|token| !token.is(']')).any(|token| token.word() == Some("not"))
}

/// Behind the item that begins at `at`, with its attributes: behind its block, its semicolon, or a field's comma.
fn item_end(tokens: &[Token], at: usize) -> usize {
    const ITEMS: [&str; 9] = ["fn", "mod", "impl", "struct", "enum", "trait", "use", "const", "static"];
    let mut depth = 0_usize;
    let mut is_item = false;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.piece {
            Piece::Sign('(' | '[' | '{') => depth += 1,
            Piece::Sign(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.is('}') {
                    return place + 1;
                }
            }
            Piece::Sign(';') if depth == 0 => return place + 1,
            Piece::Sign(',') if depth == 0 && !is_item => return place + 1,
            _ => is_item |= token.word().is_some_and(|word| ITEMS.contains(&word)),
        }
    }
    tokens.len()
}

/// The functions of a file: name, first and last line.
pub(crate) fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        let (Some("fn"), Some(name)) = (keyword.word(), name.word()) else { continue };
        let mut depth = 0_usize;
        for token in &tokens[at..] {
            match token.piece {
                Piece::Sign(';') if depth == 0 => break,
                Piece::Sign('(' | '[' | '{') => depth += 1,
                Piece::Sign(')' | ']' | '}') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && token.is('}') {
                        found.push((name.to_string(), keyword.line, token.line));
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(source: &str) -> Vec<Piece> {
        tokens(source).into_iter().map(|token| token.piece).collect()
    }

    #[test]
    fn comments_are_left_out_and_texts_are_whole() {
        let word = |word: &str| Piece::Word(word.into());
        let text = |text: &str| Piece::Text(text.into());
        assert_eq!(pieces("a // b\n/* c /* d */ e */ f"), [word("a"), word("f")]);
        assert_eq!(
            pieces(r####"r#"x " y"# "a\"//b" b"c" r"d\" z"####),
            [text("x \" y"), text("a\\\"//b"), text("c"), text("d\\"), word("z")]
        );
        assert_eq!(
            pieces(r"'x' '\'' '\u{1}' &'a b"),
            [text("x"), text("\\'"), text("\\u{1}"), Piece::Sign('&'), Piece::Sign('\''), word("a"), word("b")]
        );
        assert_eq!(tokens("a\n\"b\n\"\nc").iter().map(|token| token.line).collect::<Vec<_>>(), [1, 2, 4]);
    }

    #[test]
    fn tests_are_left_out() {
        let source =
            "a #[cfg(test)] mod tests { fn b() { c } } d #[cfg(test)] #[path = \"x\"] mod e; f #[cfg(not(test))] g";
        let (kept, modules) = without_tests(tokens(source));
        let words: Vec<_> = kept.iter().filter_map(Token::word).collect();
        assert_eq!(words, ["a", "d", "f", "cfg", "not", "test", "g"]);
        assert_eq!(modules, ["e"]);
    }

    #[test]
    fn functions_have_their_lines() {
        let source = "trait A { fn none(&self);\nfn some(&self) -> [u8; 2]\n{ if x { y } }\n}";
        assert_eq!(functions(&tokens(source)), [("some".to_string(), 2, 3)]);
    }
}
