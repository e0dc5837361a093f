"""Quality with 8 to 64 labels a class: what `topwork tune` gives, with no flag and with others, on the same rows.

    python few_labels.py --topwork target/release/topwork --model models/all-MiniLM-L6-v2 --data ../shared/data \\
        --results benches/runs/few_labels.jsonl [--part development] [--systems tune,…] [--sets …] [--rows 8,16,32,64] [--seeds 5]
    python few_labels.py --table --results benches/runs/few_labels.jsonl

Rows are drawn of each class of the training file. The part `development` is for choosing defaults: it draws with seeds from 100 on and
scores on other rows of the training file, of all sets but LEFT_OUT. The part `test` draws with seeds from 0 on and scores on the test
file. At most TEST_ROWS rows are scored, the same for every system.

One line a run is appended to the results, and a finished run is not repeated as long as topwork's sources are the same. The table
shows the newest sources of each system.
"""
import collections
import json
import pathlib
import random
import statistics
import tempfile

import labelled

SETS = ("sst2", "trec6", "banking77", "tweet_emotion", "citation_intent", "ag_news_7600", "atis_intent")
# No default is chosen by these.
LEFT_OUT = ("banking77", "atis_intent")
TEST_ROWS = 300
# Flags of `topwork tune`; the system `tune` has none.
SYSTEMS = {
    "tune": [],
    "first_token": ["--pooling", "first_token"],
}


def split(data, name, part, count, seed):
    """Rows to learn from, rows to score, and the names of the columns."""
    rows, names = labelled.read_rows(data / name / "train.csv")
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    drawn, by_label = [], collections.Counter()
    rest = []
    for place in order:
        label = rows[place]["label"]
        by_label[label] += 1
        (drawn if by_label[label] <= count else rest).append(rows[place])
    if part == "test":
        rest, _ = labelled.read_rows(data / name / "test.csv")
        random.Random(seed).shuffle(rest)
    known = {row["label"] for row in drawn}
    return drawn, [row for row in rest if row["label"] in known][:TEST_ROWS], names


def flags_of(system):
    """The flags of a system: its own, or those that follow its name, as in `tune --epochs 40`."""
    name, *more = system.split()
    return SYSTEMS[name] + more


def measure(options):
    sources = labelled.sources()
    first = 100 if options.part == "development" else 0
    key = lambda line: json.dumps([line.get(part) for part in ("part", "set", "rows", "seed", "system", "model", "sources")])
    done = {key(line) for line in labelled.read_results(options.results)}
    lines = [dict(part=options.part, set=name, rows=int(rows), seed=seed, system=system, model=pathlib.Path(options.model).name,
                  sources=sources)
             for name in options.sets.split(",") if options.part == "test" or name not in LEFT_OUT
             for rows in options.rows.split(",") for seed in range(first, first + options.seeds)
             for system in options.systems.split(",")]
    labelled.side_by_side(options.jobs, lambda line: run_line(options, line), [line for line in lines if key(line) not in done])


def run_line(options, line):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        drawn, scored, names = split(pathlib.Path(options.data), line["set"], line["part"], line["rows"], line["seed"])
        labelled.write_rows(folder / "train.csv", drawn, names)
        labelled.write_rows(folder / "test.csv", scored, names)
        flags = ["--threads", 1] if options.jobs > 1 else []
        result = labelled.tune(options.topwork, folder / "train.csv", folder / "test.csv", options.model, line["seed"], folder / "out",
                               *flags, *flags_of(line["system"]))
        labelled.append_result(options.results, line | dict(
            labels=len({row["label"] for row in drawn}), accuracy=result["test"]["accuracy"], macro_f1=result["test"]["macro_f1"],
            seconds=round(result["seconds"]["total"], 1)))


def table(results):
    newest = {}
    for line in results:
        newest[line["system"]] = line["sources"]
    results = [line for line in results if line["sources"] == newest[line["system"]]]
    cells = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in results:
        cells[line["part"], line["model"], line["rows"], line["set"]][line["system"]].append(line)
    systems = sorted({line["system"] for line in results})
    print("| part | model | rows a class | set | " + " | ".join(systems) + " |")
    print("|---|---|--:|---|" + "--:|" * len(systems))
    means = collections.defaultdict(list)
    for place, own in sorted(cells.items()):
        shown = []
        for system in systems:
            scores = [100 * line["accuracy"] for line in own.get(system, [])]
            seconds = [line["seconds"] for line in own.get(system, [])]
            if len(own) == len(systems):
                means[system].append(statistics.mean(scores))
            shown.append(f"{statistics.mean(scores):.1f} ± {labelled.spread(scores):.1f}, {statistics.mean(seconds):.0f} s" if scores else "–")
        part, model, rows, name = place
        print(f"| {part} | {model} | {rows} | {name} | " + " | ".join(shown) + " |")
    if means:
        count = len(means[systems[0]])
        print(f"| mean over the {count} cells of all | | | | " + " | ".join(f"{statistics.mean(means[s]):.1f}" for s in systems) + " |")


def main():
    parser = labelled.series_arguments("8,16,32,64")
    parser.add_argument("--part", choices=("development", "test"), default="test")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--systems", default="tune")
    options = parser.parse_args()
    if options.table:
        table(labelled.read_results(options.results))
    else:
        measure(options)


if __name__ == "__main__":
    main()
