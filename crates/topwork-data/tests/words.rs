//! Laws of reading words: lists in JSON, a word a line in CoNLL files, rows from memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{read, read_columns, says};
use topwork_data::{
    ColumnNames, Columns, DataError, Dataset, Example, Format, Label, Labels, TargetKind, TargetSpace, split_words,
};

fn words(dataset: &Dataset, row: usize) -> Vec<&str> {
    dataset.examples[row].words().collect()
}

fn tags(dataset: &Dataset, row: usize) -> &[String] {
    dataset.examples[row].label.as_ref().unwrap().values()
}

const CONLL: &str =
    "-DOCSTART- -X- O\n\n# sent_id = 1\nAda NNP B-PER\nwrote VBD O\n. . O\n\n\n# NN O\nLondon NNP B-LOC\n";

#[test]
fn a_conll_file_gives_the_words_and_tags_of_its_sentences() {
    for name in ["a.conll", "a.bio", "a.txt", "no-ending"] {
        let dataset = read(name, CONLL);
        assert_eq!(dataset.format, Format::Conll, "{name}");
        assert_eq!(dataset.examples.len(), 2, "{name}");
        assert_eq!(dataset.examples[0].text, "Ada wrote .");
        assert_eq!((words(&dataset, 0), words(&dataset, 1)), (vec!["Ada", "wrote", "."], vec!["#", "London"]));
        assert_eq!(tags(&dataset, 0), ["B-PER", "O", "O"]);
        assert_eq!(dataset.examples.iter().map(|row| row.line).collect::<Vec<_>>(), [4, 9]);
    }
    let brace = read("a.conll", "{ O\n} O\n\na B-X\n");
    assert_eq!((brace.format, words(&brace, 0)), (Format::Conll, vec!["{", "}"]));
    let tabs = read("a.tsv", "New York\tB-LOC\nis\tO\n");
    assert_eq!((tabs.format, words(&tabs, 0)), (Format::Conll, vec!["New York", "is"]));
    let chinese = read("a.txt", "\u{738b} B-NAME\n\u{5c0f} M-NAME\n\u{660e} E-NAME\n\u{4eba} O\n");
    assert_eq!((chinese.format, tags(&chinese, 0)[1].as_str()), (Format::Conll, "M-NAME"));
    let parts_of_speech = read_columns("a.conll", CONLL, &["2"]).unwrap();
    assert_eq!(tags(&parts_of_speech, 0), ["NNP", "VBD", "."]);
}

const GERMEVAL: &str = "#\thttp://example.org [2009-10-17]\n1\tTroia\tB-LOC\tO\n2\tist\tO\tO\n\n#\tsource\n1\tVon\tO\tB-PER\n2\tAda\tB-PER\tO\n";

const UNIVERSAL: &str = "# sent_id = 1\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\tde\tADP\tE\t_\t2\tcase\t_\t_\n\
    2\tle\tle\tDET\tD\t_\t0\tdet\t_\tSpaceAfter=No\n2.1\tgone\tgo\tVERB\t_\t_\t_\t_\t_\t_\n\
    3\t#\t#\tSYM\tS\t_\t0\tdet\t_\t_\n\n1\tOui\toui\tINTJ\tI\t_\t0\troot\t_\t_\n";

fn with_text(name: &str, content: &str, text: &str, labels: &[&str]) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let labels = labels.iter().map(|name| name.to_string()).collect();
    Dataset::read(&path, &ColumnNames { text: Some(text.into()), labels, ..ColumnNames::default() }, Labels::Required)
}

#[test]
fn a_column_that_counts_or_never_changes_is_no_word() {
    for name in ["de.tsv", "de.conll"] {
        let dataset = read_columns(name, GERMEVAL, &["3"]).unwrap();
        assert_eq!((words(&dataset, 0), words(&dataset, 1)), (vec!["Troia", "ist"], vec!["Von", "Ada"]), "{name}");
        assert_eq!(
            (tags(&dataset, 0), dataset.ignored_columns.join(",")),
            (&["B-LOC".into(), "O".into()][..], "1,4".into())
        );
    }
    assert_eq!(tags(&read("de.conll", GERMEVAL), 1), ["B-PER", "O"], "the last column is the tag");
    let lines: String = (0..6).map(|n| format!("bc/a 0 0 w{n} NN X\nbc/a 0 1 v{n} VB Y\n\n")).collect();
    let next = lines.replace("bc/a 0", "bc/b 1");
    let documents = format!("#begin document (a)\n{lines}#end document\n#begin document (b)\n{next}#end document\n");
    let dataset = read("x.v4_gold_conll", &documents);
    assert_eq!((dataset.examples.len(), words(&dataset, 11)), (12, vec!["w5", "v5"]));
    assert_eq!(words(&read("a.conll", "ha A O\nha B X\n"), 0), ["ha", "ha"], "in few words by chance");
    assert_eq!(words(&read("a.conll", "1 O\n2 O\n"), 0), ["1", "2"], "there is no other column");
}

#[test]
fn a_number_names_the_column_of_words() {
    let dataset = with_text("a.conll", "Ada NNP B-PER\nwrote VBD O\n", "2", &["1"]).unwrap();
    assert_eq!((words(&dataset, 0), tags(&dataset, 0)), (vec!["NNP", "VBD"], &["Ada".into(), "wrote".into()][..]));
    assert_eq!((dataset.columns.text.as_str(), dataset.ignored_columns.join(",")), ("2", "3".into()));
    let counted = with_text("a.conll", GERMEVAL, "1", &[]).unwrap();
    assert_eq!(words(&counted, 0), ["1", "2"], "whoever says so has it so");
    let other = with_text("a.conll", "Ada NNP B-PER\n", "tokens", &["tags"]).unwrap();
    assert_eq!(words(&other, 0), ["Ada"], "the names of a training file in JSON do no harm");
    let error = says(with_text("a.conll", "Ada O\n", "3", &[]), &["a.conll", "`3`", "`1`, `2`"]);
    assert!(error.hint().unwrap().contains("--text-column"));
    says(with_text("a.conll", "Ada O\n", "2", &[]), &["a.conll", "`2` named twice"]);
    says(read_columns("a.conll", "Ada O\n", &["1"]), &["a.conll", "`1`", "found `2`"]);
}

#[test]
fn universal_dependencies_have_forms_and_parts_of_speech() {
    for name in ["fr.conllu", "fr.conllx", "fr.conll"] {
        let dataset = read(name, UNIVERSAL);
        assert_eq!((words(&dataset, 0), words(&dataset, 1)), (vec!["de", "le", "#"], vec!["Oui"]), "{name}");
        assert_eq!(tags(&dataset, 0), ["ADP", "DET", "SYM"]);
        assert_eq!(dataset.columns.label_names(), "upos");
        assert_eq!(dataset.ignored_columns.join(","), "id,lemma,xpos,feats,head,deprel,deps,misc");
    }
    for (label, expected) in [("xpos", "E"), ("5", "E"), ("deprel", "case"), ("tags", "ADP"), ("pos", "ADP")] {
        assert_eq!(tags(&read_columns("fr.conllu", UNIVERSAL, &[label]).unwrap(), 0)[0], expected, "{label}");
    }
    assert_eq!(words(&with_text("fr.conllu", UNIVERSAL, "lemma", &[]).unwrap(), 1), ["oui"]);
    let space = TargetSpace::from_names(TargetKind::TokenTags, ["ADP", "DET", "INTJ"].map(String::from).to_vec());
    let error = space.unwrap().encode(&read("fr.conllu", UNIVERSAL));
    says(error, &["fr.conllu: line 6: token 3 (`#`)", "`SYM`"]);
    says(read_columns("fr.conllu", UNIVERSAL, &["ner2"]), &["`ner2`", "`upos`"]);
}

#[test]
fn words_in_json_are_found_by_their_usual_names() {
    let row = |words: &str, tags: &str| format!("{{\"id\": 1, {words}: [\"a\", \"b c\"], {tags}: [0, \"O\"]}}\n");
    for (name, tag) in [("\"tokens\"", "\"ner_tags\""), ("\"words\"", "\"tags\""), ("\"tokens\"", "\"pos_tags\"")] {
        let dataset = read("a.jsonl", &row(name, tag));
        assert_eq!((words(&dataset, 0), dataset.examples[0].text.as_str()), (vec!["a", "b c"], "a b c"));
        assert_eq!(tags(&dataset, 0), ["0", "O"]);
        assert_eq!(dataset.columns.label_names(), tag.trim_matches('"'));
        assert_eq!(dataset.ignored_columns, ["id"]);
    }
}

#[test]
fn a_text_beside_words_stays_a_text() {
    let json = "{\"text\": \"a b\", \"tokens\": [\"a\", \"b\"], \"label\": \"x\"}\n";
    let dataset = read("a.jsonl", json);
    assert_eq!((dataset.has_words(), dataset.examples[0].label_text()), (false, Some("x")));
    let tagged = read("a.jsonl", "{\"text\": \"a b\", \"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\", \"B-X\"]}\n");
    assert!(tagged.has_words(), "where only the words have labels, they are read");
}

#[test]
fn broken_words_are_errors_with_their_place() {
    let json = |rows: &str| read_columns("a.jsonl", rows, &[]);
    let good = "{\"tokens\": [\"a\"], \"tags\": [\"O\"]}\n";
    says(
        json(&format!("{good}{{\"tokens\": [], \"tags\": []}}")),
        &["a.jsonl", "line 2", "`tokens`", "empty sentence"],
    );
    says(json(&format!("{good}{{\"tokens\": [3], \"tags\": [\"O\"]}}")), &["line 2", "list of strings", "a number"]);
    says(json(&format!("{good}{{\"tokens\": \"a\", \"tags\": [\"O\"]}}")), &["line 2", "list of strings", "a string"]);
    says(json(&format!("{good}{{\"tokens\": [\"a\"], \"tags\": [[1]]}}")), &["line 2", "`tags`", "a list in the list"]);
    says(json("{\"tokens\": [\"a\"]}"), &["a.jsonl", "`ner_tags`", "`tokens`"]);
    let conll = |text: &str| read_columns("a.conll", text, &[]);
    says(conll("a X O\nb O\n"), &["a.conll", "line 2", "3 columns", "found 2"]);
    says(conll("a\nb\n"), &["a.conll", "line 1", "2 columns", "found 1"]);
    let error = says(read_columns("a.conll", "a X O\n", &["upos2"]), &["a.conll", "`upos2`", "`2`", "`3`"]);
    assert!(error.hint().unwrap().contains("--label-column 3"));
}

#[test]
fn words_need_no_tags_where_labels_are_optional() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.conll");
    std::fs::write(&path, "one\ntwo\n\nthree\n").unwrap();
    let dataset = Dataset::read(&path, &ColumnNames::default(), Labels::Optional).unwrap();
    assert_eq!((words(&dataset, 0), dataset.examples[0].label.clone()), (vec!["one", "two"], None));
    std::fs::write(&path, "1\tone\n2\ttwo\n\n1\tthree\n").unwrap();
    let dataset = Dataset::read(&path, &ColumnNames::default(), Labels::Optional).unwrap();
    assert_eq!((words(&dataset, 0), dataset.examples[0].label.clone()), (vec!["one", "two"], None));
}

#[test]
fn several_label_columns_are_a_list_in_their_order() {
    let csv = "text,b,a,other\nx,1,0,y\nz,,1,y\nw,,,y\n";
    for names in [&["a,b"][..], &["a", "b"]] {
        let dataset = read_columns("a.csv", csv, names).unwrap();
        assert_eq!(dataset.columns.labels, ["a", "b"]);
        let label = |row: usize| dataset.examples[row].label.clone();
        assert_eq!(label(0), Some(Label::List(vec!["0".into(), "1".into()])));
        assert_eq!(label(1), Some(Label::List(vec!["1".into(), "".into()])));
        assert_eq!((label(2), dataset.ignored_columns.clone()), (None, vec!["other".to_string()]));
    }
    let comma = read_columns("a.csv", "text,\"a,b\"\nx,1\n", &["a,b"]).unwrap();
    assert_eq!(comma.columns.labels, ["a,b"], "a column whose name has a comma is one column");
    says(read_columns("a.csv", csv, &["a,c"]), &["a.csv", "`c`", "`other`"]);
    says(read_columns("a.csv", csv, &["a,a"]), &["a.csv", "`a` named twice"]);
}

#[test]
fn a_pair_without_its_second_text_is_an_error() {
    says(read_columns("a.csv", "text_a,text_b,label\nx,y,1\nx,,0\n", &[]), &["a.csv", "line 3", "`text_b`", "nothing"]);
    let good = "{\"text_a\": \"x\", \"text_b\": \"y\", \"label\": 1}\n";
    for (bad, found) in [("", "no such field"), (", \"text_b\": null", "null"), (", \"text_b\": \"\"", "nothing")] {
        let rows = format!("{good}{{\"text_a\": \"x\", \"label\": 0{bad}}}\n");
        says(read_columns("a.jsonl", &rows, &[]), &["line 2", "`text_b`", "second text of the pair", found]);
    }
}

#[test]
fn rows_from_memory_are_as_good_as_a_file() {
    let columns = Columns { text: "tokens".into(), text_pair: None, labels: vec!["tags".into()] };
    let row = |words: &[&str], tags: &[&str]| Example {
        label: Some(Label::List(tags.iter().map(|tag| tag.to_string()).collect())),
        ..Example::from_words(words)
    };
    let rows = vec![row(&["Ada", "wrote"], &["B-PER", "O"]), row(&["so"], &["O"])];
    let dataset = Dataset::from_rows("rows", columns.clone(), rows.clone()).unwrap();
    assert_eq!(dataset.examples.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((words(&dataset, 0), dataset.sha256.len()), (vec!["Ada", "wrote"], 64));
    let mut other = rows.clone();
    other[1].label = Some(Label::List(vec!["B-PER".into()]));
    assert_ne!(Dataset::from_rows("rows", columns.clone(), other).unwrap().sha256, dataset.sha256);
    says(Dataset::from_rows("rows", columns.clone(), vec![]), &["rows", "at least one row"]);
    let mut plain = rows.clone();
    plain.push(Example::from_text("plain"));
    says(Dataset::from_rows("rows", columns.clone(), plain), &["rows: row 3", "list of words", "none"]);
    let mut outside = rows;
    outside[0].words[1] = 4..99;
    says(Dataset::from_rows("rows", columns, outside), &["rows: row 1", "within the text", "bytes 4 to 99 of 9"]);
}

#[test]
fn plain_texts_are_parted_into_words_and_punctuation() {
    let text = "Ada's  «engine», née 1843!?";
    let found: Vec<&str> = split_words(text).into_iter().map(|word| &text[word]).collect();
    assert_eq!(found, ["Ada", "'", "s", "«", "engine", "»", ",", "née", "1843", "!", "?"]);
    assert!(split_words(" \t\n").is_empty() && split_words("").is_empty());
}
