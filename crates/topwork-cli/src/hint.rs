//! Hints as they are printed: pasted behind the command that failed, or alone, they never break the shell.

/// What a hint that is a command begins with.
const PROGRAMS: [&str; 20] = [
    "7z", "bzip2", "cp", "df", "git", "gzip", "hf", "iconv", "ls", "mkdir", "mv", "pip", "python3", "rm", "topwork",
    "unrar", "unzip", "xz", "zstd", "export",
];

/// A hint as it is printed. Options and commands stay as they are. Of words, what a shell takes for more than words is written otherwise.
pub(crate) fn printed(hint: &str) -> String {
    let first = hint.split_whitespace().next().unwrap_or_default();
    if first.starts_with("--") || PROGRAMS.contains(&first) {
        return hint.to_owned();
    }
    let mut is_open = false;
    let mut plain = String::with_capacity(hint.len());
    for letter in hint.chars() {
        match letter {
            '`' | '"' => {
                is_open = !is_open;
                plain.push('"');
            }
            // Between quotes the rest is harmless, but for these.
            '$' | '\\' => plain.push(' '),
            other if is_open => plain.push(other),
            '\'' => plain.push('’'),
            '(' => plain.push('['),
            ')' => plain.push(']'),
            ';' | '|' | '&' => plain.push(','),
            '<' | '>' => plain.push(' '),
            other => plain.push(other),
        }
    }
    if is_open {
        plain.push('"');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::printed;

    #[test]
    fn options_and_commands_stay_and_words_are_harmless() {
        for hint in ["--text-column 'a b'", "git lfs pull --include x", "gzip -dc a | iconv -f A -t B > c"] {
            assert_eq!(printed(hint), hint);
        }
        assert_eq!(printed("use `a` (or it's b); see $x"), "use \"a\" [or it’s b], see  x");
        assert_eq!(printed("write {\"text\": \"x; y\"} there"), "write {\"text\": \"x; y\"} there");
        assert_eq!(printed("one \" alone"), "one \" alone\"");
    }
}
