//! `advise`, `audit` and `lr-find`: what they find, what they write, and what they say of bad input.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model};
use serde_json::Value;

/// `advise` with the tiny model.
fn advise(folder: &Folder, more: &[&str]) -> Value {
    let model = model();
    let mut arguments = vec!["advise", "train.csv", "--model", model.to_str().unwrap(), "--json"];
    arguments.extend(more);
    serde_json::from_str(&folder.ok(&arguments)).unwrap()
}

fn audit(folder: &Folder, more: &[&str]) -> Value {
    let mut arguments = vec!["audit", "train.csv", "--json", "--no-model"];
    arguments.extend(more);
    serde_json::from_str(&folder.ok(&arguments)).unwrap()
}

fn is_finite(value: &Value) -> bool {
    value.as_f64().is_some_and(f64::is_finite)
}

#[test]
fn the_advised_recipe_says_what_chose_it_and_tune_runs_it() {
    let folder = Folder::new();
    let advice = advise(&folder, &["--output", "recipe.toml", "--threads", "2"]);
    let candidate = &advice["transferability"]["candidates"][0];
    for score in ["linear_probe", "h_score", "logme", "transrate", "nleep", "gbc", "pactran", "parc", "knn"] {
        assert!(is_finite(&candidate["scores"][score]), "{score}: {}", candidate["scores"]);
    }
    // Embeddings, three layers, what the classifier sees.
    assert_eq!(candidate["by_layer"].as_array().unwrap().len(), 5);
    let expectation = &advice["expectation"];
    let interval = [&expectation["interval"][0], &expectation["interval"][1]].map(|bound| bound.as_f64().unwrap());
    let accuracy = expectation["accuracy"].as_f64().unwrap();
    assert!(interval[0] <= accuracy && accuracy <= interval[1]);
    assert_eq!(folder.json("advice.json")["rows"], 96);
    let page = std::fs::read_to_string(folder.path("advice.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("</html>"), "a page with a curve");
    let depth = &advice["depth"];
    let considered = depth["considered"].as_array().unwrap();
    assert!(
        considered.iter().any(|other| other["freeze_layers"] == depth["freeze_layers"]),
        "what is proposed was considered"
    );
    assert!(
        considered
            .iter()
            .all(|other| page.contains(&format!("<td>{:.1} %</td>", 100.0 * other["probe"].as_f64().unwrap())))
    );

    let recipe = std::fs::read_to_string(folder.path("recipe.toml")).unwrap();
    for key in ["model_name_or_path", "freeze_layers", "learning_rate"] {
        let line = recipe.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        assert!(line.contains("# advice: "), "{line}");
    }
    // A small model keeps tune's length, which follows the rows.
    assert!(!recipe.contains("num_train_epochs = "), "{recipe}");
    let train = recipe.lines().find(|line| line.starts_with("train_file")).unwrap();
    assert!(train.contains("# flag: TRAIN"), "{train}");
    folder.ok(&["tune", "--recipe", "recipe.toml", "--output", "out", "--compare-seeds", "0"]);
    let plan = std::fs::read_to_string(folder.path("out/plan.toml")).unwrap();
    let rate = recipe.lines().find(|line| line.starts_with("learning_rate")).unwrap();
    assert!(plan.contains(rate.split(" #").next().unwrap()), "{plan}");
}

#[test]
fn few_rows_of_a_sentence_encoder_are_advised_the_method_that_tune_takes() {
    let folder = Folder::new();
    folder.copy_of_model("encoder");
    folder.write("encoder/1_Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    let advise = |more: &[&str]| -> Value {
        let arguments = [&["advise", "train.csv", "--model", "./encoder", "--json"], more].concat();
        serde_json::from_str(&folder.ok(&arguments)).unwrap()
    };
    let advice = advise(&["--output", "recipe.toml"]);
    assert_eq!(advice["method"]["name"], "setfit");
    assert!(advice["learning_rate"].is_null() && advice["depth"].is_null() && advice["length"].is_null());
    assert!(is_finite(&advice["expectation"]["accuracy"]) && is_finite(&advice["tune_seconds"]));
    let page = std::fs::read_to_string(folder.path("advice.html")).unwrap();
    assert!(page.contains("Taken: setfit"), "the page says the method");
    let recipe = std::fs::read_to_string(folder.path("recipe.toml")).unwrap();
    let line = |text: &str, key: &str| {
        let found = text.lines().find(|line| line.starts_with(&format!("{key} = ")));
        found.unwrap_or_else(|| panic!("no {key} in {text}")).to_string()
    };
    assert!(line(&recipe, "method").starts_with("method = \"setfit\" # advice: "), "{recipe}");
    assert!(!recipe.contains("learning_rate = "), "{recipe}");
    folder.ok(&["tune", "--recipe", "recipe.toml", "--output", "out"]);
    folder.ok(&["tune", "train.csv", "--model", "./encoder", "--output", "plain"]);
    let values = |name: &str| {
        let plan = std::fs::read_to_string(folder.path(&format!("{name}/plan.toml"))).unwrap();
        let value = |key| line(&plan, key).split(" #").next().unwrap().to_string();
        ["method", "learning_rate", "max_steps", "pooling"].map(value)
    };
    assert_eq!(values("out"), values("plain"), "advice and tune speak with one voice");
    folder.ok(&["tune", "train.csv", "--model", "./encoder", "--output", "auto", "--auto"]);
    assert_eq!(values("auto"), values("plain"));
    // Fine-tuning is measured where it is asked for.
    let advice = advise(&["--method", "finetune"]);
    assert!(advice["method"].is_null() && advice["learning_rate"].is_object());
}

#[test]
fn what_was_said_is_not_advised() {
    let folder = Folder::new();
    let said = ["--learning-rate", "2e-4", "--freeze-layers", "1", "--validation-fraction", "0.2", "--max-steps", "20"];
    let advice = advise(&folder, &[&said[..], &["--early-stopping-patience", "3", "--output", "recipe.toml"]].concat());
    assert_eq!(advice["learning_rate"]["race"]["entrants"].as_array().unwrap().len(), 1);
    let recipe = std::fs::read_to_string(folder.path("recipe.toml")).unwrap();
    assert!(recipe.contains("learning_rate = 2e-4 # flag"), "{recipe}");
    for line in ["freeze_layers = 1 # flag", "validation_fraction = 0.2 # flag", "early_stopping_patience = 3 # flag"] {
        assert!(recipe.contains(line), "{line} is not in {recipe}");
    }
    assert!(recipe.contains("max_steps = 20 # flag") && !recipe.contains("num_train_epochs = "), "{recipe}");
}

#[test]
fn texts_and_labels_cannot_break_the_page() {
    let folder = Folder::new();
    let rows: String = (0..24)
        .map(|row| {
            let label = ["<b>x</b>", "y&amp;z"][row % 2];
            format!("\"<script>alert({})</script> & \"\"people\"\" \u{202e}\x1b[2J\",{label}\n", row % 6)
        })
        .collect();
    folder.write("train.csv", format!("text,label\n{rows}"));
    advise(&folder, &["--output", "mine.toml"]);
    let screen = folder.ok(&["advise", "train.csv", "--model", model().to_str().unwrap()]);
    assert!(!screen.contains(['\u{202e}', '\x1b']), "the terminal stays as it is");
    let page = std::fs::read_to_string(folder.path("mine-advice.html")).unwrap();
    assert!(page.contains("&lt;script&gt;"), "the texts are shown");
    assert!(!page.contains("<script") && !page.contains("<b>x") && !page.contains("http"), "nothing is run or fetched");
}

#[test]
fn auto_measures_and_then_tunes() {
    let folder = Folder::new();
    folder.tune("out", &["--auto"]);
    let plan = std::fs::read_to_string(folder.path("out/plan.toml")).unwrap();
    let rate = plan.lines().find(|line| line.starts_with("learning_rate")).unwrap();
    assert!(rate.contains("# advice: "), "{rate}");
    assert_eq!(folder.json("out/advice.json")["rows"], 96);
}

#[test]
fn the_same_advice_twice_and_for_any_number_of_threads() {
    let folder = Folder::new();
    let without_times = |mut advice: Value| {
        advice["seconds"] = Value::Null;
        advice["seconds_by_part"] = Value::Null;
        // It repeats --threads.
        advice["recipe"] = Value::Null;
        advice["expectation"]["seconds"] = Value::Null;
        advice["tune_seconds"] = Value::Null;
        advice["learning_rate"]["range_test"]["seconds"] = Value::Null;
        advice
    };
    let first = without_times(advise(&folder, &["--threads", "1"]));
    let second = without_times(advise(&folder, &["--threads", "2"]));
    assert_eq!(first, second);
}

#[test]
fn a_model_that_fails_is_reported_and_the_others_are_ranked() {
    let folder = Folder::new();
    folder.write("broken/config.json", "{}");
    let model = model();
    let models = format!("broken,{}", model.display());
    let output = folder.run(&["advise", "train.csv", "--models", &models, "--json", "--scores-only"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let advice: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(advice["failures"][0]["model"], "broken");
    assert!(advice["failures"][0]["error"].as_str().unwrap().contains("config.json"), "{}", advice["failures"]);
    assert_eq!(advice["transferability"]["candidates"].as_array().unwrap().len(), 1);
    folder.fails(&["advise", "train.csv", "--models", "broken"], &["config.json"]);
}

#[test]
fn rows_that_tell_little_are_looked_at_all_the_same() {
    let folder = Folder::new();
    let check = |name: &str, content: &str| {
        folder.write("train.csv", content);
        let advice = advise(&folder, &[]);
        assert!(is_finite(&advice["expectation"]["accuracy"]), "{name}");
        assert!(is_finite(&advice["transferability"]["candidates"][0]["mean_rank"]), "{name}");
        assert!(!advice["similarity"]["source"].as_str().unwrap().is_empty(), "{name}");
        advice
    };
    folder.write("source.txt", "a source of a few words ".repeat(60));
    let blank = check("blank texts", "text,label\n\" \",a\n\" \",b\n\" \",a\n\" \",b\n");
    assert!(blank["similarity"]["missing"][0].as_str().unwrap().contains("two different texts"), "{blank}");
    let same = advise(&folder, &["--source-text", "source.txt", "--scores-only"]);
    assert!(same["similarity"]["missing"][0].as_str().unwrap().contains("two different texts"), "{same}");
    let two = check("two rows", "text,label\nthere is,a\npeople,b\n");
    assert!(two["expectation"]["interval"].is_null());
    assert!(two["expectation"]["sentence"].as_str().unwrap().contains("not known"), "{}", two["expectation"]);
    let words = ["there", "people", "which", "time", "said", "more"];
    let text = |row: usize| format!("{} {} {}", words[row % 6], words[row / 6], words[row % 5]);
    let many: String = (0..30).map(|row| format!("{},{}\n", text(row), if row == 7 { "b" } else { "a" })).collect();
    let alone = check("a class with one row", &format!("text,label\n{many}"));
    let issues = &alone["audit"]["label_issues"];
    assert_eq!(issues["not_judged"], 1);
    assert!(issues["issues"].as_array().unwrap().iter().all(|issue| issue["given"] != "b"), "{issues}");
    // Two labels for the same text, one after the other and one half after the other.
    for label in [|row: usize| row % 2, |row: usize| row / 15] {
        let same: String = (0..30).map(|row| format!("the same,{}\n", label(row))).collect();
        let advice = check("constant features", &format!("text,label\n{same}"));
        assert_eq!(advice["transferability"]["baselines"]["bag_of_words"], 0.5);
        assert_eq!(advice["transferability"]["candidates"][0]["scores"]["linear_probe"], 0.5);
        let interval = [0, 1].map(|bound| advice["expectation"]["interval"][bound].as_f64().unwrap());
        assert!(interval[0] <= 0.5 && 0.5 <= interval[1], "{interval:?}");
    }
}

#[test]
fn what_takes_rows_held_out_is_for_the_run_and_not_for_the_advice() {
    let folder = Folder::new();
    let advised = |more: &[&str]| advise(&folder, more);
    advised(&["--permuted-control", "--test", "test.csv"]);
    advised(&["--folds", "3"]);
    // Five trainings take five times the steps of one, at the speed that the same advice measured: 72 rows, eight a step.
    let seconds = |more: &[&str]| {
        let advice = advised(&[&["--validation-fraction", "0.25", "--epochs", "200"][..], more].concat());
        let found = &advice["learning_rate"];
        assert_eq!(found["setting"]["freeze_layers"], found["tested_freeze_layers"]);
        let (test, steps) = (&found["range_test"], 200.0 * 9.0);
        let training = steps * test["seconds"].as_f64().unwrap() / test["curve"].as_array().unwrap().len() as f64;
        (advice["expectation"]["seconds"].as_f64().unwrap(), training)
    };
    let (five, training) = seconds(&["--seeds", "5"]);
    assert!(five > 5.0 * training, "{five} s, {training} s each");
    let (one, training) = seconds(&[]);
    assert!(one > training && one < 5.0 * training, "{one} s, {training} s");
}

#[test]
fn names_of_models_are_cleaned() {
    let folder = Folder::new();
    let model = model();
    let models = format!("{0}, {0}", model.display());
    let advice: Value =
        serde_json::from_str(&folder.ok(&["advise", "train.csv", "--models", &models, "--json", "--scores-only"]))
            .unwrap();
    assert_eq!(advice["transferability"]["candidates"].as_array().unwrap().len(), 1);
    folder.fails(&["advise", "train.csv", "--models", "seedling,,seedling"], &["--models", "empty"]);
}

#[test]
fn models_that_a_probe_cannot_tell_apart_are_named() {
    let folder = Folder::new();
    let model = model();
    let copy = folder.copy_of_model("copy");
    let models = format!("{},{}", model.display(), copy.display());
    let advice: Value =
        serde_json::from_str(&folder.ok(&["advise", "train.csv", "--models", &models, "--json", "--scores-only"]))
            .unwrap();
    assert_eq!(advice["transferability"]["not_told_apart"].as_array().unwrap().len(), 1);
    let screen = folder.ok(&["advise", "train.csv", "--models", &models]);
    assert_eq!(screen.matches("not told apart").count(), 1, "{screen}");
}

#[test]
fn a_labelled_source_of_too_few_rows_is_said_to_be_missing() {
    let folder = Folder::new();
    folder.write("few.csv", "text,label\none,a\ntwo,b\n");
    let advice = advise(&folder, &["--source-labels", "few.csv", "--scores-only"]);
    let missing = advice["similarity"]["missing"].to_string();
    assert!(missing.contains("few.csv"), "{missing}");
}

#[test]
fn a_thousand_classes_are_scored() {
    let folder = Folder::new();
    let words = ["there", "people", "which", "time", "said", "more", "was", "go", "made", "is", "it", "could", "do"];
    let text = |row: usize| format!("{} {} {}", words[row % 13], words[row / 13 % 13], words[row / 169]);
    let rows: String = (0..1250).map(|row| format!("{},class {}\n", text(row), row % 1000)).collect();
    folder.write("train.csv", format!("text,label\n{rows}"));
    let advice = advise(&folder, &["--max-steps", "4"]);
    // More than the thousand of few classes.
    assert_eq!(advice["rows_looked_at"], 1250);
    let scores = &advice["transferability"]["candidates"][0]["scores"];
    assert!(scores.as_object().unwrap().values().all(is_finite), "{scores}");
    assert!(is_finite(&advice["expectation"]["accuracy"]));
}

#[test]
fn nothing_is_written_over() {
    let folder = Folder::new();
    folder.write("recipe.toml", "mine");
    let hint = folder.fails(&["advise", "train.csv", "--output", "recipe.toml"], &["recipe.toml", "not taken"]);
    assert!(hint.contains("recipe-2.toml"), "{hint}");
    assert_eq!(std::fs::read_to_string(folder.path("recipe.toml")).unwrap(), "mine");
    folder.fails(&["advise", "train.csv", "--output", "none/recipe.toml"], &["none/recipe.toml", "folder"]);
}

#[test]
fn source_texts_are_compared_with() {
    let folder = Folder::new();
    let words = ["the", "people", "there", "is", "place", "number", "of", "a", "in", "time"];
    let text: Vec<&str> = (0..4000).map(|place| words[place * place % 97 % words.len()]).collect();
    folder.write("source.txt", text.join(" "));
    let sources = ["--source-text", "source.txt", "--source-labels", "test.csv", "--scores-only"];
    let advice = advise(&folder, &sources);
    let measures = advice["similarity"]["measures"].as_array().unwrap();
    let names: Vec<&str> = measures.iter().map(|measure| measure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["vocabulary_overlap", "proxy_a_distance", "mmd2", "frechet", "coverage", "otdd"]);
    for measure in measures {
        assert!(
            is_finite(&measure["value"]) && is_finite(&measure["floor"]) && is_finite(&measure["ceiling"]),
            "{measure}"
        );
    }
    assert!(!advice["similarity"]["least_covered"].as_array().unwrap().is_empty());
    let output = folder.fails(&["advise", "train.csv", "--source-text", "none.txt"], &["none.txt"]);
    assert!(!output.is_empty());
}

#[test]
fn without_a_source_general_english_is_compared_with() {
    let folder = Folder::new();
    let panel = &advise(&folder, &["--scores-only"])["similarity"];
    assert!(panel["source"].as_str().unwrap().starts_with("general English"), "{panel}");
    let measures = panel["measures"].as_array().unwrap();
    let names: Vec<&str> = measures.iter().map(|measure| measure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["vocabulary_overlap", "proxy_a_distance", "mmd2", "frechet", "coverage"]);
    let within = |key: &str| measures.iter().all(|measure| is_finite(&measure[key]));
    assert!(within("value") && within("floor") && within("ceiling"), "{panel}");
    assert!(panel["source_texts"].as_u64().unwrap() >= 90, "{panel}");

    let own = folder.copy_of_model("own");
    let panel_with = |profile: &str| {
        folder.write("own/pretraining_profile.json", profile);
        let arguments = ["advise", "train.csv", "--model", own.to_str().unwrap(), "--scores-only", "--json"];
        let advice: Value = serde_json::from_str(&folder.ok(&arguments)).unwrap();
        let panel = &advice["similarity"];
        (panel["source"].as_str().unwrap().to_string(), panel["missing"].to_string(), panel["measures"].clone())
    };
    let (source, missing, _) = panel_with("{");
    assert!(
        source.starts_with("general English") && missing.contains("pretraining_profile.json"),
        "{source} {missing}"
    );
    let (source, missing, measures) = panel_with(r#"{"unigrams":[["the",7]]}"#);
    assert!(source.starts_with("general English") && source.contains("holds 0 texts"), "{source}");
    assert!(!missing.contains("pretraining_profile.json"), "{missing}");
    assert!(measures[0]["note"].as_str().unwrap().starts_with("its pre-training"), "{measures}");
    let sample: Vec<String> =
        (0..64).map(|text| format!("the people of place {text} said that there is a number of it in time")).collect();
    let profile = serde_json::json!({"unigrams": [["the", 7]], "sample": sample});
    let (source, _, measures) = panel_with(&profile.to_string());
    assert!(!source.contains("general English") && source.contains("pretraining_profile.json"), "{source}");
    assert_eq!(measures.as_array().unwrap().len(), 5);
    let advice: Value =
        serde_json::from_str(&folder.ok(&["advise", "train.csv", "--model", "seedling", "--scores-only", "--json"]))
            .unwrap();
    let source = advice["similarity"]["source"].as_str().unwrap();
    assert!(source.contains("on which the carried model was pre-trained"), "{source}");
}

#[test]
fn texts_without_letters_have_no_ceiling() {
    let folder = Folder::new();
    let rows: String = (0..40).map(|row| format!("{} {},{}\n", row * 37 % 101, row, ["a", "b"][row % 2])).collect();
    folder.write("train.csv", format!("text,label\n{rows}"));
    let panel = &advise(&folder, &["--scores-only"])["similarity"];
    assert!(panel["missing"].to_string().contains("no letters"), "{panel}");
    for measure in panel["measures"].as_array().unwrap() {
        assert!(measure["ceiling"].is_null() && measure["place"].is_null(), "{measure}");
    }
}

#[test]
fn a_head_for_words_says_how_surprised_it_is() {
    let folder = Folder::new();
    let model = model().with_file_name("tiny-bert-pretraining");
    let arguments = ["advise", "train.csv", "--model", model.to_str().unwrap(), "--scores-only", "--json"];
    let advice: Value = serde_json::from_str(&folder.ok(&arguments)).unwrap();
    let measures = advice["similarity"]["measures"].as_array().unwrap();
    let loss = measures.iter().find(|measure| measure["name"] == "masked_lm_loss").unwrap();
    let value = loss["value"].as_f64().unwrap();
    assert!(loss["interval"][0].as_f64().unwrap() <= value && value <= loss["interval"][1].as_f64().unwrap());
}

#[test]
fn planted_duplicates_leaks_and_conflicts_are_counted() {
    let folder = Folder::new();
    let long = "the parcel that I ordered on Monday has still not arrived at my door";
    folder.write(
        "train.csv",
        format!("text,label\nsame text,a\nSame  text,b\n{long},a\nother,b\n \" \",a\nmore,A\n")
            .replace(" \" \"", "\" \""),
    );
    folder.write("test.csv", format!("text,label\nsame text,a\n{long} today,a\nnew,b\n"));
    let found = audit(&folder, &["--test", "test.csv"]);
    assert_eq!(found["splits"][0]["repeated_rows"], 1);
    assert_eq!(found["splits"][0]["empty_lines"][0], 6);
    let shared = &found["shared"][0];
    assert_eq!((&shared["texts"], &shared["rows"], &shared["near_rows"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(found["conflicts"].as_array().unwrap().len(), 1);
    assert_eq!(found["label_variants"][0][0], "A");
    assert!(found["findings"].as_array().unwrap().len() >= 5, "{}", found["findings"]);
}

#[test]
fn labels_that_no_run_would_take_are_findings() {
    let folder = Folder::new();
    folder.write("train.csv", "text,label\none,ENTY\ntwo,HUM\nthree,\nfour,HUM\n");
    folder.write("test.csv", "text,label\none,enty\nfive,NUM\nsix,HUM\n");
    let found = audit(&folder, &["--test", "test.csv"]);
    assert_eq!(found["splits"][0]["unlabelled_lines"], serde_json::json!([4]));
    let unknown = found["unknown_labels"].as_array().unwrap();
    let labels: Vec<&Value> = unknown.iter().map(|unknown| &unknown["label"]).collect();
    assert_eq!(labels, ["NUM", "enty"]);
    assert_eq!((&unknown[1]["variant_of"], &unknown[1]["line"]), (&"ENTY".into(), &2.into()));
    // The leak is found all the same, and the model is not asked.
    assert_eq!(found["shared"][0]["texts"], 1);
    let screen = folder.ok(&["audit", "train.csv", "--test", "test.csv"]);
    assert!(screen.contains("no model looked at the rows: labels are missing"), "{screen}");
    folder.fails(&["tune", "train.csv", "--test", "test.csv"], &["train.csv", "line 4"]);
    // The rows are at fault, no model is left out.
    let said = folder.run(&["advise", "train.csv", "--models", "seedling"]);
    let said = String::from_utf8_lossy(&said.stderr).to_string();
    assert!(said.contains("line 4") && !said.contains("left out"), "{said}");
    folder.write("train.csv", "text,label\none,a\ntwo,a\n");
    assert!(audit(&folder, &[])["findings"].to_string().contains("have the same, `a`"));
    folder.write("train.csv", "text,other\none,a\n");
    folder.fails(&["audit", "train.csv", "--label-column", "label"], &["label"]);
}

#[test]
fn another_language_is_cut_into_many_pieces() {
    let folder = Folder::new();
    let rows: String = ('a'..='t')
        .map(|letter| format!("{letter}kuljetusliike on{letter}gelmiss{letter},{}\n", letter as u32 % 2))
        .collect();
    folder.write("train.csv", format!("text,label\n{rows}"));
    let model = model();
    let screen = folder.ok(&["audit", "train.csv", "--model", model.to_str().unwrap()]);
    assert!(screen.contains("pieces on average"), "{screen}");
}

#[test]
fn a_flipped_label_is_doubted_first() {
    let folder = Folder::new();
    let train = std::fs::read_to_string(folder.path("train.csv")).unwrap();
    let mut lines: Vec<String> = train.lines().map(str::to_string).collect();
    assert!(lines[8].starts_with("people") && lines[8].ends_with(",person"), "{}", lines[8]);
    lines[8] = lines[8].replace(",person", ",place");
    folder.write("train.csv", lines.join("\n") + "\n");
    let model = model();
    let found = folder.ok(&["audit", "train.csv", "--model", model.to_str().unwrap(), "--json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["label_issues"]["issues"][0]["line"], 9, "{}", found["label_issues"]);
}

#[test]
fn doubted_labels_are_listed_most_doubtful_first() {
    let folder = Folder::new();
    let model = model();
    let arguments =
        ["audit", "train.csv", "--model", model.to_str().unwrap(), "--label-issues", "doubted.csv", "--json"];
    let found: Value = serde_json::from_str(&folder.ok(&arguments)).unwrap();
    let issues = found["label_issues"]["issues"].as_array().unwrap();
    let margin =
        |issue: &Value| issue["given_probability"].as_f64().unwrap() - issue["suggested_probability"].as_f64().unwrap();
    assert!(issues.windows(2).all(|pair| margin(&pair[0]) <= margin(&pair[1])));
    let written = std::fs::read_to_string(folder.path("doubted.csv")).unwrap();
    assert_eq!(written.lines().count(), 1 + issues.len());
    assert!(written.starts_with("line,label,suggested,"));
    folder.fails(&["audit", "train.csv", "--label-issues", "train.csv"], &["train.csv", "not taken"]);
    assert!(is_finite(&found["tokens"]["pieces_per_word"]));
}

#[test]
fn a_range_test_gives_a_curve_and_leaves_everything_as_it_was() {
    let folder = Folder::new();
    let model = model();
    let run = |more: &[&str]| -> Value {
        let mut arguments = vec!["lr-find", "train.csv", "--model", model.to_str().unwrap(), "--json"];
        arguments.extend(more);
        serde_json::from_str(&folder.ok(&arguments)).unwrap()
    };
    let found = run(&[]);
    let curve = found["curve"].as_array().unwrap();
    assert!(curve.len() > 10 && curve.len() <= 100);
    assert!(curve.windows(2).all(|pair| pair[0]["learning_rate"].as_f64() < pair[1]["learning_rate"].as_f64()));
    assert_eq!(found["state_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(run(&["--steps", "20", "--end-lr", "1e-3"])["curve"].as_array().unwrap().len(), 20);
    let model = model.to_str().unwrap();
    folder.fails(
        &["lr-find", "train.csv", "--model", model, "--start-lr", "0.1", "--end-lr", "0.01"],
        &["--end-lr", "1e-1", "1e-2"],
    );
    // The option of Hugging Face's scripts works here, too.
    folder.ok(&["advise", "train.csv", "--model_name_or_path", model, "--scores-only"]);
}
