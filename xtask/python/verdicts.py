"""Whether the verdict of a run is right: a sweep of learning rates and epochs, judged by where the scores really peak.

For every model, labelled set, number of epochs and seed, 160 rows are drawn from the training file and 300 from the test
file, and `topwork tune` runs with every learning rate of the sweep, everything else at its defaults. MiniLM is first tuned
on news (`ag_news_7600`, 400 rows), so that it has an earlier task to forget, and is then tuned on the set with other news
rows as `--retain`; the carried model has its head for hidden words. Every group has one more run on labels in random order,
at the middle rate. One line a run in a JSONL file; a finished run is not repeated. `cargo xtask verdicts --table` judges the
recorded signs with the rules at hand.

Use: python verdicts.py --topwork target/release/topwork --data ../shared/data --model models/all-MiniLM-L6-v2
         --results benches/runs/verdicts.jsonl [--sets sst2,…] [--seeds 5] [--jobs 2] [--first-seed 5] [--only-pairs]
     python verdicts.py --complete --data ../shared/data --results benches/runs/verdicts.jsonl
"""
import json
import pathlib
import random
import tempfile

import labelled

SETS = ("trec6", "sst2", "tweet_emotion")
RATES = (1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
EPOCHS = (3, 12)
ROWS, TEST_ROWS, NEWS_ROWS, RETAINED_ROWS = 160, 300, 400, 200


def main():
    parser = labelled.series_arguments(rows="")
    parser.set_defaults(model="models/all-MiniLM-L6-v2")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--first-seed", type=int, default=0, help="the first of the draws")
    parser.add_argument("--only-pairs", action="store_true", help="only runs on labels in random order, and their honest twins")
    parser.add_argument("--complete", action="store_true",
                        help="run nothing: add what guessing gets to lines of versions that did not say, from the same draws")
    options = parser.parse_args()
    if options.complete:
        return complete(options)
    key = lambda r: (r["model"], r["set"], r["epochs"], r["seed"], r["rate"], r["permuted"])
    done = {key(r) for r in labelled.read_results(options.results)}
    work = pathlib.Path("target/verdicts")
    work.mkdir(parents=True, exist_ok=True)
    news = tuned_on_news(options, work)
    models = {"minilm": (news, ["--retain", work / "news-retained.csv"]), "seedling": ("seedling", [])}
    sources = labelled.sources()

    def run(item):
        model, name, epochs, seed, rate, permuted = item
        directory, more = models[model]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            draw(options, name, seed, permuted, folder)
            result = labelled.tune(options.topwork, folder / "train.csv", folder / "test.csv", directory, seed, folder / "out",
                                   "--threads", "1", "--validation-fraction", "0", "--num-train-epochs", epochs,
                                   "--learning-rate", rate, *more)
        verdict = result["verdict"]
        layers = [block["drift"] for block in verdict["forgetting"]["drift"] if block["block"].startswith("layer")]
        verdict["learning_rate"]["signs"]["drift"] = max(layers)
        labelled.append_result(options.results, dict(
            model=model, set=name, epochs=epochs, seed=seed, rate=rate, permuted=permuted, sources=sources,
            train=result["train"]["accuracy"], accuracy=result["test"]["accuracy"], loss=result["test"]["loss"],
            seconds=result["seconds"]["total"], verdict=verdict))

    items = []
    for seed in range(options.first_seed, options.seeds):
        for name in options.sets.split(","):
            for model in models:
                middle = 1e-3 if model == "seedling" else 1e-4
                grid = [(EPOCHS[-1], middle)] if options.only_pairs else [(epochs, rate) for epochs in EPOCHS for rate in RATES]
                items += [(model, name, epochs, seed, rate, False) for epochs, rate in grid]
                items.append((model, name, EPOCHS[-1], seed, middle, True))
    labelled.side_by_side(options.jobs, run, [item for item in items if item not in done])


def complete(options):
    """Writes the results anew, with the shares of the training rows' largest class where a line has none."""
    lines = labelled.read_results(options.results)
    for line in lines:
        overfitting = line["verdict"]["overfitting"]
        if "chosen_among" in overfitting.get("accuracies", {}) or "p_chance" not in overfitting:
            continue
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            draw(options, line["set"], line["seed"], line["permuted"], folder)
            [train, test] = [[row["label"] for row in labelled.read_rows(folder / name)[0]] for name in ("train.csv", "test.csv")]
        largest = lambda labels: max(map(labels.count, set(labels))) / len(labels)
        overfitting["accuracies"] = dict(
            train=line["train"], held_out=line["accuracy"], train_rows=len(train), held_out_rows=len(test), chosen_among=1,
            train_by_guessing=largest(train), held_out_by_guessing=largest(test))
    path = pathlib.Path(options.results)
    new = path.with_suffix(".new")
    new.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    new.replace(path)


def tuned_on_news(options, work):
    """MiniLM with an earlier task; rows of that task which it has not seen are written beside it."""
    rows, columns = labelled.read_rows(f"{options.data}/ag_news_7600/train.csv")
    random.Random(0).shuffle(rows)
    labelled.write_rows(work / "news.csv", rows[:NEWS_ROWS], columns)
    labelled.write_rows(work / "news-retained.csv", rows[NEWS_ROWS:NEWS_ROWS + RETAINED_ROWS], columns)
    directory = work / "minilm-news"
    if not (directory / "all_results.json").exists():
        labelled.run([options.topwork, "tune", work / "news.csv", "--model", options.model, "--output", directory,
                      "--compare-seeds", "0", "--validation-fraction", "0", "--seed", "0"])
    return directory


def draw(options, name, seed, permuted, folder):
    """Writes the rows to learn from and those to score on."""
    rows, columns = labelled.read_rows(f"{options.data}/{name}/train.csv")
    random.Random(seed).shuffle(rows)
    rows = rows[:ROWS]
    if permuted:
        labels = [row["label"] for row in rows]
        random.Random(seed + 1000).shuffle(labels)
        rows = [dict(row, label=label) for row, label in zip(rows, labels)]
    labelled.write_rows(folder / "train.csv", rows, columns)
    known = {row["label"] for row in rows}
    test, _ = labelled.read_rows(f"{options.data}/{name}/test.csv")
    test = [row for row in test if row["label"] in known]
    labelled.write_rows(folder / "test.csv", random.Random(0).sample(test, min(TEST_ROWS, len(test))), columns)


if __name__ == "__main__":
    main()
