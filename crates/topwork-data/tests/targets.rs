//! Laws of targets: what tasks make of labels, and what they refuse.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{read, read_columns, says};
use topwork_data::{DataError, Dataset, Strata, Stream, TagScheme, TargetKind, TargetSpace, Targets, recognise};

fn learn(kind: TargetKind, dataset: &Dataset) -> Result<(TargetSpace, Targets), DataError> {
    let space = TargetSpace::from_training(kind, dataset)?;
    let targets = space.encode(dataset)?;
    Ok((space, targets))
}

fn labels(dataset: &Dataset) -> Result<(Vec<String>, Vec<Vec<bool>>), DataError> {
    let (space, targets) = learn(TargetKind::Labels, dataset)?;
    let Targets::Labels(matrix) = targets else { panic!("labels are asked for") };
    Ok((space.names().to_vec(), (0..matrix.rows()).map(|row| matrix.row(row).to_vec()).collect()))
}

fn values(dataset: &Dataset) -> Result<(Vec<String>, Vec<f64>), DataError> {
    let (space, targets) = learn(TargetKind::Value, dataset)?;
    let Targets::Values(matrix) = targets else { panic!("values are asked for") };
    Ok((space.names().to_vec(), matrix.values().to_vec()))
}

fn conll(sentences: &[&str]) -> Dataset {
    let sentence =
        |tags: &&str| tags.split(' ').enumerate().map(|(n, tag)| format!("w{n} {tag}\n")).collect::<String>();
    read("a.conll", &sentences.iter().map(sentence).collect::<Vec<_>>().join("\n"))
}

fn tags(dataset: &Dataset) -> Result<(TargetSpace, Vec<Vec<String>>), DataError> {
    let (space, targets) = learn(TargetKind::TokenTags, dataset)?;
    let Targets::Tags(tags) = targets else { panic!("tags are asked for") };
    let name = |&tag: &u32| space.names()[tag as usize].clone();
    let rows = (0..tags.rows()).map(|row| tags.row(row).iter().map(name).collect()).collect();
    Ok((space, rows))
}

const YES: bool = true;
const NO: bool = false;

#[test]
fn a_list_a_joined_text_and_columns_give_the_same_labels() {
    let list = "{\"text\": \"x\", \"label\": [\"b\", \"a\"]}\n{\"text\": \"y\", \"label\": []}\n{\"text\": \"z\", \"label\": [\"b\"]}\n";
    let expected = (vec!["a".to_string(), "b".to_string()], vec![vec![YES, YES], vec![NO, NO], vec![NO, YES]]);
    assert_eq!(labels(&read("a.jsonl", list)).unwrap(), expected);
    assert_eq!(labels(&read("a.csv", "text,label\nx,b; a\ny,\nz,b;\n")).unwrap(), expected);
    let columns = read_columns("a.csv", "text,a,b\nx,1,true\ny,0,False\nz,0.0,1.0\n", &["a,b"]).unwrap();
    assert_eq!(labels(&columns).unwrap(), expected);
    let turned = read_columns("t.csv", "text,B,a\nx,0,1\n", &["b,a"]).unwrap();
    let space = TargetSpace::from_training(TargetKind::Labels, &columns).unwrap();
    let Targets::Labels(found) = space.encode(&turned).unwrap() else { panic!("labels") };
    assert_eq!(found.row(0), [YES, NO], "columns are found by their names");
    assert!(found.rows_without_label().is_empty());
}

#[test]
fn labels_that_cannot_be_learnt_are_errors() {
    let csv = |rows: &str| labels(&read("a.csv", &format!("text,label\n{rows}")));
    says(csv("x,a;b\ny,a;b;a\n"), &["a.csv", "line 3", "`label`", "each label once", "`a` twice"]);
    says(csv("x,\ny,\n"), &["a.csv", "`label`", "none in any row"]);
    says(csv("x,a\ny,a\n"), &["a.csv", "found only `a`"]);
    let json = read("a.jsonl", "{\"text\": \"x\", \"label\": [\"b\", \" \"]}\n");
    says(labels(&json), &["a.jsonl", "line 1", "a blank one"]);
    let columns = |rows: &str| labels(&read_columns("a.csv", &format!("text,a,b\n{rows}"), &["a,b"]).unwrap());
    says(columns("x,1,0\ny,2,1\n"), &["a.csv", "line 3", "`a`", "0 or 1", "`2`"]);
    says(columns("x,1,0\ny,,1\n"), &["a.csv", "line 3", "`a`", "0 or 1", "nothing"]);
    says(columns("x,1,0\ny,0,0\n"), &["a.csv", "`b`", "1 in others", "only `0`"]);
    says(columns("x,1,0\ny,1,1\n"), &["a.csv", "`a`", "only `1`"]);
}

#[test]
fn an_unknown_label_in_another_file_is_an_error_with_the_nearest() {
    let space = TargetSpace::from_names(TargetKind::Labels, vec!["sport".into(), "politics".into()]).unwrap();
    let test = read("test.csv", "text,label\nx,sport\ny,sport;Politics\n");
    let error = says(space.encode(&test), &["test.csv", "line 3", "`Politics`", "2 training labels"]);
    let hint = error.hint().unwrap();
    assert!(hint.contains("`politics`") && hint.contains("--label-names-file"), "{hint}");
    let class = TargetSpace::from_names(TargetKind::Class, vec!["sport".into(), "politics".into()]).unwrap();
    let error = says(class.encode(&read("test.csv", "text,label\nx,art\n")), &["test.csv", "line 2", "`art`"]);
    let hint = error.hint().unwrap();
    assert!(hint.contains("`sport`, `politics`") && hint.contains("--label-names-file"), "{hint}");
    let columns = read_columns("test.csv", "text,a,sport\nx,1,0\n", &["a,sport"]).unwrap();
    let error = says(space.encode(&columns), &["test.csv", "`politics`", "`a`"]);
    assert_eq!(error.hint().unwrap(), "--label-column sport,politics");
}

#[test]
fn lists_of_0_and_1_that_are_equally_long_are_columns() {
    let rows = |lists: &[&str]| -> String {
        lists.iter().enumerate().map(|(row, list)| format!("{{\"text\": \"t{row}\", \"labels\": {list}}}\n")).collect()
    };
    let file = |lists: &[&str]| read("a.jsonl", &rows(lists));
    let expected = vec![vec![NO, YES], vec![YES, NO], vec![NO, NO]];
    for lists in [["[0, 1]", "[1, 0]", "[0, 0]"], ["[0.0, 1.0]", "[1.0, 0.0]", "[0.0, 0.0]"]] {
        let dataset = file(&lists);
        assert_eq!(recognise(&dataset).0, TargetKind::Labels);
        assert_eq!(labels(&dataset).unwrap(), (vec!["LABEL_0".to_string(), "LABEL_1".to_string()], expected.clone()));
    }
    let mut named = file(&["[0, 1]", "[1, 0]"]);
    named.name_flags(&["a".into(), "b".into()]).unwrap();
    assert_eq!(labels(&named).unwrap(), (vec!["a".into(), "b".into()], expected[..2].to_vec()));
    let three: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
    says(file(&["[0, 1]", "[1, 0]"]).name_flags(&three), &["a.jsonl", "`labels`", "each of the 2 labels", "found 3"]);

    let space = TargetSpace::from_names(TargetKind::Labels, three.clone()).unwrap();
    let Targets::Labels(found) = space.encode(&file(&["[1, 1, 1]"])).unwrap() else { panic!("labels") };
    assert_eq!(found.row(0), [YES; 3], "a model with names reads such lists as well");
    says(space.encode(&file(&["[1, 0]"])), &["a.jsonl", "line 1", "3 numbers", "found 2"]);
    let mut numbers = file(&["[0, 1]"]);
    numbers.name_labels(&three).unwrap();
    let Targets::Labels(found) = space.encode(&numbers).unwrap() else { panic!("labels") };
    assert_eq!(found.row(0), [YES, YES, NO], "beside a training file with numbers of labels, these are such as well");
    let mut test = file(&["[1, 0, 1]", "[1, 0]"]);
    test.part_flags(&three);
    says(space.encode(&test), &["a.jsonl", "line 2", "3 numbers", "found 2"]);
    says(labels(&file(&["[0, 1]", "[1, 0]", "[]"])), &["a.jsonl", "line 3", "2 numbers", "found 0"]);

    assert_eq!(
        labels(&file(&["[0, 1]", "[1]"])).unwrap().0,
        ["0", "1"],
        "lists of other lengths are numbers of labels"
    );
    assert_eq!(labels(&file(&["[0, 1]", "[1, 2]"])).unwrap().0, ["0", "1", "2"]);
    says(labels(&file(&["[0, 2]", "[2, 0]"])), &["a.jsonl", "`labels`", "`0`, `2` on every row"]);
    let tagged =
        "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [0, 1]}\n{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [1, 0]}\n";
    assert_eq!(recognise(&read("a.jsonl", tagged)).0, TargetKind::TokenTags);
    assert_eq!(read("a.jsonl", tagged).flags(), None, "tags of words that are numbers");
}

#[test]
fn lists_that_are_written_as_text_are_lists() {
    let tsv = |rows: &[&str]| {
        let rows: String = rows.iter().enumerate().map(|(row, label)| format!("t{row}\t{label}\n")).collect();
        read_columns("a.tsv", &format!("text\tlabel\n{rows}"), &[])
    };
    let names = |rows: &[&str]| labels(&tsv(rows).unwrap()).unwrap();
    let expected = (vec!["anger".to_string(), "joy".to_string()], vec![vec![YES, YES], vec![NO, NO], vec![NO, YES]]);
    assert_eq!(names(&["['joy', 'anger']", "[]", "['joy']"]), expected);
    let quoted = read("a.csv", "text,label\nx,\"[\"\"joy\"\", \"\"anger\"\"]\"\ny,[]\nz,\"[\"\"joy\"\"]\"\n");
    assert_eq!(labels(&quoted).unwrap(), expected);
    assert_eq!(names(&["[27]", "[2 5]"]).0, ["2", "5", "27"]);
    assert_eq!(names(&["[0, 1]", "[1, 0]"]).0, ["LABEL_0", "LABEL_1"]);
    assert_eq!(values(&tsv(&["[0.5 1.]", "[2. 3.]"]).unwrap()).unwrap().1, [0.5, 1.0, 2.0, 3.0]);
    says(tsv(&["['joy']", "[anger]"]), &["a.tsv", "line 3", "`label`", "quoted names", "found `[anger]`"]);
    let classes = tsv(&["[a]", "b"]).unwrap();
    assert_eq!(recognise(&classes).0, TargetKind::Class, "brackets of one label alone belong to its name");
}

#[test]
fn one_value_in_two_spellings_is_one_class() {
    let encoded = |train: &str, test: &str| {
        let train = read("train.csv", &format!("text,label\nx,{train}\ny,other\n"));
        let test = read("test.jsonl", &format!("{{\"text\": \"x\", \"label\": {test}}}\n"));
        let space = TargetSpace::from_training(TargetKind::Class, &train).unwrap();
        let respelled: Vec<String> = space.respelled(&test).iter().map(ToString::to_string).collect();
        space.encode(&test).map(|targets| (targets, respelled))
    };
    for (train, test, respelled) in [
        ("True", "true", "`true` (1) as `True`"),
        ("1", "1.0", "`1.0` (1) as `1`"),
        ("café", "\"cafe\u{301}\"", "`cafe\\u{301}` (1) as `café`"),
        ("bill", "\" b\u{200b}ill \"", "` b\\u{200b}ill ` (1) as `bill`"),
    ] {
        let (targets, found) = encoded(train, test).unwrap();
        assert_eq!(targets, encoded(train, &format!("\"{train}\"")).unwrap().0, "{train} and {test}");
        assert_eq!(found, [respelled]);
    }
    assert_eq!(encoded("3.0", "3").unwrap().1, [""; 0], "a number is kept in its shortest form");
    for (train, test) in [("yes", "true"), ("Bill", "\"bill\""), ("007", "7")] {
        says(encoded(train, test).map(|_| ()), &["test.jsonl", "line 1", "2 training labels"]);
    }
    let both = read("a.csv", "text,label\nx,1\ny,1.0\nz,0\n");
    assert_eq!(learn(TargetKind::Class, &both).unwrap().0.names(), ["0", "1"]);
    let lists =
        read("a.jsonl", "{\"text\": \"x\", \"labels\": [\"a\", \"1.0\"]}\n{\"text\": \"y\", \"labels\": [\"1\"]}\n");
    assert_eq!(learn(TargetKind::Labels, &lists).unwrap().0.names(), ["1", "a"]);
    let twice = read("a.jsonl", "{\"text\": \"x\", \"labels\": [\"a\", \"a \"]}\n{\"text\": \"y\", \"labels\": []}\n");
    says(learn(TargetKind::Labels, &twice), &["line 1", "twice"]);
    let mut ids = read("a.csv", "text,label\nx,1.0\ny,0\n");
    ids.name_labels(&["a".into(), "b".into()]).unwrap();
    assert_eq!(ids.examples[0].label_text(), Some("b"), "the number of a name, however it is written");
}

#[test]
fn one_label_is_not_several() {
    let list = read("a.jsonl", "{\"text\": \"x\", \"label\": [\"a\", \"b\"]}\n");
    says(learn(TargetKind::Class, &list), &["a.jsonl", "line 1", "`label`", "one label", "a list of 2"]);
    let gap = read("a.csv", "text,label\nx,a\ny,\n");
    says(learn(TargetKind::Class, &gap), &["a.csv", "line 3", "expected a label", "found none"]);
}

#[test]
fn numbers_come_from_a_field_a_list_or_columns() {
    assert_eq!(values(&read("a.csv", "text,label\nx,1\ny, -2.5e1\n")).unwrap().1, [1.0, -25.0]);
    let list = "{\"text\": \"x\", \"label\": [1, 2.5]}\n{\"text\": \"y\", \"label\": [2, 3]}\n";
    let names = vec!["label 1".to_string(), "label 2".to_string()];
    assert_eq!(values(&read("a.jsonl", list)).unwrap(), (names, vec![1.0, 2.5, 2.0, 3.0]));
    let columns = read_columns("a.csv", "text,p,q\nx,1,4\ny,2,3\n", &["q,p"]).unwrap();
    assert_eq!(values(&columns).unwrap(), (vec!["q".to_string(), "p".to_string()], vec![4.0, 1.0, 3.0, 2.0]));
}

#[test]
fn numbers_that_cannot_be_learnt_are_errors() {
    let csv = |rows: &str| values(&read("a.tsv", &format!("text\tlabel\n{rows}")));
    for bad in ["NaN", "inf", "-inf", "1e999", "1e39", "three", "1,2,3"] {
        says(csv(&format!("x\t1\ny\t{bad}\n")), &["a.tsv", "line 3", "`label`", "a number", bad]);
    }
    let error = says(csv("x\t1\ny\t3,5\n"), &["line 3", "`3,5`"]);
    assert!(error.hint().unwrap().contains("3.5 with a decimal point"));
    says(csv("x\t1\ny\t\n"), &["a.tsv", "line 3", "expected a label", "found none"]);
    let error = says(csv("x\t1700000000\ny\t1700000060\n"), &["a.tsv", "`label`", "from 1700000000 to 1700000060"]);
    assert_eq!(error.hint().unwrap(), "subtract 1700000000 from each of them");
    assert_eq!(values(&read("a.csv", "text,label\nx,1999\ny,2000\n")).unwrap().1, [1999.0, 2000.0]);
    says(csv("x\t3.0\ny\t3\n"), &["a.tsv", "`label`", "different numbers", "only 3"]);
    let list = "{\"text\": \"x\", \"label\": [1, 2.5]}\n{\"text\": \"y\", \"label\": [2]}\n";
    says(values(&read("a.jsonl", list)), &["a.jsonl", "line 2", "2 numbers", "found 1"]);
    let columns = read_columns("a.csv", "text,p,q\nx,1,4\ny,2,\n", &["p,q"]).unwrap();
    says(values(&columns), &["a.csv", "line 3", "`q`", "nothing"]);
}

#[test]
fn every_scheme_of_tags_is_recognised_and_completed() {
    let cases: [(&[&str], TagScheme, bool, &[&str]); 9] = [
        (&["B-X I-X O B-X"], TagScheme::Iob2, false, &["B-X", "I-X", "O"]),
        (&["O B-X", "B-Y"], TagScheme::Iob2, false, &["B-X", "B-Y", "I-X", "I-Y", "O"]),
        (&["I-X I-X O", "I-X B-X I-Y"], TagScheme::Iob2, true, &["B-X", "B-Y", "I-X", "I-Y", "O"]),
        (&["B-X I-X E-X O S-X"], TagScheme::Iobes, false, &["B-X", "E-X", "I-X", "O", "S-X"]),
        (&["B-X L-X O U-X"], TagScheme::Bilou, false, &["B-X", "I-X", "L-X", "O", "U-X"]),
        (&["B-X M-X M-X E-X O S-X"], TagScheme::Bmes, false, &["B-X", "E-X", "M-X", "O", "S-X"]),
        (&["B-X E-X O W-X", "O"], TagScheme::Bmewo, false, &["B-X", "E-X", "M-X", "O", "W-X"]),
        (&["B M E S", "S B E S"], TagScheme::Plain, false, &["B", "E", "M", "S"]),
        (&["NN VB", "-LRB- NN"], TagScheme::Plain, false, &["-LRB-", "NN", "VB"]),
    ];
    for (sentences, expected, was_iob1, names) in cases {
        let (space, _) = tags(&conll(sentences)).unwrap_or_else(|error| panic!("{sentences:?}: {error}"));
        let TargetSpace::Tags { scheme, from_iob1, .. } = &space else { panic!("tags") };
        assert_eq!((*scheme, *from_iob1), (expected, was_iob1), "{sentences:?}");
        assert_eq!(space.names(), names, "{sentences:?}");
        let TargetSpace::Tags { scheme, .. } =
            TargetSpace::from_names(TargetKind::TokenTags, space.names().to_vec()).unwrap()
        else {
            panic!("tags")
        };
        assert_eq!(scheme, expected, "{sentences:?}: the names of a saved model say as much");
    }
}

#[test]
fn iob1_becomes_iob2_and_iob2_stays() {
    let (_, rows) = tags(&conll(&["I-X I-X O", "I-X B-X I-Y O I-Y"])).unwrap();
    assert_eq!(rows, [vec!["B-X", "I-X", "O"], vec!["B-X", "B-X", "B-Y", "O", "B-Y"]]);
    let (space, rows) = tags(&conll(&["B-X I-X O B-X"])).unwrap();
    assert_eq!(rows, [vec!["B-X", "I-X", "O", "B-X"]]);
    let Targets::Tags(found) = space.encode(&conll(&["O I-X"])).unwrap() else { panic!("tags") };
    assert!(found.from_iob1, "another file in IOB1 is converted and says so");
}

#[test]
fn tags_that_do_not_follow_are_errors_with_their_word() {
    let bad = |sentences: &[&str], parts: &[&str]| says(tags(&conll(sentences)), parts);
    let error = bad(&["B-X O B-X", "O O I-X"], &["a.conll", "line 7", "token 3", "`w2`", "`B-X`", "`I-X`"]);
    assert!(error.hint().unwrap().contains("write `B-X`"));
    bad(&["O B-X I-Y"], &["line 3", "token 3", "`B-Y`", "`I-Y`"]);
    bad(&["B-X E-X", "O I-X"], &["line 5", "token 2", "`S-X`", "`I-X`"]);
    bad(&["B-X E-X", "B-X O"], &["line 5", "token 2", "`E-X`", "found `O`"]);
    bad(&["B-X E-X", "O B-X"], &["line 5", "token 2", "`S-X` at the end", "`B-X`"]);
    bad(&["B-X L-X O", "S-X"], &["line 2", "token 2", "IOBES", "`L-X`"]);
    bad(&["B-X M-X E-X", "B-X M-X O"], &["line 7", "token 3", "`M-X` or `E-X`", "found `O`"]);
    bad(&["B-X E-X O", "O M-X"], &["line 6", "token 2", "`B-X` or `S-X`", "`M-X`"]);
    bad(&["B-X M-X E-X", "B-X I-X"], &["line 6", "token 2", "a tag of BMES", "`I-X`"]);
    bad(&["S-X M-X E-X", "W-X B-X"], &["line 5", "token 1", "a tag of BMES", "`W-X`"]);
    bad(&["B-X O", "B-X M-X"], &["line 5", "token 2", "a tag of IOB", "`M-X`"]);
    bad(&["B-X I-X O", "O S-X"], &["line 6", "token 2", "IOB", "`S-X`"]);
    bad(&["B-X O", "I-X U-Y"], &["line 5", "token 2", "IOB", "`U-Y`"]);
    bad(&["B-X I-X O", "PER O"], &["line 5", "token 1", "`O` or a tag that begins with", "`PER`"]);
    bad(&["B-X Q-X"], &["line 2", "token 2", "`Q-X`"]);
    bad(&["O O"], &["a.conll", "found only `O`"]);
}

#[test]
fn rows_that_are_not_words_with_a_tag_each_are_errors() {
    let short =
        "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\", \"N\"]}\n{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\"]}\n";
    says(tags(&read("a.jsonl", short)), &["a.jsonl", "line 2", "`tags`", "2 words", "1 tags"]);
    let blank = "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\", \"\"]}\n";
    says(tags(&read("a.jsonl", blank)), &["a.jsonl", "line 1", "token 2", "`b`", "nothing"]);
    says(tags(&read("a.csv", "text,label\nx,a\n")), &["a.csv", "line 2", "plain text"]);
    let space = TargetSpace::from_names(TargetKind::TokenTags, ["B-PER", "I-PER", "O"].map(String::from).to_vec());
    let error = says(space.unwrap().encode(&conll(&["O B-PRE"])), &["line 2", "token 2", "`B-PRE`", "3 training tags"]);
    let hint = error.hint().unwrap();
    assert!(hint.contains("`B-PER`") && hint.contains("--label-names-file"), "{hint}");
}

#[test]
fn numbers_are_tags_by_themselves_or_by_the_names_given() {
    let json = "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [0, 2]}\n{\"tokens\": [\"c\"], \"ner_tags\": [10]}\n";
    let mut dataset = read("a.jsonl", json);
    assert_eq!(tags(&dataset).unwrap().0.names(), ["0", "2", "10"]);
    let names: Vec<String> = ["O", "B-X", "I-X"].map(String::from).to_vec();
    let error = says(dataset.clone().name_labels(&names), &["a.jsonl", "line 2", "from 0 to 2", "`10`"]);
    assert!(error.hint().unwrap().contains("`B-X`"));
    dataset.examples.truncate(1);
    dataset.name_labels(&["O".into(), "I-X".into(), "B-X".into()]).unwrap();
    assert_eq!(tags(&dataset).unwrap().1, [["O", "B-X"]]);
}

#[test]
fn names_of_columns_are_theirs_and_joined_labels_are_named_one_by_one() {
    let names: Vec<String> = ["b", "a"].map(String::from).to_vec();
    let mut columns = read_columns("a.csv", "text,a,b\nx,1,0\ny,0,1\n", &["a,b"]).unwrap();
    let before = columns.examples.clone();
    columns.name_labels(&names).unwrap();
    assert_eq!(columns.examples, before, "0 and 1 in columns are no numbers of names");
    let mut numbers = read_columns("a.csv", "text,a,b\nx,1.5,0\n", &["a,b"]).unwrap();
    numbers.name_labels(&names).unwrap();
    for other in [&["a"][..], &["a", "c"], &["a", "b", "c"], &["a", "a"]] {
        let other: Vec<String> = other.iter().map(|name| name.to_string()).collect();
        let error = says(columns.clone().name_labels(&other), &["a.csv", "label columns, `a`, `b`, found `a`"]);
        assert!(error.hint().unwrap().contains("--label-names-file"));
    }
    let csv = "text,label\nv,0; 1\nw,1;\nx,b\ny,\nz,;\n";
    let mut joined = read("a.csv", csv);
    joined.name_labels(&names).unwrap();
    let expected = vec![vec![YES, YES], vec![YES, NO], vec![NO, YES], vec![NO, NO], vec![NO, NO]];
    assert_eq!(labels(&joined).unwrap(), (vec!["a".to_string(), "b".to_string()], expected));
    says(read("a.csv", "text,label\nx,0; 7\n").name_labels(&names), &["a.csv", "line 2", "from 0 to 1", "`7`"]);
}

#[test]
fn the_task_is_recognised_by_the_labels() {
    let csv = |labels: &[&str]| {
        let rows: String = labels.iter().enumerate().map(|(row, label)| format!("t{row}\t{label}\n")).collect();
        read("a.tsv", &format!("text\tlabel\n{rows}"))
    };
    let cases: [(&[&str], TargetKind); 12] = [
        (&["a", "b", "a"], TargetKind::Class),
        (&["0", "1", "2"], TargetKind::Class),
        (&["1.0", "2.0", "1.0"], TargetKind::Class),
        (&["1.5", "2", "3"], TargetKind::Value),
        (&["1.5", "2", "high"], TargetKind::Class),
        (&["a;b", "a", "b", "c"], TargetKind::Labels),
        (&["a;b", "b;c", "a"], TargetKind::Labels),
        (&["a;b", "c;d", "a;b"], TargetKind::Class),
        (&["Sales; North", "Sales; South", "Support; North"], TargetKind::Class),
        (&["yes; surely", "no", "perhaps"], TargetKind::Class),
        (&["1,5", "2,5", "3"], TargetKind::Class),
        (&["2020-01-02", "1.2.3", "x"], TargetKind::Class),
    ];
    for (labels, expected) in cases {
        let (kind, reason) = recognise(&csv(labels));
        assert_eq!(kind, expected, "{labels:?}: {reason}");
        assert!(reason.contains("`label`"), "{reason}");
    }
    let columns = |rows: &str| recognise(&read_columns("a.csv", &format!("text,a,b\n{rows}"), &["a,b"]).unwrap()).0;
    assert_eq!(columns("x,1,0\ny,0,1\n"), TargetKind::Labels);
    assert_eq!(columns("x,1,0\ny,0,3\n"), TargetKind::Value);
    assert_eq!(columns("x, 0.9, 0.6\ny, 0.1, \n"), TargetKind::Value, "with a space after each comma");
    assert_eq!(columns("x, 1, 0\ny, 0, \n"), TargetKind::Labels, "a field of space alone is a gap");
    assert_eq!(columns("x,nan,inf\ny,inf,nan\n"), TargetKind::Class);
    let json = |rows: &str| recognise(&read("a.jsonl", rows)).0;
    assert_eq!(json("{\"text\": \"x\", \"label\": [\"a\"]}"), TargetKind::Labels);
    assert_eq!(json("{\"text\": \"x\", \"label\": [0.5, 1]}"), TargetKind::Value);
    assert_eq!(json("{\"tokens\": [\"x\"], \"tags\": [\"O\"]}"), TargetKind::TokenTags);
    assert_eq!(json("{\"tokens\": [\"x\", \"y\", \"z\"], \"labels\": [\"sport\"]}"), TargetKind::Labels);
}

#[test]
fn a_few_slips_among_many_numbers_are_errors_and_no_classes() {
    let file = |label: &dyn Fn(usize) -> String, rows: usize| {
        let rows: String = (0..rows).map(|row| format!("t{row}\t{}\n", label(row))).collect();
        read("a.tsv", &format!("text\tlabel\n{rows}"))
    };
    let slips = |every: usize| move |row: usize| if row % every == 4 { "n/a".into() } else { format!("{row}.5") };
    let dataset = file(&slips(10), 30);
    let (kind, reason) = recognise(&dataset);
    assert_eq!(kind, TargetKind::Value, "{reason}");
    assert!(reason.contains("27 of 30 labels in `label` are numbers") && reason.contains("`0.5`"), "{reason}");
    let error = says(values(&dataset), &["a.tsv", "line 6", "`label`", "expected a number", "found `n/a`"]);
    assert!(error.hint().unwrap().contains("--task classification"));

    let commas = file(&|row| format!("{row},5"), 20);
    assert_eq!(recognise(&commas).0, TargetKind::Value);
    let error = says(values(&commas), &["line 2", "expected a number", "`0,5`"]);
    let hint = error.hint().unwrap();
    assert!(hint.contains("write 0.5 with a decimal point") && hint.contains("--task classification"), "{hint}");

    assert_eq!(recognise(&file(&slips(7), 30)).0, TargetKind::Class, "less than nine of ten");
    assert_eq!(recognise(&file(&slips(10), 20)).0, TargetKind::Class, "18 different numbers");
    let ids = |row: usize| if row == 7 { "n/a".into() } else { format!("{row}") };
    assert_eq!(recognise(&file(&ids, 40)).0, TargetKind::Class, "whole numbers may be ids");

    let row = |row: usize, label: &str| format!("{{\"text\": \"t{row}\", \"label\": [{label}]}}\n");
    let lists: String =
        (0..30).map(|at| if at == 2 { row(at, "\"n/a\"") } else { row(at, &format!("{at}.25")) }).collect();
    assert_eq!(recognise(&read("a.jsonl", &lists)).0, TargetKind::Value);
    let columns: String =
        (0..10).map(|row| format!("t{row},{row}.5,{}\n", if row == 3 { "nan" } else { "2" })).collect();
    let columns = read_columns("a.csv", &format!("text,a,b\n{columns}"), &["a,b"]).unwrap();
    assert_eq!(recognise(&columns).0, TargetKind::Value);
    says(values(&columns), &["a.csv", "line 5", "`b`", "expected a number", "`nan`"]);
}

#[test]
fn targets_are_selected_permuted_and_hashed_by_content() {
    let class = read("a.csv", "text,label\na,x\nb,y\nc,z\nd,z\n");
    let multi = read("a.csv", "text,label\na,x;y\nb,y\nc,\nd,z\n");
    let value = read("a.csv", "text,label\na,1\nb,2.5\nc,3\nd,4\n");
    let tagged = conll(&["O B-X", "O", "B-X I-X O", "B-Y"]);
    let kinds = [TargetKind::Class, TargetKind::Labels, TargetKind::Value, TargetKind::TokenTags];
    for (kind, dataset) in kinds.into_iter().zip([class, multi, value, tagged]) {
        let (space, targets) = learn(kind, &dataset).unwrap();
        assert_eq!((space.kind(), targets.kind(), targets.len()), (kind, kind, 4));
        let chosen = targets.select(&[2, 0]);
        assert_eq!(chosen.select(&[1, 0]), targets.select(&[0, 2]));
        assert_eq!(targets.select(&[0, 1, 2, 3]), targets);
        assert_ne!(chosen.sha256(), targets.select(&[0, 2]).sha256(), "{kind}: the order counts");
        assert_eq!(targets.clone().sha256(), targets.sha256());
        let mixed = (0..20).map(|seed| targets.permute(&mut Stream::named("control", seed)));
        assert!(mixed.clone().all(|mixed| mixed.len() == 4));
        assert!(mixed.into_iter().any(|mixed| mixed != targets), "{kind}");
    }
}

#[test]
fn strata_of_classes_split_as_classes_do_and_others_are_spread() {
    let rows: String = (0..200).map(|row| format!("text {row},{}\n", row % 7)).collect();
    let class = read("a.csv", &format!("text,label\n{rows}"));
    let (space, targets) = learn(TargetKind::Class, &class).unwrap();
    let Targets::Class(classes) = &targets else { panic!("classes") };
    let strata = Strata::new(&space, &targets);
    assert_eq!(strata.hold_out(&class, 0.2, 5), topwork_data::hold_out(&class, classes, 7, 0.2, 5));
    assert_eq!(strata.folds(&class.examples, 4, 5), topwork_data::folds(&class.examples, classes, 7, 4, 5));

    let rows: String = (0..200).map(|row| format!("text {row},{}.5\n", row)).collect();
    let value = read("a.csv", &format!("text,label\n{rows}"));
    let (space, targets) = learn(TargetKind::Value, &value).unwrap();
    let split = Strata::new(&space, &targets).hold_out(&value, 0.1, 1);
    for bin in 0..10 {
        assert_eq!(split.held_out.iter().filter(|&&row| row / 20 == bin).count(), 2, "every tenth of the range alike");
    }

    let label = |row: usize| {
        if row.is_multiple_of(20) {
            "often;rare"
        } else if row.is_multiple_of(2) {
            "often"
        } else {
            ""
        }
    };
    let rows: String = (0..200).map(|row| format!("text {row},{}\n", label(row))).collect();
    let multi = read("a.csv", &format!("text,label\n{rows}"));
    let (space, targets) = learn(TargetKind::Labels, &multi).unwrap();
    let split = Strata::new(&space, &targets).hold_out(&multi, 0.2, 1);
    let held = |wanted: &str| split.held_out.iter().filter(|&&row| label(row) == wanted).count();
    assert_eq!([held("often;rare"), held("often"), held("")], [2, 18, 20]);

    let sentences: Vec<String> = (0..50).map(|_| "O B-X".to_string()).collect();
    let tagged = conll(&sentences.iter().map(String::as_str).collect::<Vec<_>>());
    let (space, targets) = learn(TargetKind::TokenTags, &tagged).unwrap();
    let split = Strata::new(&space, &targets).hold_out(&tagged, 0.2, 1);
    assert!(split.held_out.is_empty(), "rows with the same words stay together");
}
