//! The rules of the house that no compiler checks: which way dependencies point, where a family may be named, and how long
//! a file and a function may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use topwork_models::FAMILIES;

use crate::rust::{Piece, Token, functions, tokens, without_tests};

/// Our crates, each before those that may use it, as ARCHITECTURE.md draws them.
const ORDER: [&str; 7] =
    ["topwork-engine", "topwork-data", "topwork-metrics", "topwork-models", "topwork", "topwork-report", "topwork-cli"];

/// The folder in which families are named.
const FAMILIES_FOLDER: &str = "topwork-models/src/families/";

/// Where else a family may be named: the file, from `crates` on, and why.
const NAMED_FAMILIES: [(&str, &str); 6] = [
    ("topwork-data/src/word_pieces.rs", "the name of another crate's way to part words, of no model"),
    ("topwork-models/src/tokenizer/scheme.rs", "types in the format of tokenizer.json"),
    ("topwork-models/src/tokenizer/train.rs", "the class that transformers reads such a tokenizer with"),
    ("topwork-models/src/tokenizer/word_piece_normalizer.rs", "a type of the library of tokenizers"),
    ("topwork-models/src/error.rs", "what users are advised to take instead"),
    ("topwork-cli/src/arguments.rs", "ids of the hub in examples"),
];

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 100;

/// Functions that may be longer: the file, from the root on, the name, and why.
const LONG_FUNCTIONS: [(&str, &str, &str); 3] = [
    ("crates/topwork-engine/src/ops/conformance.rs", "cases", "a table: a case for each operation"),
    ("crates/topwork/src/plan/resolve.rs", "resolve", "a table: a field of the plan for each option"),
    ("crates/topwork/src/pretrain/resolve.rs", "resolve", "a table: a field of the plan for each option"),
];

/// A file: its path from the root on, and its text.
type Source = (String, String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below a folder of the repository, in order.
fn sources(folder: &str) -> Vec<Source> {
    let mut folders = vec![folder.to_string()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.ends_with(".rs") {
                found.push((path, fs::read_to_string(entry.path()).expect("a text")));
            }
        }
    }
    found.sort();
    found
}

/// The files of a crate's `src`, by their path from there on, without their tests.
fn program(files: &[Source]) -> Vec<(String, Vec<Token>)> {
    let mut kept = Vec::new();
    let mut tests = Vec::new();
    for (path, text) in files {
        let (tokens, modules) = without_tests(tokens(text));
        let folder = module_path(path).join("/");
        tests.extend(modules.iter().map(|module| format!("{folder}/{module}").trim_start_matches('/').to_string()));
        kept.push((path.clone(), tokens));
    }
    kept.retain(|(path, _)| {
        let module = module_path(path).join("/");
        !tests.iter().any(|test| module == *test || module.starts_with(&format!("{test}/")))
    });
    kept
}

/// The module that a file below `src` is; none of the words for the root.
fn module_path(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if matches!(parts.last(), Some(&"mod")) || matches!(parts[..], ["lib" | "main"]) {
        parts.pop();
    }
    parts
}

/// The paths that begin at the root of the crate, in the module `own`: their first words after `crate`, and their lines.
fn paths_from_root(tokens: &[Token], own: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let is_path =
        |at: usize| tokens.get(at).is_some_and(|t| t.is(':')) && tokens.get(at + 1).is_some_and(|t| t.is(':'));
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        at += 1;
        let before = start.checked_sub(1).map(|before| &tokens[before]);
        if before.is_some_and(|token| token.is(':')) || !is_path(start + 1) {
            continue;
        }
        // `crate::`, or as many `super::` as the module is deep.
        let mut behind = start + 3;
        match tokens[start].word() {
            Some("crate") => {}
            Some("super") => {
                let mut depth = 1;
                while tokens.get(behind).and_then(Token::word) == Some("super") && is_path(behind + 1) {
                    behind += 3;
                    depth += 1;
                }
                if depth != own.len() {
                    continue;
                }
            }
            _ => continue,
        }
        at = behind;
        let Some(first) = tokens.get(behind) else { continue };
        if let Some(word) = first.word() {
            found.push((word.to_string(), first.line));
        } else if first.is('{') {
            let mut depth = 0_usize;
            for (place, token) in tokens.iter().enumerate().skip(behind) {
                let opens = depth == 1 && (tokens[place - 1].is('{') || tokens[place - 1].is(','));
                match (&token.piece, opens) {
                    (Piece::Word(word), true) => found.push((word.clone(), token.line)),
                    (Piece::Sign('{'), _) => depth += 1,
                    (Piece::Sign('}'), _) => {
                        depth -= 1;
                        if depth == 0 {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

/// Which top-level modules of a crate use which, each with one place that does; a folder or a file is one.
fn arrows(files: &[Source]) -> BTreeMap<String, BTreeMap<String, String>> {
    let program = program(files);
    let modules: BTreeSet<String> =
        program.iter().filter_map(|(path, _)| module_path(path).first().map(ToString::to_string)).collect();
    // What the root gives on under its own name.
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, tokens) in program.iter().filter(|(path, _)| module_path(path).is_empty()) {
        for statement in tokens.split(|token| token.is(';')) {
            let mut words = statement.iter().filter_map(Token::word).skip_while(|word| *word != "use").skip(1);
            if let Some(module) = words.next() {
                words.for_each(|word| _ = given.insert(word, module));
            }
        }
    }
    let mut arrows: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (path, tokens) in &program {
        let own = module_path(path);
        let Some(from) = own.first() else { continue };
        for (word, line) in paths_from_root(tokens, &own) {
            let to = if modules.contains(&word) {
                word.as_str()
            } else {
                given.get(word.as_str()).copied().unwrap_or(&word)
            };
            if to != *from {
                arrows.entry(from.to_string()).or_default().entry(to.to_string()).or_insert(format!("{path}:{line}"));
            }
        }
    }
    arrows
}

/// Groups of modules each of which leads to every other, and the arrows between them.
fn circles(files: &[Source]) -> Vec<String> {
    let arrows = arrows(files);
    let reach = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_string()]);
        while let Some(module) = open.pop() {
            for to in arrows.get(&module).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|module| (module, reach(module))).collect();
    let mut found = Vec::new();
    for (from, targets) in &arrows {
        for (to, place) in targets {
            if reached.get(to).is_some_and(|back| back.contains(from)) {
                found.push(format!("{from} -> {to} ({place})"));
            }
        }
    }
    found
}

/// The words of a name or a text, in lower case: parted at signs and at humps.
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut words = vec![String::new()];
    for (at, c) in characters.iter().enumerate() {
        let (before, next) = (at.checked_sub(1).map(|at| characters[at]), characters.get(at + 1));
        let is_hump = c.is_uppercase()
            && before.is_some_and(|b| b.is_lowercase() || b.is_uppercase() && next.is_some_and(|n| n.is_lowercase()));
        if is_hump || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The family that a name or a text names.
fn family_in(text: &str) -> Option<&'static str> {
    let words = words(text);
    let mut families = FAMILIES.iter().flat_map(|family| family.model_types);
    let named = families.find(|family| {
        let family = family.replace(['-', '_'], "");
        (0..words.len()).any(|from| (from + 1..=words.len().min(from + 4)).any(|to| words[from..to].concat() == family))
    });
    named.copied()
}

/// The places of a crate's program that name a family.
fn named_families(files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, tokens) in program(files) {
        for token in tokens {
            if let Piece::Word(text) | Piece::Text(text) = &token.piece
                && let Some(family) = family_in(text)
            {
                found.push(format!("{path}:{}: {family} in {text:.60}", token.line));
            }
        }
    }
    found
}

fn long_files(files: &[Source]) -> Vec<String> {
    let lengths = files.iter().map(|(path, text)| (path, text.lines().count()));
    lengths.filter(|(_, lines)| *lines > LONGEST_FILE).map(|(path, lines)| format!("{path}: {lines} lines")).collect()
}

fn long_functions(files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (name, first, last) in functions(&tokens(text)) {
            if last + 1 - first > LONGEST_FUNCTION {
                found.push(format!("{path}:{first}: {name}: {} lines", last + 1 - first));
            }
        }
    }
    found
}

/// The files of a crate by their paths below `src`.
fn crate_sources(name: &str) -> Vec<Source> {
    let folder = if name == "xtask" { "xtask/src".to_string() } else { format!("crates/{name}/src") };
    let strip = |path: String| path[folder.len() + 1..].to_string();
    sources(&folder).into_iter().map(|(path, text)| (strip(path), text)).collect()
}

#[track_caller]
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// One file for each pair of path and text.
fn planted(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
}

/// Arrows between our crates point downwards, as ARCHITECTURE.md draws them.
#[test]
fn crates_depend_downwards_only() {
    for (place, name) in ORDER.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).expect("a manifest");
        let (_, dependencies) = manifest.split_once("[dependencies]").expect("dependencies");
        for other in &ORDER[place..] {
            let depends = dependencies.lines().any(|line| line.starts_with(&format!("{other}.workspace")));
            assert!(!depends, "{name} depends on {other}");
        }
    }
    let crates = fs::read_dir(root().join("crates")).expect("crates").count();
    assert_eq!(crates, ORDER.len(), "a crate without a place in the order");
}

#[test]
fn modules_of_a_crate_depend_in_no_circle() {
    let found: Vec<String> = ORDER
        .iter()
        .chain(&["xtask"])
        .flat_map(|name| circles(&crate_sources(name)).into_iter().map(move |circle| format!("{name}: {circle}")))
        .collect();
    assert_none("modules that lead back to themselves", &found);
}

#[test]
fn a_planted_circle_is_found() {
    let straight = [("lib.rs", "mod a; mod b; mod c; pub use a::{A, a as first};"), ("a.rs", "pub struct A;")];
    let with = |rest: &[(&str, &str)]| circles(&planted(&[&straight[..], rest].concat()));
    assert!(
        with(&[("b/mod.rs", "mod d; use crate::a::A;"), ("b/d.rs", "use super::super::a; fn b() { crate::A }")])
            .is_empty()
    );
    assert!(
        with(&[("b.rs", "// crate::c\n#[cfg(test)] mod tests { use crate::c::C; }"), ("c.rs", "use crate::b;")])
            .is_empty()
    );
    for (b, c) in [
        ("use crate::c::C;", "use crate::{a::A, b::{B, a}};"),
        ("fn f() -> crate::c::C", "use super::b;"),
        ("use crate::{b::x, c};", "fn f() { crate::b::g() }"),
    ] {
        let found = with(&[("b/d.rs", b), ("c.rs", c)]);
        assert_eq!(found, ["b -> c (b/d.rs:1)", "c -> b (c.rs:1)"], "{b} {c}");
    }
    // Through what the root gives on, over three modules.
    let long =
        [("lib.rs", "pub use b::B;"), ("a.rs", "use crate::B;"), ("b.rs", "use crate::c;"), ("c.rs", "use crate::a;")];
    assert_eq!(circles(&planted(&long)).len(), 3);
}

#[test]
fn families_are_named_in_their_folder_only() {
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for name in ORDER {
        for place in named_families(&crate_sources(name)) {
            let place = format!("{name}/src/{place}");
            match NAMED_FAMILIES.iter().find(|(file, _)| place.starts_with(&format!("{file}:"))) {
                Some((file, _)) => _ = used.insert(file),
                None if place.starts_with(FAMILIES_FOLDER) => {}
                None => found.push(place),
            }
        }
    }
    assert_none("families that are named elsewhere", &found);
    assert_eq!(used.len(), NAMED_FAMILIES.len(), "an exception that is none any more: only {used:?} are");
}

#[test]
fn a_planted_family_is_found() {
    for text in [
        "fn of_bert() {}",
        "struct BertConfig;",
        "x == \"distilbert\"",
        "XLMRobertaX",
        "\"as RoBERTa does\"",
        "a_xlm_roberta",
    ] {
        assert_eq!(named_families(&planted(&[("a.rs", text)])).len(), 1, "{text}");
    }
    for text in [
        "// bert",
        "#[cfg(test)] mod tests { const A: &str = \"bert\"; }",
        "libertine",
        "Hubert",
        "/// BERT\nfn a() {}",
    ] {
        assert_none(text, &named_families(&planted(&[("a.rs", text)])));
    }
    assert_none(
        "a file of tests",
        &named_families(&planted(&[("a/mod.rs", "#[cfg(test)] mod b;"), ("a/b.rs", "bert")])),
    );
}

#[test]
fn files_are_short() {
    let files = [sources("crates"), sources("xtask")].concat();
    assert_none("files that are too long", &long_files(&files));
}

#[test]
fn a_planted_long_file_is_found() {
    let text = "\n".repeat(LONGEST_FILE);
    assert_none("a file as long as may be", &long_files(&planted(&[("a.rs", &text)])));
    assert_eq!(long_files(&planted(&[("a.rs", &format!("{text}\n"))])), ["a.rs: 601 lines"]);
}

#[test]
fn functions_are_short() {
    let files = [sources("crates"), sources("xtask")].concat();
    let (known, found): (Vec<String>, Vec<String>) = long_functions(&files).into_iter().partition(|found| {
        LONG_FUNCTIONS.iter().any(|(file, name, _)| found.starts_with(file) && found.contains(&format!(": {name}:")))
    });
    assert_none("functions that are too long", &found);
    assert_eq!(known.len(), LONG_FUNCTIONS.len(), "an exception that is none any more: only {known:?} are");
}

#[test]
fn a_planted_long_function_is_found() {
    let body = |lines: usize| format!("\n/// A doc.\nfn a<T>(b: [u8; 2]) {{{}}}", "\n".repeat(lines - 1));
    assert_none("a function as long as may be", &long_functions(&planted(&[("a.rs", &body(LONGEST_FUNCTION))])));
    assert_eq!(long_functions(&planted(&[("a.rs", &body(LONGEST_FUNCTION + 1))])), ["a.rs:3: a: 101 lines"]);
}
