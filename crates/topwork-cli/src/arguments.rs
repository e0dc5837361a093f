//! The command line. The options of `tune` and `plan` come from the one list in `topwork::plan::fields`, those of `pretrain`
//! from `topwork::pretrain::options`.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use topwork::advise::race::MOST_EFFORT;
use topwork::error::Error;
use topwork::plan::error::PlanError;
use topwork::plan::fields::{FIELDS, Field, Table};
use topwork::plan::recipe::{Options, Recipe};
use topwork::plan::value::RecipeValue;
use topwork::pretrain::options::{PRETRAIN_FIELDS, PretrainRecipe, path_list};
use topwork::run::checkpoint;
use topwork_data::{ColumnNames, MissingLabels};

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("topwork")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Take a pretrained model and make it good at your task")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(110)
        .subcommand(advise())
        .subcommand(audit())
        .subcommand(lr_find())
        .subcommand(tune())
        .subcommand(pretrain())
        .subcommand(plan())
        .subcommand(predict())
        .subcommand(evaluate())
        .subcommand(curve())
        .subcommand(report())
        .subcommand(
            Command::new("tasks")
                .about("List what can be learnt, and what the data looks like")
                .arg(json("Print JSON")),
        )
        .subcommand(Command::new("families").about("List the model families").arg(json("Print JSON")))
        // Of an option that is said twice the last counts, so that a hint can be pasted behind what was typed.
        .mut_subcommands(|command| command.args_override_self(true))
}

fn tune() -> Command {
    options(Command::new("tune"))
        .about("Fine-tune a pretrained encoder on a labelled file")
        .after_help(
            "Examples:\n  topwork tune train.csv --test test.csv --model sentence-transformers/all-MiniLM-L6-v2 --output out\n  \
             topwork tune sentences.jsonl --task token_classification --model distilbert/distilbert-base-cased\n  \
             topwork tune pairs.csv --task regression\n  topwork tune topics.csv --task multi_label",
        )
        .arg(resume())
        .arg(
            Arg::new("auto")
                .long("auto")
                .action(ArgAction::SetTrue)
                .conflicts_with("resume")
                .help("First measure, as `topwork advise`, and take what it advises where nothing else is said"),
        )
        .arg(json("Print the results as JSON on standard output"))
}

fn advise() -> Command {
    let recipe_file = Arg::new("output")
        .long("output")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("Where the advised recipe goes; everything that was measured goes beside it");
    let scores_only = Arg::new("scores-only")
        .long("scores-only")
        .action(ArgAction::SetTrue)
        .help("Score the models and train nothing: no learning rate, no expectation, no recipe");
    measuring(Command::new("advise"), |_| true)
        .about("Measure the data and the models before anything is trained, and write the recipe for `tune`")
        .after_help(
            "Examples:\n  topwork advise train.csv --model sentence-transformers/all-MiniLM-L6-v2 --output recipe.toml\n  \
             topwork advise train.csv --models seedling,DIR --scores-only",
        )
        .arg(models())
        .arg(source_text())
        .arg(
            Arg::new("source-labels")
                .long("source-labels")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("A labelled file, such as that of an earlier task, to measure the distance to, texts and classes together"),
        )
        .arg(effort())
        .arg(scores_only)
        .arg(recipe_file)
        .arg(json("Print everything that was measured as JSON on standard output"))
}

fn audit() -> Command {
    let issues = Arg::new("label-issues")
        .long("label-issues")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .conflicts_with("no-model")
        .help("A CSV file for the rows whose label is doubted, most doubtful first");
    let no_model = Arg::new("no-model")
        .long("no-model")
        .action(ArgAction::SetTrue)
        .help("Look at the texts and labels alone: no tokens, no doubted labels");
    measuring(Command::new("audit"), |field| {
        field.table == Table::Data && !["retain_file", "unlabelled_file"].contains(&field.key)
            || ["seed", "threads"].contains(&field.key)
    })
    .about("Find what is wrong with labelled files: duplicates, leaks, conflicts, doubtful labels")
    .after_help("Example:\n  topwork audit train.csv --test test.csv --label-issues doubted.csv")
    .arg(option_of("model_name_or_path"))
    .arg(issues)
    .arg(no_model)
    .arg(json("Print everything that was found as JSON on standard output"))
}

fn lr_find() -> Command {
    let rate = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("RATE").value_parser(rate_below_ten).help(help)
    };
    measuring(Command::new("lr-find"), |field| !NOT_OF_A_RANGE.contains(&field.key))
        .about(
            "Raise the learning rate step by step until the loss explodes, and say where it may lie; changes nothing",
        )
        .after_help("Example:\n  topwork lr-find train.csv --model DIR --freeze-layers 3")
        .arg(option_of("model_name_or_path"))
        .arg(rate("start-lr", "The first learning rate [default: 1e-6]"))
        .arg(rate("end-lr", "The last learning rate, unless the loss explodes before [default: 0.1]"))
        .arg(
            Arg::new("steps")
                .long("steps")
                .value_name("STEPS")
                .value_parser(value_parser!(u32).range(20..=10_000))
                .help("Optimizer steps of the test, 20 to 10000 [default: 100]"),
        )
        .arg(json("Print the curve and the suggestions as JSON on standard output"))
}

/// What has no part in a range test, which ends after so many steps and keeps nothing.
const NOT_OF_A_RANGE: &[&str] = &[
    "test_file",
    "retain_file",
    "unlabelled_file",
    "num_train_epochs",
    "max_steps",
    "lr_scheduler_type",
    "warmup_ratio",
    "early_stopping_patience",
    "metric_for_best_model",
    "load_best_model_at_end",
    "compare_seeds",
    "permuted_control",
    "seeds",
    "folds",
    "floor",
];

/// The training file and those options of `tune` that have an effect, but for the model and the directory of a result.
fn measuring(command: Command, has_effect: impl Fn(&Field) -> bool) -> Command {
    let train = file("TRAIN").required(false).help("The labelled file to learn from: CSV, TSV or JSON lines");
    let fields = FIELDS.iter().filter(|field| !["model_name_or_path", "output_dir"].contains(&field.key));
    with_options(command.arg(train), fields.filter(|field| has_effect(field)))
}

fn models() -> Arg {
    Arg::new("models")
        .long("models")
        .visible_aliases(["model", "model-name-or-path"])
        .alias("model_name_or_path")
        .value_name("MODEL,…")
        .value_delimiter(',')
        .action(ArgAction::Append)
        .help("The pretrained models to choose among: directories or hub ids, separated by commas")
}

fn source_text() -> Arg {
    Arg::new("source-text")
        .long("source-text")
        .value_name("FILE,…")
        .value_delimiter(',')
        .action(ArgAction::Append)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help(
            "Text of the kind that the models were pre-trained on, to measure how far the labelled rows lie from it \
             [default: what the model holds of it, or general English]",
        )
}

fn effort() -> Arg {
    Arg::new("effort")
        .long("effort")
        .value_name("TIMES")
        .value_parser(times)
        .help("What the race of settings may cost, as a multiple of the usual [default: 1]")
}

fn times(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(times) if (0.01..=MOST_EFFORT).contains(&times) => Ok(times),
        _ => Err(format!("expected a number from 0.01 to {MOST_EFFORT}")),
    }
}

fn rate_below_ten(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 10.0 => Ok(rate),
        _ => Err("expected a number above 0 and up to 10".to_string()),
    }
}

fn option_of(key: &str) -> Arg {
    FIELDS.iter().find(|field| field.key == key).map_or_else(|| Arg::new(key.to_string()), option)
}

fn pretrain() -> Command {
    let corpus = file("CORPUS")
        .required(false)
        .num_args(0..)
        .help("Text files, plain or .gz or .zst, CSV, TSV, JSON lines or Parquet");
    listed(Command::new("pretrain").arg(corpus), PRETRAIN_FIELDS)
        .about("Learn a language from raw text: from scratch, or on from a pretrained encoder")
        .after_help(
            "Examples:\n  topwork pretrain corpus/*.txt --time 2h --output seedling\n  \
             topwork pretrain reviews.txt --from sentence-transformers/all-MiniLM-L6-v2 --output adapted",
        )
        .arg(resume())
        .arg(json("Print the results as JSON on standard output"))
}

fn resume() -> Arg {
    Arg::new("resume")
        .long("resume")
        .alias("resume-from-checkpoint")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::DirPath)
        .conflicts_with("recipe")
        .help("Go on with the interrupted run whose output directory this is")
}

fn plan() -> Command {
    options(Command::new("plan"))
        .about("Show what `tune` would do, and where each value comes from; trains nothing")
        .after_help("Example:\n  topwork plan train.csv --model DIR --freeze-layers 3")
        .arg(json("Print the plan as JSON on standard output"))
}

fn predict() -> Command {
    columns(Command::new("predict"))
        .about("Predict classes, labels, numbers or tags for the texts of a file, or of standard input")
        .after_help("Examples:\n  topwork predict out new.csv\n  echo 'How far is the moon?' | topwork predict out")
        .arg(model())
        .arg(
            file("FILE")
                .required(false)
                .help("CSV, TSV, JSON, Parquet, Arrow, xlsx or plain lines, also packed; without it, or as -, standard input"),
        )
        .arg(names_of_labels())
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("The file to write, once it is whole; without it, rows are written to standard output as they are answered"),
        )
        .arg(batch_size())
        .arg(json("Print one JSON object a row, with everything that the model says of it"))
}

fn evaluate() -> Command {
    columns(Command::new("evaluate"))
        .about("Score a fine-tuned model on a labelled file")
        .after_help("Example:\n  topwork evaluate out test.csv")
        .arg(model())
        .arg(file("FILE").help("CSV, TSV or JSON lines with labels"))
        .arg(label_column())
        .arg(names_of_labels())
        .arg(
            Arg::new("missing-labels")
                .long("missing-labels")
                .value_name("error|drop|keep")
                .value_parser(PossibleValuesParser::new(["error", "drop", "keep"]))
                .default_value("error")
                .help("What becomes of rows without a label, or with a word for none, such as nan"),
        )
        .arg(batch_size())
        .arg(json("Print the scores as JSON on standard output"))
}

fn curve() -> Command {
    let sizes = Arg::new("sizes")
        .long("sizes")
        .value_name("ROWS,…")
        .value_delimiter(',')
        .action(ArgAction::Set)
        .value_parser(value_parser!(u32).range(2..))
        .help("Numbers of labelled rows [default: all, a half, a quarter and so on]");
    let page = Arg::new("output")
        .long("output")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("A page with the curve");
    let train = file("TRAIN").required(false).help("The labelled file to learn from: CSV, TSV or JSON lines");
    let without =
        ["output_dir", "compare_seeds", "folds", "floor", "permuted_control", "retain_file", "unlabelled_file"];
    let fields = FIELDS.iter().filter(|field| !without.contains(&field.key));
    with_options(Command::new("curve").arg(train), fields)
        .about("Draw the score against the number of labels, and say how many more the next point would cost")
        .after_help("Example:\n  topwork curve train.csv --test test.csv --model DIR --output curve.html")
        .arg(sizes)
        .arg(page)
        .arg(json("Print the curve as JSON on standard output"))
}

fn report() -> Command {
    let runs = Arg::new("RUN")
        .required(true)
        .num_args(1..)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::DirPath)
        .help("The output directory of `topwork tune`; of several, they are set side by side");
    let output = Arg::new("output")
        .long("output")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("Where the page goes [default: report.html in the directory; of several, here]");
    Command::new("report")
        .about("Make the report of a run again, or set several runs side by side: a page that needs nothing else")
        .after_help("Examples:\n  topwork report out\n  topwork report runs/a runs/b --output comparison.html")
        .arg(runs)
        .arg(output)
}

/// The positional training file, `--recipe`, and every option of the list.
fn options(command: Command) -> Command {
    let train = file("TRAIN").required(false).help("The labelled file to learn from: CSV, TSV or JSON lines");
    listed(command.arg(train), FIELDS)
}

/// `--recipe`, and every option of a list.
fn listed(command: Command, fields: &'static [Field]) -> Command {
    with_options(command, fields.iter())
}

fn with_options(command: Command, fields: impl Iterator<Item = &'static Field>) -> Command {
    let recipe = Arg::new("recipe")
        .long("recipe")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("A TOML file with options, such as the plan.toml of an earlier run; what flags say counts more");
    fields.fold(command.arg(recipe), |command, field| command.arg(option(field)))
}

fn option(field: &'static Field) -> Arg {
    let dashed = |name: &str| name.replace('_', "-");
    let mut arg = Arg::new(field.key)
        .long(dashed(field.key))
        .visible_aliases(field.aliases.iter().map(|alias| dashed(alias)))
        .help(field.help.trim().to_string())
        .help_heading(match field.table {
            Table::Model => "Model",
            Table::Data => "Data",
            Table::Objective => "Objective",
            Table::Training => "Training",
        })
        .allow_negative_numbers(true)
        .value_name(if field.choices.is_empty() { "VALUE".to_string() } else { field.choices.join("|") });
    // Hugging Face's scripts spell options with underscores.
    for name in field.aliases.iter().copied().chain([field.key]).filter(|name| name.contains('_')) {
        arg = arg.alias(name);
    }
    if field.is_switch {
        arg = arg
            .num_args(0..=1)
            .default_missing_value("true")
            .value_parser(PossibleValuesParser::new(["true", "false", "True", "False"]));
    }
    arg
}

fn model() -> Arg {
    Arg::new("MODEL")
        .required(true)
        .value_hint(ValueHint::DirPath)
        .help("The output directory of `topwork tune`, or a hub id")
}

fn file(name: &'static str) -> Arg {
    Arg::new(name).required(true).value_parser(value_parser!(PathBuf)).value_hint(ValueHint::FilePath)
}

fn batch_size() -> Arg {
    Arg::new("batch-size")
        .long("batch-size")
        .value_name("ROWS")
        .value_parser(value_parser!(u32).range(1..))
        .default_value("32")
        .help("Rows of one forward pass; but for rounding, the result does not depend on it")
}

fn json(help: &'static str) -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help(help)
}

fn columns(command: Command) -> Command {
    command
        .arg(column("text-column", "The column with the text"))
        .arg(column("text-pair-column", "The column with the second text of a pair"))
        .arg(
            Arg::new("no-header")
                .long("no-header")
                .action(ArgAction::SetTrue)
                .help("The first row is a row: the columns are called 1, 2 and so on"),
        )
}

fn label_column() -> Arg {
    column("label-column", "The column with the label")
}

fn column(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("NAME").help(help)
}

/// The columns that the flags of `predict` and `evaluate` name.
pub(crate) fn column_names(matches: &ArgMatches) -> ColumnNames {
    let named = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    ColumnNames {
        text: named("text-column"),
        text_pair: named("text-pair-column"),
        labels: named("label-column").into_iter().collect(),
        no_header: matches.get_flag("no-header"),
    }
}

/// The option of `predict` and `evaluate` that names outputs.
fn names_of_labels() -> Arg {
    Arg::new("label-names-file")
        .long("label-names-file")
        .visible_alias("label-names")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("Names for the model's outputs, one a line, as for a checkpoint that calls them LABEL_0 and so on")
}

/// The names in the file of that option, if it is given.
///
/// # Errors
/// When the file cannot be read or has none.
pub(crate) fn label_names(matches: &ArgMatches) -> Result<Option<Vec<String>>, Error> {
    let path = matches.get_one::<PathBuf>("label-names-file");
    path.map(|path| topwork::session::label_names_in(path)).transpose()
}

/// What the flag of `evaluate` says of rows without a label.
pub(crate) fn missing_labels(matches: &ArgMatches) -> MissingLabels {
    let said = matches.get_one::<String>("missing-labels");
    said.and_then(|said| MissingLabels::from_text(said)).unwrap_or_default()
}

/// What flags and recipe file say together; flags win.
///
/// # Errors
/// When the file is no recipe, or a value is not of its option's type.
pub(crate) fn recipe(matches: &ArgMatches) -> Result<Recipe, Error> {
    let mut flags = Recipe::default();
    if let Some(train) = matches.get_one::<PathBuf>("TRAIN") {
        flags.say("train_file", utf8(train, "TRAIN")?, "TRAIN")?;
    }
    said(matches, flags, "tune", "TRAIN")
}

/// What flags and recipe file say together about pre-training; flags win.
///
/// # Errors
/// As [`recipe`].
pub(crate) fn pretrain_recipe(matches: &ArgMatches) -> Result<PretrainRecipe, Error> {
    let mut flags = PretrainRecipe::default();
    if let Some(paths) = matches.get_many::<PathBuf>("CORPUS") {
        let paths: Vec<&str> = paths.map(|path| utf8(path, "CORPUS")).collect::<Result<_, _>>()?;
        flags.say("corpus_files", &path_list(paths), "CORPUS")?;
    }
    said(matches, flags, "pretrain", "CORPUS")
}

/// Adds to the positional arguments what the flags of `command` and its recipe file say.
fn said<R: Options>(matches: &ArgMatches, mut flags: R, command: &str, positional: &str) -> Result<R, Error> {
    for field in R::FIELDS {
        if let Some(text) = matches.try_get_one::<String>(field.key).ok().flatten() {
            flags.say(field.key, text, &typed(field))?;
        }
    }
    if let Some(directory) = matches.try_get_one::<PathBuf>("resume").ok().flatten() {
        // A file may lie elsewhere by now: its hash, which the plan has, tells whether it is the same.
        let is_fixed = |field: &&Field| field.key != "threads" && !LOCATIONS.contains(&field.key);
        let said = R::FIELDS.iter().filter(is_fixed).find(|field| matches.contains_id(field.key));
        let positional = (positional == "CORPUS" && matches.contains_id(positional)).then(|| positional.to_string());
        if let Some(other) = said.map(typed).or(positional) {
            return Err(Error::from(PlanError::Contradiction {
                first: "--resume".into(),
                second: other,
                reason: "an interrupted run goes on as it was planned".into(),
                hint: format!("topwork {command} --resume '{}'", directory.display()),
            }));
        }
        let recipe = R::read(&directory.join(topwork::run::output_directory::PLAN))?;
        flags.say("output_dir", utf8(directory, "--resume")?, "--resume")?;
        locate_files(&recipe, &mut flags, directory)?;
        return Ok(recipe.relocated_by(flags));
    }
    match matches.get_one::<PathBuf>("recipe") {
        Some(path) => Ok(R::read(path)?.overridden_by(flags)),
        None => Ok(flags),
    }
}

/// Options that say where something lies, which may change while a run is interrupted.
const LOCATIONS: [&str; 7] = [
    "train_file",
    "validation_file",
    "test_file",
    "retain_file",
    "unlabelled_file",
    "label_names_file",
    "model_name_or_path",
];

/// Says the files of an interrupted run by the directory in which it was started, where they are not here.
fn locate_files<R: Options>(recipe: &R, flags: &mut R, directory: &Path) -> Result<(), Error> {
    let Some(start) = checkpoint::working_directory(directory) else { return Ok(()) };
    for key in LOCATIONS {
        let Some(said) = recipe.path(key).filter(|_| flags.path(key).is_none()) else { continue };
        let there = start.join(&said);
        if said.is_relative() && !said.exists() && there.exists() {
            flags.say(key, utf8(&there, key)?, "--resume")?;
        }
    }
    Ok(())
}

/// A recipe is a text, and so are the paths in it.
fn utf8<'a>(path: &'a Path, place: &str) -> Result<&'a str, Error> {
    path.to_str().ok_or_else(|| {
        let (place, expected) = (place.to_string(), "a path in UTF-8".to_string());
        Error::from(PlanError::Invalid { place, expected, found: format!("{path:?}") })
    })
}

/// The name under which the user wrote an option.
fn typed(field: &Field) -> String {
    let written = |name: &str| {
        let flag = format!("--{name}");
        let mut arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
        arguments.any(|arg| arg == flag || arg.strip_prefix(&flag).is_some_and(|rest| rest.starts_with('=')))
    };
    let names = [field.key].into_iter().chain(field.aliases.iter().copied());
    let spellings = names.flat_map(|name| [name.replace('_', "-"), name.to_string()]);
    let found = spellings.into_iter().find(|name| written(name));
    found.map_or_else(|| field.flag(), |name| format!("--{name}"))
}
