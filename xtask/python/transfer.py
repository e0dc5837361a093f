"""What the carried model's pre-training is worth: the same network from its weights and from random ones, on the same few
labelled rows, set by set.

For every set, number of rows a class and seed, rows are drawn from the training file (`random.Random(seed)`), and
`topwork tune` runs on them twice, with `--init pretrained` and `--init random`, everything else at its defaults. Both are
scored on the same 1,000 rows of the test file (all where it has fewer). One line a run in a JSONL file; a finished run is
not repeated, and runs of another model (by the hash of its weights) are measured anew.

Use: python transfer.py --topwork target/release/topwork --data ../shared/data --results benches/runs/transfer.jsonl
         [--model seedling] [--sets sst2,…] [--rows 8,32,128] [--seeds 5]
     python transfer.py --table --results benches/runs/transfer.jsonl
"""
import argparse
import collections
import csv
import datetime
import json
import math
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

SETS = ("sst2", "trec6", "tweet_emotion", "banking77", "ag_news_7600")
TEST_ROWS = 1000


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return list(reader), reader.fieldnames


def write(path, rows, names):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def draw(rows, count, seed):
    """`count` rows of each label, or all where there are fewer; in random order."""
    source, by_label = random.Random(seed), collections.defaultdict(list)
    for row in rows:
        by_label[row["label"]].append(row)
    drawn = [row for label in sorted(by_label) for row in source.sample(by_label[label], min(count, len(by_label[label])))]
    source.shuffle(drawn)
    return drawn


def run(options, train, test, init, seed, work):
    command = [options.topwork, "tune", train, "--test", test, "--model", options.model, "--init", init, "--seed", str(seed),
               "--output", work / init, "--compare-seeds", "0", "--json"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stderr}")
    result = json.loads(done.stdout)
    plan = (work / init / "plan.toml").read_text(encoding="utf-8")
    weights = re.search(r'model_sha256 = "(\w+)"', plan).group(1)[:12]
    return dict(accuracy=result["test"]["accuracy"], macro_f1=result["test"]["macro_f1"],
                seconds=result["seconds"]["total"], weights=weights)


def weights_of(options, work):
    """The hash of the model's weights, as a plan names it."""
    write(work / "two.csv", [dict(text="a", label="x"), dict(text="b", label="y")], ["text", "label"])
    command = [options.topwork, "plan", work / "two.csv", "--model", options.model]
    plan = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
    return re.search(r'model_sha256 = "(\w+)"', plan).group(1)[:12]


def read(path):
    path = pathlib.Path(path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(results):
    if not results:
        return
    newest = results[-1]["weights"]
    scores = {(r["set"], r["rows"], r["seed"], r["init"]): 100 * r["accuracy"] for r in results if r["weights"] == newest}
    print(f"Weights {newest}; accuracy in %, mean ± deviation over seeds; the gap with its standard error, paired by seed.\n")
    print("| set | rows a class | random weights | pretrained | gap | seeds won |")
    print("|---|---|---|---|---|---|")
    curves = collections.defaultdict(dict)
    for name in SETS:
        for count in sorted({key[1] for key in scores if key[0] == name}):
            seeds = sorted({key[2] for key in scores if key[:2] == (name, count)})
            pairs = [(scores.get((name, count, s, "random")), scores.get((name, count, s, "pretrained"))) for s in seeds]
            pairs = [pair for pair in pairs if None not in pair]
            if not pairs:
                continue
            gaps = [b - a for a, b in pairs]
            spread = lambda values: statistics.stdev(values) if len(values) > 1 else math.nan
            error = spread(gaps) / math.sqrt(len(gaps))
            means = [statistics.mean(values) for values in zip(*pairs)]
            curves[name][count] = means
            cells = [f"{mean:.1f} ± {spread(values):.1f}" for mean, values in zip(means, zip(*pairs))]
            won = sum(gap > 0 for gap in gaps)
            print(f"| {name} | {count} | {cells[0]} | {cells[1]} | {statistics.mean(gaps):+.1f} ± {error:.1f} | {won}/{len(gaps)} |")
    print("\nLabels saved: rows a class that random weights need for what the pretrained ones reach, along the curve above, "
          "straight between the logarithms of the rows.\n")
    print("| set | pretrained, rows a class | random weights, rows a class |")
    print("|---|---|---|")
    for name, curve in curves.items():
        counts = sorted(curve)
        for count in counts[:-1]:
            print(f"| {name} | {count} | {needed(curve, counts, curve[count][1])} |")


def needed(curve, counts, goal):
    for low, high in zip(counts, counts[1:]):
        a, b = curve[low][0], curve[high][0]
        if a >= goal:
            return f"{low} or fewer"
        if b >= goal:
            part = (goal - a) / (b - a)
            return f"{low * (high / low) ** part:.0f}"
    return f"more than {counts[-1]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork")
    parser.add_argument("--model", default="seedling")
    parser.add_argument("--data")
    parser.add_argument("--results", required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--rows", default="8,32,128")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        with tempfile.TemporaryDirectory() as work:
            weights = weights_of(options, pathlib.Path(work))
        done = {(r["set"], r["rows"], r["seed"], r["init"]) for r in read(options.results) if r["weights"] == weights}
        for name in options.sets.split(","):
            train, columns = rows_of(f"{options.data}/{name}/train.csv")
            test, _ = rows_of(f"{options.data}/{name}/test.csv")
            test = random.Random(0).sample(test, min(TEST_ROWS, len(test)))
            for count in map(int, options.rows.split(",")):
                for seed in range(options.seeds):
                    for init in ("random", "pretrained"):
                        if (name, count, seed, init) in done:
                            continue
                        with tempfile.TemporaryDirectory() as work:
                            work = pathlib.Path(work)
                            write(work / "train.csv", draw(train, count, seed), columns)
                            write(work / "test.csv", test, columns)
                            result = run(options, work / "train.csv", work / "test.csv", init, seed, work)
                        line = dict(set=name, rows=count, seed=seed, init=init, date=datetime.date.today().isoformat(), **result)
                        with open(options.results, "a", encoding="utf-8") as file:
                            file.write(json.dumps(line) + "\n")
                        print(json.dumps(line), file=sys.stderr, flush=True)
    table(read(options.results))


if __name__ == "__main__":
    main()
