"""Quality with 8 to 64 labels a class: what `topwork tune` gives, with no flag and with others, on the same rows.

    python few_labels.py --topwork target/release/topwork --model models/all-MiniLM-L6-v2 --data ../shared/data \\
        --results benches/runs/few_labels.jsonl [--part development] [--systems tune,…] [--sets …] [--rows 8,16,32,64] [--seeds 5]
    python few_labels.py --table --results benches/runs/few_labels.jsonl

Rows are drawn of each class of the training file. The part `development` is for choosing defaults: it draws with seeds from 100 on and
scores on other rows of the training file, of all sets but LEFT_OUT. The part `test` draws with seeds from 0 on and scores on the test
file. At most TEST_ROWS rows are scored, the same for every system. PEERS are run by --python, on the same rows.

One line a run is appended to the results, and a finished run is not repeated as long as topwork's sources are the same. The table
shows, of each system, the sources with the most runs.
"""
import collections
import json
import pathlib
import random
import statistics
import tempfile

import labelled

SETS = ("sst2", "trec6", "banking77", "tweet_emotion", "citation_intent", "ag_news_7600", "atis_intent", "tickets")
# Where a set lies that is not in the data folder.
ELSEWHERE = {"tickets": ("examples/tickets.csv", "examples/tickets-test.csv")}
# No default is chosen by these.
LEFT_OUT = ("banking77", "atis_intent", "tickets")
TEST_ROWS = 300
# Flags of `topwork tune`; the system `tune` has none.
SYSTEMS = {
    "tune": [],
    "first_token": ["--pooling", "first_token"],
    "finetune": ["--method", "finetune"],
    "linear": ["--method", "linear"],
}
# What every run of `tune` is compared with, as systems of the table.
FLOORS = {"frozen + linear head": "frozen + linear", "bag of words": "bag of words"}
# Scripts of benches/peers and what they take.
PEERS = {
    "peer_setfit": ["few_labels.py", "setfit"],
    "peer_logistic": ["few_labels.py", "logistic"],
    "peer_trainer": ["classification.py", "--defaults"],
}


def draw(rows, count, seed):
    """`count` rows of each class, and all others, in random order."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    drawn, rest, by_label = [], [], collections.Counter()
    for place in order:
        label = rows[place]["label"]
        by_label[label] += 1
        (drawn if by_label[label] <= count else rest).append(rows[place])
    return drawn, rest


def split(data, name, part, count, seed):
    """Rows to learn from, rows to score, and the names of the columns."""
    train, test = ELSEWHERE.get(name, (data / name / "train.csv", data / name / "test.csv"))
    rows, names = labelled.read_rows(train)
    drawn, rest = draw(rows, count, seed)
    if part == "test":
        rest, _ = labelled.read_rows(test)
        random.Random(seed).shuffle(rest)
    known = {row["label"] for row in drawn}
    return drawn, [row for row in rest if row["label"] in known][:TEST_ROWS], names


def run_peer(options, system, train, test, seed):
    script, *more = PEERS[system]
    threads = 1 if options.jobs > 1 else 2
    output = labelled.run([options.python, pathlib.Path("benches/peers") / script, *more, "--train", train, "--test", test, "--model",
                           options.model, "--seed", seed, "--threads", threads])
    return json.loads(output.strip().splitlines()[-1])


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
                  sources="" if system in PEERS else sources)
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
        if line["system"] in PEERS:
            result = run_peer(options, line["system"], folder / "train.csv", folder / "test.csv", line["seed"])
            extra = dict(versions=result["versions"])
        else:
            result = labelled.tune(options.topwork, folder / "train.csv", folder / "test.csv", options.model, line["seed"], folder / "out",
                                   *flags, *flags_of(line["system"]))
            # What the run was compared with, for nothing.
            contenders = (result.get("transfer") or {}).get("contenders", [])
            extra = dict(floor={own["name"]: own["accuracy"] for own in contenders[:-1]},
                         finding=(result.get("floor") or {}).get("finding"))
        labelled.append_result(options.results, line | dict(
            labels=len({row["label"] for row in drawn}), accuracy=result["test"]["accuracy"], macro_f1=result["test"]["macro_f1"],
            seconds=round(result["seconds"]["total"], 1), **extra))


def with_floors(results):
    """The results, and as systems of their own what `tune` was compared with, on the same rows."""
    floors = [dict(line, system=FLOORS[name], accuracy=accuracy, seconds=None)
              for line in results if line["system"] == "tune" for name, accuracy in line.get("floor", {}).items() if name in FLOORS]
    return results + floors


def table(results):
    # Of each system the sources with the most runs, the newest among equals: a series that was ended early stands in for nothing.
    runs = collections.Counter((line["system"], line["model"], line["sources"]) for line in results)
    chosen = {}
    for line in results:
        system = line["system"], line["model"]
        if runs[*system, line["sources"]] >= runs[*system, chosen.get(system)]:
            chosen[system] = line["sources"]
    results = with_floors([line for line in results if line["sources"] == chosen[line["system"], line["model"]]])
    cells = collections.defaultdict(lambda: collections.defaultdict(dict))
    for line in results:
        cells[line["part"], line["model"], line["rows"], line["set"]][line["system"]][line["seed"]] = line
    systems = sorted({line["system"] for line in results})
    print("| part | model | rows a class | set | " + " | ".join(systems) + " |")
    print("|---|---|--:|---|" + "--:|" * len(systems))
    for (part, model, rows, name), own in sorted(cells.items()):
        left_out = " (left out)" if name in LEFT_OUT else ""
        print(f"| {part} | {model} | {rows} | {name}{left_out} | " + " | ".join(shown(own.get(system, {})) for system in systems) + " |")
    for system in systems:
        if system != "tune":
            compare(cells, system)


def shown(lines):
    """Mean and standard deviation of a cell in per cent, and the seconds of a run."""
    if not lines:
        return "–"
    scores = [100 * line["accuracy"] for line in lines.values()]
    seconds = [line["seconds"] for line in lines.values() if line["seconds"] is not None]
    time = f", {statistics.mean(seconds):.0f} s" if seconds else ""
    return f"{statistics.mean(scores):.1f} ± {labelled.spread(scores):.1f}{time}"


def compare(cells, system):
    """`tune` against a system, draw by draw: the mean difference over the cells that both have, and the cells in which it is behind by
    more than two standard errors."""
    differences, behind = [], []
    for place, own in sorted(cells.items()):
        draws = sorted(set(own.get("tune", {})) & set(own.get(system, {})))
        if not draws:
            continue
        paired = [100 * (own["tune"][seed]["accuracy"] - own[system][seed]["accuracy"]) for seed in draws]
        differences.append(statistics.mean(paired))
        if len(set(paired)) > 1 and statistics.mean(paired) < -2 * statistics.stdev(paired) / len(paired) ** 0.5:
            behind.append(f"{place[3]} at {place[2]} ({statistics.mean(paired):+.1f})")
    if differences:
        print(f"\ntune − {system}: {statistics.mean(differences):+.1f} points over {len(differences)} cells; "
              f"behind by more than two standard errors: {', '.join(behind) or 'in none'}")


def main():
    parser = labelled.series_arguments("8,16,32,64")
    parser.add_argument("--part", choices=("development", "test"), default="test")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--systems", default="tune")
    parser.add_argument("--python", default="target/venv/bin/python", help="of the environment of the peers")
    options = parser.parse_args()
    if options.table:
        table(labelled.read_results(options.results))
    else:
        measure(options)


if __name__ == "__main__":
    main()
