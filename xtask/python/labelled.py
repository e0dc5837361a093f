"""What the series of runs on labelled sets share: drawing rows, running `topwork tune`, keeping results.

Results are lines of a JSONL file, one a run, so that an interrupted series goes on where it stopped.
"""
import argparse
import collections
import concurrent.futures
import csv
import datetime
import hashlib
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading

WRITING = threading.Lock()


def series_arguments(rows):
    """What every series with results in a file takes; `rows` are the numbers of rows a class."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork")
    parser.add_argument("--model", default="seedling")
    parser.add_argument("--data")
    parser.add_argument("--results", required=True)
    parser.add_argument("--rows", default=rows)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, of one thread each")
    parser.add_argument("--table", action="store_true", help="only print what was measured")
    return parser


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return list(reader), reader.fieldnames


def write_rows(path, rows, names):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def draw_by_label(rows, count, seed):
    """`count` rows of each label, or all where there are fewer; in random order."""
    source, by_label = random.Random(seed), collections.defaultdict(list)
    for row in rows:
        by_label[row["label"]].append(row)
    drawn = [row for label in sorted(by_label) for row in source.sample(by_label[label], min(count, len(by_label[label])))]
    source.shuffle(drawn)
    return drawn


def run(command):
    """What a command prints; the series ends where one fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"failed: {' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def tune(topwork, train, test, model, seed, output, *more):
    """The results of `topwork tune`, without a comparison."""
    return json.loads(run([topwork, "tune", train, "--test", test, "--model", model, "--seed", seed, "--output", output,
                           "--compare-seeds", "0", "--json", *more]))


def read_results(path):
    path = pathlib.Path(path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append_result(path, line):
    line = dict(line, date=datetime.date.today().isoformat())
    with WRITING, open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), file=sys.stderr, flush=True)


def side_by_side(jobs, work, items):
    """Calls `work` on every item, `jobs` at a time; after a failure no further one is begun."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            for done in concurrent.futures.as_completed([pool.submit(work, item) for item in items]):
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def weights_of(topwork, model):
    """The hash of a model's weights, as a plan names it."""
    with tempfile.TemporaryDirectory() as work:
        rows = pathlib.Path(work) / "two.csv"
        write_rows(rows, [dict(text="a", label="x"), dict(text="b", label="y")], ["text", "label"])
        plan = run([topwork, "plan", rows, "--model", model])
    return re.search(r'model_sha256 = "(\w+)"', plan).group(1)[:12]


def sources():
    """The hash of the sources of topwork, as git names the tree, with that of what was changed since; None where there is
    no git."""
    git = lambda *words: subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
    tree, changed = git("rev-parse", "--short", "HEAD:crates"), git("diff", "HEAD", "--", "crates", "Cargo.toml", "Cargo.lock")
    if not tree:
        return None
    return f"{tree}+{hashlib.sha256(changed.encode()).hexdigest()[:7]}" if changed else tree


def spread(values):
    """The sample's standard deviation; none for one value."""
    return statistics.stdev(values) if len(values) > 1 else float("nan")


def places(values):
    """How many are less than each, and half of those that are equal."""
    return [sum(other < value for other in values) + sum(other == value for other in values) / 2 for value in values]


def rank_correlation(x, y):
    """Spearman's."""
    return statistics.correlation(places(x), places(y))
