"""topwork against `transformers.Trainer` on tags of words, numbers and several labels a row, on the same rows.

    python compare.py --model models/all-MiniLM-L6-v2 --data ../shared/data [--sets …] [--sides …] [--settings same,defaults]
    python compare.py --all-rows --model … --data …     every training row, one seed
    python compare.py --table

For every set and seed the same training rows are drawn (draw.py), and each side is trained on them and scored on the test file.
`same` tells both sides SAME, and topwork to leave out what the trainer does not have; `defaults` tells neither anything. Test rows
with a tag or label that the drawn rows do not have are left out, for both. Both sides run one after the other with the same number
of threads; seconds are of the whole process's work, from reading to saving. With `--jobs` runs stand side by side, and with
`--device cuda` the trainer has a GPU: then the scores are to be compared, and the table shows no seconds.

One line a run is appended to the results, and a finished run is not repeated: of topwork, as long as its sources are the same; the
table shows the newest.
"""
import argparse
import collections
import json
import pathlib
import statistics
import sys
import tempfile

import draw

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "xtask/python"))
import labelled  # noqa: E402

# The task as topwork calls it, the peer's script, the ending of the files, and the metrics of the table.
SETS = {
    "conll2003_ner": ("token-classification", "token_classification.py", "jsonl", ("f1",)),
    "atis_slots": ("token-classification", "token_classification.py", "jsonl", ("f1",)),
    "sick_relatedness": ("regression", "regression.py", "csv", ("pearson", "spearman", "rmse")),
    "atis_slot_types": ("multi-label", "multi_label.py", "jsonl", ("micro_f1", "macro_f1", "map", "subset_accuracy")),
}
# Made of another set by derive_multi_label.py.
DERIVED = {"atis_slot_types": "atis_slots"}
ROWS, SEEDS = 500, (0, 1, 2)
# Six passes over 500 rows in batches of 8, at the rate that topwork takes for few rows; three over all.
SAME = dict(epochs=6, batch_size=8, lr=1e-4, warmup_ratio=0.1, weight_decay=0.01, max_length=128)
SAME_ALL = SAME | dict(epochs=3, batch_size=32)
# With those, and with 5e-4 or 1e-3, a random head for several labels learns nothing but how frequent they are, on either side.
SAME_OF = {"atis_slot_types": dict(lr=3e-4, epochs=20)}
# The same settings by topwork's names.
FLAGS = dict(epochs="num-train-epochs", batch_size="per-device-train-batch-size", lr="learning-rate", warmup_ratio="warmup-ratio",
             weight_decay="weight-decay", max_length="max-seq-length")
# What topwork does besides, and the trainer does not.
PLAIN = ["--layer-decay", 1, "--label-smoothing-factor", 0, "--head-init", "random", "--pooling", "first_token",
         "--validation-fraction", 0]


def labels_of(row):
    """What must be known from training."""
    return set(row.get("tags") or row.get("labels") or [])


def source_of(options, name):
    """The folder of a set's files, and the ending of their names."""
    return pathlib.Path(options.work if name in DERIVED else options.data) / name, SETS[name][2]


def derive(options, name):
    """Makes a set that is made of another, unless it is there."""
    source, ending = source_of(options, name)
    if name in DERIVED and not (source / f"test.{ending}").exists():
        labelled.run([sys.executable, HERE / "derive_multi_label.py", pathlib.Path(options.data) / DERIVED[name], source])


def files(options, name, count, seed, folder):
    """Writes the rows to learn from and those to score on, and returns their paths and how many are left out."""
    source, ending = source_of(options, name)
    train, test = folder / f"train.{ending}", folder / f"test.{ending}"
    known = set().union(*(labels_of(row) for row in draw.draw(source / train.name, count, seed, train)))
    rows, columns = draw.read(source / test.name)
    scored = [row for row in rows if labels_of(row) <= known]
    draw.write(test, scored, columns)
    return train, test, len(rows) - len(scored)


def run_topwork(options, name, train, test, seed, same, folder):
    flags = [word for key, value in same.items() for word in (f"--{FLAGS[key]}", value)] + PLAIN if same else []
    result = labelled.tune(options.topwork, train, test, options.model, seed, folder / "out", "--task", SETS[name][0],
                           "--threads", options.threads, *flags)
    return dict(test=result["test"], seconds=result["seconds"]["total"])


def run_peer(options, name, train, test, seed, same):
    flags = [word for key, value in same.items() for word in (f"--{key.replace('_', '-')}", value)] if same else ["--defaults"]
    result = json.loads(labelled.run([
        options.python, HERE / SETS[name][1], "--model", options.model, "--train", train, "--test", test, "--seed", seed,
        "--threads", options.threads, "--device", options.device, *flags]).strip().splitlines()[-1])
    return dict(test=result["test"], seconds=result["seconds"]["total"], versions=result["versions"])


def measure(options):
    sources = labelled.sources()
    key = lambda line: json.dumps([line.get(part) for part in (
        "set", "side", "setting", "rows", "seed", "model", "settings", "sources", "threads")])
    done = {key(line) for line in labelled.read_results(options.results)}
    count, seeds = (0, SEEDS[:1]) if options.all_rows else (options.rows, SEEDS[:options.seeds])
    same_of = lambda name: (SAME_ALL if options.all_rows else SAME) | SAME_OF.get(name, {})
    lines = [dict(set=name, side=side, setting=setting, rows=count, seed=seed, model=pathlib.Path(options.model).name,
                  settings=same_of(name) if setting == "same" else None, threads=options.threads)
             | (dict(sources=sources) if side == "topwork" else {})
             for name in options.sets.split(",") for seed in seeds
             for setting in options.settings.split(",") for side in options.sides.split(",")]
    for name in options.sets.split(","):
        derive(options, name)
    labelled.side_by_side(options.jobs, lambda line: run_line(options, line), [line for line in lines if key(line) not in done])


def run_line(options, line):
    """Trains and scores one side once, and writes down its line."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        name, seed, same = line["set"], line["seed"], line["settings"]
        train, test, left_out = files(options, name, line["rows"], seed, folder)
        if line["side"] == "topwork":
            result = run_topwork(options, name, train, test, seed, same, folder)
        else:
            result = run_peer(options, name, train, test, seed, same) | dict(device=options.device)
    # Scores by type would make the lines long.
    result["test"] = {metric: value for metric, value in result["test"].items() if not isinstance(value, (dict, list))}
    labelled.append_result(options.results, line | dict(jobs=options.jobs, left_out=left_out, **result))


def table(results):
    newest = {}
    for line in results:
        if line["side"] == "topwork":
            newest[line["set"], line["rows"], line["setting"], line["model"]] = line["sources"]
    cells = collections.defaultdict(dict)
    for line in results:
        place = (line["set"], line["rows"], line["setting"], line["model"])
        if line["side"] != "topwork" or line["sources"] == newest[place]:
            # Of the same run under other settings, the last counts.
            cells[place].setdefault(line["side"], {})[line["seed"]] = line
    print("Means ± standard deviations over seeds; seconds are means.\n")
    print("| set | rows | setting | metric | transformers | topwork | difference | seconds: transformers | topwork |")
    print("|---|--:|---|---|--:|--:|--:|--:|--:|")
    order = lambda place: (list(SETS).index(place[0]), place[1] or 10**9, place[2] != "same", place[3])
    for place in sorted(cells, key=order):
        name, rows, setting, _ = place
        alone = {side: [run["seconds"] for run in runs.values() if run.get("jobs", 1) == 1 and run.get("device", "cpu") == "cpu"]
                 for side, runs in cells[place].items()}
        seconds = lambda side: f"{statistics.mean(alone[side]):.0f}" if alone.get(side) else "–"
        for metric in SETS[name][3]:
            values = {side: [run["test"][metric] for run in runs.values()] for side, runs in cells[place].items()}
            means = {side: statistics.mean(of) for side, of in values.items()}
            shown = lambda side: f"{means[side]:.3f} ± {labelled.spread(values[side]):.3f} (n={len(values[side])})" if side in means else "–"
            gap = f"{means['topwork'] - means['transformers']:+.3f}" if len(means) == 2 else "–"
            print(f"| {name} | {rows or 'all'} | {setting} | {metric} | {shown('transformers')} | {shown('topwork')} | {gap} | "
                  f"{seconds('transformers')} | {seconds('topwork')} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork", default="target/release/topwork")
    parser.add_argument("--python", default="target/venv/bin/python", help="of the environment with transformers")
    parser.add_argument("--model", default="models/all-MiniLM-L6-v2")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--work", default="target/peers", help="where derived sets go")
    parser.add_argument("--results", default="benches/runs/tasks.jsonl")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--sides", default="transformers,topwork")
    parser.add_argument("--settings", default="same,defaults")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side; seconds are then not comparable")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the trainer of transformers")
    parser.add_argument("--all-rows", action="store_true", help="every training row, one seed")
    parser.add_argument("--table", action="store_true", help="only print what was measured")
    options = parser.parse_args()
    if not options.table:
        measure(options)
    table(labelled.read_results(options.results))


if __name__ == "__main__":
    main()
