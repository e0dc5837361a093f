"""Whether the first line of the verdict is right: runs that are no better than a linear head on the untouched model or a bag of words.

    python floors.py --topwork target/release/topwork --model models/all-MiniLM-L6-v2 --data ../shared/data \\
        --results benches/runs/floors.jsonl [--sets …] [--rows 16] [--seeds 3]
    python floors.py --table --results benches/runs/floors.jsonl [--honest benches/runs/few_labels.jsonl]

Three faults are planted, on rows that few_labels.py draws of the training file:

- `flat`: an encoder whose first token hardly varies. The scale of its last layer norm is a thousandth; the head reads the first token, and all
  layers are frozen: with them, training gets over it.
- `random`: an encoder of the same shape with random weights, in a directory like any other.
- `words`: every text is its label and a number. Words alone tell all.

Each must be flagged: its finding is `not_better` or `within_chance`. Honest are the runs of `tune` in the results of few_labels.py. Of
those the table tells how many are called `not_better`, and of how many of these the cell's mean over draws is above the floor's: these are
false alarms.
"""
import collections
import json
import pathlib
import shutil
import statistics
import tempfile

import few_labels
import labelled

FAULTS = ("flat", "random", "words")
SETS = "sst2,trec6,tweet_emotion"
FLAGGED = ("not_better", "within_chance")
# Of BERT's checkpoints.
LAST_NORM = "encoder.layer.{last}.output.LayerNorm.weight"


def damaged(model, fault, seed, folder):
    """A copy of a model with a fault."""
    import numpy
    from safetensors import numpy as safetensors

    copy = folder / fault
    shutil.copytree(model, copy)
    path = copy / "model.safetensors"
    tensors = safetensors.load_file(path)
    if fault == "flat":
        last = max(int(name.split("layer.")[1].split(".")[0]) for name in tensors if "encoder.layer." in name)
        names = [name for name in tensors if name.endswith(LAST_NORM.format(last=last))]
        if len(names) != 1:
            raise ValueError(f"{path}: expected one {LAST_NORM.format(last=last)}, found {names}")
        tensors[names[0]] = (tensors[names[0]] * 1e-3).astype(tensors[names[0]].dtype)
    else:
        source = numpy.random.default_rng(seed)
        for name, values in tensors.items():
            if values.dtype.kind == "f":
                # As new models of BERT begin: the scales of layer norms are 1, all biases 0.
                fresh = source.normal(0, 0.02, values.shape) if values.ndim > 1 else numpy.full(values.shape, name.endswith("weight"))
                tensors[name] = fresh.astype(values.dtype)
    safetensors.save_file(tensors, path, metadata={"format": "pt"})
    return copy


def layers(model):
    return json.loads((pathlib.Path(model) / "config.json").read_text())["num_hidden_layers"]


def with_label(rows, names):
    text = names[0]
    return [dict(row, **{text: f"{row['label']} {number}"}) for number, row in enumerate(rows)]


def run_line(options, line):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        drawn, scored, names = few_labels.split(pathlib.Path(options.data), line["set"], "test", line["rows"], line["seed"])
        model, flags = options.model, []
        if line["fault"] == "words":
            drawn, scored = with_label(drawn, names), with_label(scored, names)
        else:
            model = damaged(options.model, line["fault"], line["seed"], folder)
        if line["fault"] == "flat":
            flags = ["--pooling", "first_token", "--method", "finetune", "--freeze-layers", layers(options.model)]
        labelled.write_rows(folder / "train.csv", drawn, names)
        labelled.write_rows(folder / "test.csv", scored, names)
        result = labelled.tune(options.topwork, folder / "train.csv", folder / "test.csv", model, line["seed"], folder / "out",
                               *(["--threads", 1] if options.jobs > 1 else []), *flags)
        floor = result["floor"]
        labelled.append_result(options.results, line | dict(
            finding=floor["finding"], best=floor["best"], own=floor["own"], value=floor["value"], p=floor["p"]))


def measure(options):
    sources = labelled.sources()
    parts = ("fault", "set", "rows", "seed", "model", "sources")
    done = {tuple(line[part] for part in parts) for line in labelled.read_results(options.results)}
    lines = [dict(fault=fault, set=name, rows=int(rows), seed=seed, model=pathlib.Path(options.model).name, sources=sources)
             for fault in FAULTS for name in options.sets.split(",") for rows in options.rows.split(",") for seed in range(options.seeds)]
    labelled.side_by_side(options.jobs, lambda line: run_line(options, line),
                          [line for line in lines if tuple(line[part] for part in parts) not in done])


def table(results, honest):
    newest = results[-1]["sources"] if results else None
    cells = collections.defaultdict(list)
    for line in results:
        if line["sources"] == newest:
            cells[line["fault"], line["set"]].append(line)
    print("| fault | set | runs | flagged | the run | the floor | of |")
    print("|---|---|--:|--:|--:|--:|---|")
    for (fault, name), runs in cells.items():
        flagged = sum(run["finding"] in FLAGGED for run in runs)
        mean = lambda key: 100 * statistics.mean(run[key] for run in runs)
        best = ", ".join(sorted({run["best"] for run in runs}))
        print(f"| {fault} | {name} | {len(runs)} | {flagged} | {mean('own'):.1f} | {mean('value'):.1f} | {best} |")
    honest = [line for line in honest if line["system"] == "tune" and line["part"] == "test" and line.get("finding")]
    by_cell = collections.defaultdict(list)
    for line in honest:
        by_cell[line["set"], line["rows"], line["model"], line["sources"]].append(line)
    gain = lambda run: run["accuracy"] - max(run["floor"][name] for name in few_labels.FLOORS if name in run["floor"])
    called = [(cell, run) for cell, runs in by_cell.items() for run in runs if run["finding"] == "not_better"]
    false = [run for cell, run in called if statistics.mean(gain(other) for other in by_cell[cell]) > 0]
    if not honest:
        print("\nHonest runs: none with a finding; cargo xtask few-labels makes them")
    else:
        print(f"\nHonest runs: {len(honest)}; called not_better: {len(called)}, of which {len(false)} in cells whose mean is above the floor "
              f"({100 * len(false) / len(honest):.1f} % false alarms)")


def main():
    parser = labelled.series_arguments("16")
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--honest", default="benches/runs/few_labels.jsonl", help="results of few_labels.py")
    options = parser.parse_args()
    if options.table:
        table(labelled.read_results(options.results), labelled.read_results(options.honest))
    else:
        measure(options)


if __name__ == "__main__":
    main()
