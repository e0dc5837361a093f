//! What is wrong with the rows of a task, or with an option that the task does not take, gets one clear error and a hint, and
//! nothing is written or lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model};

/// `tune FILE` with the tiny model fails with these parts in the error, and writes nothing. Gives the hint.
#[track_caller]
fn fails(folder: &Folder, file: &str, more: &[&str], parts: &[&str]) -> String {
    let (model, before) = (model(), folder.bytes(file));
    let model = ["--model", model.to_str().unwrap()];
    let model = if more.contains(&"--model") { &[][..] } else { &model };
    let hint = folder.fails(&[&["tune", file, "--output", "out"], model, more].concat(), parts);
    assert!(!folder.path("out").exists(), "something was written");
    assert_eq!(folder.bytes(file), before);
    hint
}

/// Rows of a task that can be learnt, by the name of their file.
fn rows(file: &str) -> String {
    let row = |row: usize| {
        let (word, rest) = (["there", "people", "which"][row % 3], ["is it", "go", "said"][row / 3 % 3]);
        match file {
            "tags.jsonl" => {
                let tags = ["[\"B-A\",\"I-A\"]", "[\"B-B\",\"O\"]", "[\"O\",\"O\"]"][row % 3];
                format!("{{\"tokens\": [\"{word}\", \"go\"], \"ner_tags\": {tags}}}\n")
            }
            "numbers.csv" => format!("{word} {rest},{}.5\n", row % 5),
            "labels.csv" => format!("{word} {rest},{}\n", ["place;person", "person", "choice;place"][row % 3]),
            "columns.csv" => format!("{word} {rest},{},{}\n", row % 2, row / 2 % 2),
            "pairs.csv" => format!("{word},{rest},{}\n", ["yes", "no"][row % 2]),
            _ => format!("{word} {rest},{}\n", ["place", "person", "choice"][row % 3]),
        }
    };
    let header = match file {
        "tags.jsonl" => "",
        "columns.csv" => "text,old,new\n",
        "pairs.csv" => "text_a,text_b,label\n",
        _ => "text,label\n",
    };
    format!("{header}{}", (0..18).map(row).collect::<String>())
}

const FILES: [(&str, &str); 4] = [
    ("classes.csv", "classification"),
    ("labels.csv", "multi_label"),
    ("numbers.csv", "regression"),
    ("tags.jsonl", "token_classification"),
];

/// Rows that can be learnt, and then one that cannot.
fn with_row(folder: &Folder, file: &str, row: &str) {
    folder.write(file, format!("{}{row}\n", rows(file)));
}

#[test]
fn tags_that_are_not_one_for_each_word_or_of_no_scheme() {
    let folder = Folder::new();
    let bad = |tokens: &str, tags: &str, parts: &[&str]| {
        with_row(&folder, "tags.jsonl", &format!("{{\"tokens\": {tokens}, \"ner_tags\": {tags}}}"));
        fails(&folder, "tags.jsonl", &[], &[&["tags.jsonl", "line 19"], parts].concat())
    };
    let hint = bad("[\"there\", \"is\"]", "[\"O\"]", &["`ner_tags`", "a tag for each of 2 words", "found 1 tags"]);
    assert!(hint.contains("equally long"), "{hint}");
    let hint = bad("[\"there\", \"is\"]", "[\"S-A\", \"O\"]", &["token 1 (`there`)", "IOB", "found `S-A`"]);
    assert!(hint.contains("IOBES"), "{hint}");
    bad("[\"there\", \"is\"]", "[\"O\", \"X-A\"]", &["token 2 (`is`)", "begins with `B-` or `I-`", "found `X-A`"]);
    let hint = bad("[\"there\", \"is\"]", "[\"O\", \"I-A\"]", &["token 2 (`is`)", "expected `B-A`", "found `I-A`"]);
    assert!(hint.contains("write \"B-A\" there"), "{hint}");
    bad("[\"there\", \"is\"]", "[\"O\", \"\"]", &["token 2 (`is`)", "expected a tag", "found nothing"]);
}

#[test]
fn numbers_that_are_none_or_teach_nothing() {
    let folder = Folder::new();
    let bad = |number: &str, parts: &[&str]| {
        with_row(&folder, "numbers.csv", &format!("there,{number}"));
        let parts = [&["numbers.csv", "line 20", "`label`"], parts].concat();
        fails(&folder, "numbers.csv", &["--task", "regression"], &parts)
    };
    assert_eq!(bad("nan", &["expected a label in every row", "(`nan`)"]), "--missing-labels drop");
    assert!(bad("inf", &["expected a number", "found `inf`"]).contains("finite"));
    assert!(bad("\"1,5\"", &["expected a number", "found `1,5`"]).contains("write 1.5"));
    assert!(bad("many", &["expected a number", "found `many`"]).contains("3.5"));
    assert!(bad("1e39", &["expected a number", "found `1e39`"]).contains("larger unit"));
    assert_eq!(bad("", &["expected a label in every row", "found none in 1 of 19"]), "--missing-labels drop");
    let task = ["--task", "regression"];
    folder.write("numbers.csv", "text,label\nthere,2.5\npeople,2.50\n");
    fails(&folder, "numbers.csv", &task, &["numbers.csv", "`label`", "different numbers", "only 2.5"]);
    folder.write("numbers.csv", "text,label\nthere,1700000000\npeople,1700000060\n");
    let hint = fails(&folder, "numbers.csv", &task, &["numbers.csv", "`label`", "from 1700000000 to 1700000060"]);
    assert_eq!(hint, "subtract 1700000000 from each of them");
}

#[test]
fn labels_that_are_repeated_or_apply_to_all_rows_or_to_none() {
    let folder = Folder::new();
    let task = ["--task", "multi_label"];
    with_row(&folder, "labels.csv", "there,place;place");
    fails(&folder, "labels.csv", &task, &["labels.csv", "line 20", "`label`", "each label once", "`place` twice"]);
    folder.write("labels.csv", "text,label\nthere,place\npeople,place\n");
    fails(&folder, "labels.csv", &task, &["labels.csv", "`label`", "two different labels", "only `place`"]);

    let columns = ["--task", "multi_label", "--label-column", "old,new"];
    with_row(&folder, "columns.csv", "there,2,0");
    fails(&folder, "columns.csv", &columns, &["columns.csv", "line 20", "`old`", "expected 0 or 1", "found `2`"]);
    with_row(&folder, "columns.csv", "there,,0");
    let hint = fails(&folder, "columns.csv", &columns, &["columns.csv", "line 20", "`old,new`", "found none in 1"]);
    assert_eq!(hint, "--missing-labels drop");
    for value in ["0", "1"] {
        folder.write("columns.csv", format!("text,old,new\nthere,{value},0\npeople,{value},1\n"));
        let found = format!("only `{value}`");
        let hint = fails(&folder, "columns.csv", &columns, &["columns.csv", "`old`", "0 in some rows and 1", &found]);
        assert!(hint.contains("leave it out of --label-column"), "{hint}");
    }
}

#[test]
fn a_pair_without_its_second_text() {
    let folder = Folder::new();
    with_row(&folder, "pairs.csv", "there,,yes");
    let hint = fails(&folder, "pairs.csv", &[], &["pairs.csv", "line 20", "`text_b`", "second text", "found nothing"]);
    assert!(hint.contains("remove the row"), "{hint}");
}

/// A row with a label that no training row has, by the training file.
fn with_new_label(file: &str) -> &'static str {
    match file {
        "tags.jsonl" => "{\"tokens\": [\"there\", \"go\"], \"ner_tags\": [\"O\", \"B-NEW\"]}\n",
        "labels.csv" => "text,label\nthere,place;new\npeople,person\n",
        _ => "text,label\nthere,new\npeople,person\n",
    }
}

#[test]
fn a_label_that_training_lacks_is_an_error_unless_its_name_is_given() {
    let folder = Folder::new();
    for (file, task) in FILES.into_iter().filter(|(_, task)| *task != "regression") {
        folder.write(file, rows(file));
        let (test, line, label) = match file {
            "tags.jsonl" => ("test.jsonl", "line 1", "`B-NEW`"),
            _ => ("test.csv", "line 2", "`new`"),
        };
        folder.write(test, with_new_label(file));
        let more = ["--task", task, "--test", test];
        fails(&folder, file, &more, &[test, line, "expected one of the", "training", label]);
        let names = match file {
            "tags.jsonl" => "O\nB-A\nI-A\nB-B\nI-B\nB-NEW\nI-NEW\n",
            _ => "place\nperson\nchoice\nnew\n",
        };
        folder.write("names.txt", names);
        let named = ["--label-names-file", "names.txt", "--epochs", "1", "--compare-seeds", "0", "--output", task];
        let tiny = model();
        folder.ok(&[&["tune", file, "--model", tiny.to_str().unwrap()], &more[..], &named].concat());
        let names = folder.json(&format!("{task}/config.json"))["id2label"].to_string();
        assert!(names.contains(label.trim_matches('`')), "{names}");
    }
}

#[test]
fn options_that_a_task_does_not_take() {
    let folder = Folder::new();
    for (file, _) in FILES {
        folder.write(file, rows(file));
    }
    let bad = |file: &str, more: &[&str], parts: &[&str]| {
        let (_, task) = FILES.into_iter().find(|(own, _)| *own == file).unwrap();
        fails(&folder, file, &[&["--task", task], more].concat(), &[&more[..1], parts].concat());
    };
    bad("numbers.csv", &["--class-weights", "balanced"], &["numbers have no classes", "found \"balanced\""]);
    bad("numbers.csv", &["--label-smoothing-factor", "0.1"], &["numbers have no classes", "found 0.1"]);
    for file in ["classes.csv", "labels.csv", "tags.jsonl"] {
        bad(file, &["--huber-delta", "1.5"], &["only a regression", "found 1.5"]);
    }
    bad("tags.jsonl", &["--pooling", "mean"], &["a tagger reads each word", "found \"mean\""]);
    bad("tags.jsonl", &["--head-init", "linear_probe"], &["token_classification", "found \"linear_probe\""]);
    for (file, metric) in [("classes.csv", "pearson"), ("numbers.csv", "accuracy"), ("tags.jsonl", "pearson")] {
        bad(file, &["--metric-for-best-model", metric], &["a metric of", metric]);
    }
    for (file, _) in FILES {
        bad(file, &["--max-seq-length", "33"], &["32 tokens", "positions of the model", "found 33"]);
    }
}

#[test]
fn a_token_beyond_the_embedding_table() {
    let folder = Folder::new();
    folder.copy_of_model("model");
    let mut tokenizer = folder.json("model/tokenizer.json");
    let size = folder.json("model/config.json")["vocab_size"].as_u64().unwrap();
    tokenizer["model"]["vocab"]["enormous"] = (size + 12).into();
    folder.write("model/tokenizer.json", tokenizer.to_string());
    for (file, task) in FILES {
        folder.write(file, rows(file));
        let size = size.to_string();
        fails(&folder, file, &["--task", task, "--model", "model"], &["tokenizer.json", "enormous", &size]);
    }
}

/// The head is made anew, with a note; and rows of another task are not scored.
#[test]
fn a_model_of_another_task_gets_a_new_head_and_does_not_score_rows_of_another_task() {
    let folder = Folder::new();
    let tiny = model();
    let tune = |file: &str, task: &str, model: &str, output: &str| {
        folder.write(file, rows(file));
        let usual = ["--epochs", "1", "--compare-seeds", "0", "--output", output];
        folder.ok(&[&["tune", file, "--task", task, "--model", model], &usual[..]].concat());
    };
    for (file, task) in FILES {
        tune(file, task, tiny.to_str().unwrap(), task);
    }
    for (model, other) in [("classification", 3), ("token_classification", 0), ("multi_label", 2), ("regression", 1)] {
        let (file, task) = FILES[other];
        let output = format!("{task} from {model}");
        tune(file, task, model, &output);
        let notes = folder.events(&output, "note");
        let is_new = |note: &serde_json::Value| note["message"].as_str().unwrap().starts_with("new: ");
        let says = notes.iter().any(|note| is_new(note) && note.to_string().contains("the checkpoint's head"));
        assert!(says, "{output}: {notes:?}");
    }
    for (model, file, parts) in [
        ("classification", "numbers.csv", &["numbers.csv", "line 2", "`label`", "3 training labels", "`0.5`"][..]),
        ("classification", "tags.jsonl", &["tags.jsonl", "line 1", "`ner_tags`", "one label", "a list of 2"]),
        ("multi_label", "tags.jsonl", &["tags.jsonl", "line 1", "`ner_tags`", "3 training labels", "`B-A`"]),
        ("regression", "classes.csv", &["classes.csv", "line 2", "`label`", "expected a number", "`place`"]),
        ("token_classification", "classes.csv", &["classes.csv", "line 2", "`text`", "a list of words", "plain text"]),
    ] {
        folder.fails(&["evaluate", model, file], parts);
    }
}
