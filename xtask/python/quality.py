"""Quality with few labels: topwork's defaults against the peers, set by set, on the same rows.

For every set and every seed in 0, 1, 2 the same 500 training rows are drawn (Python's `random.Random(seed)`), and each
contestant is trained on them and scored on the set's whole test file. Results are appended to a JSONL file, one line
a run, and a finished run is not repeated, so that an interrupted series goes on where it stopped. Runs of topwork bear the
hash of its sources: other sources are measured anew, and the table shows the newest.

Use: python quality.py --model DIR --data ../shared/data --bench ../shared/bench --topwork target/release/topwork \
         --results benches/runs/quality.jsonl [--contestants topwork,hf_trainer,frozen_probe] [--sets trec6,…]
     python quality.py --table --results benches/runs/quality.jsonl
"""
import argparse
import csv
import datetime
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

METRIC = {"trec6": "accuracy", "sst2": "accuracy", "tweet_emotion": "accuracy", "rte": "accuracy", "cola": "mcc",
          "citation_intent": "macro_f1"}
ROWS = 500
SEEDS = (0, 1, 2)


def draw(source, seed, target):
    """Writes ROWS rows of `source`, drawn with `seed`, to `target`."""
    with open(source, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), reader.fieldnames
    with open(target, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(random.Random(seed).sample(rows, min(ROWS, len(rows))))


def run(contestant, options, train, test, seed, work):
    here = pathlib.Path(__file__).parent
    if contestant == "topwork":
        command = [options.topwork, "tune", train, "--test", test, "--model", options.model, "--seed", str(seed),
                   "--output", work / "out", "--compare-seeds", "0", "--json"]
    elif contestant == "hf_trainer":
        command = [sys.executable, here / "peers.py", f"{options.bench}/hf_trainer.py", "--model", options.model,
                   "--train", train, "--test", test, "--seed", str(seed), "--batch", "8"]
    else:
        command = [sys.executable, here / "peers.py", f"{options.bench}/frozen_probe.py", "--model", options.model,
                   "--train", train, "--test", test]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{contestant} failed: {' '.join(map(str, command))}\n{done.stderr}")
    result = json.loads(done.stdout if contestant == "topwork" else done.stdout.strip().splitlines()[-1])
    scores = result["test"] if contestant == "topwork" else result
    seconds = result["seconds"]
    return dict(accuracy=scores["accuracy"], macro_f1=scores["macro_f1"], mcc=scores["mcc"],
                seconds=seconds["total"] if isinstance(seconds, dict) else seconds)


def read(path):
    path = pathlib.Path(path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def sources():
    """The hash of the sources of topwork, as git names the tree; None for the peers' sake where there is no git."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD:crates"], capture_output=True, text=True)
    return done.stdout.strip() or None


def newest(results):
    """Without runs of topwork's earlier sources."""
    last = next((r.get("sources") for r in reversed(results) if r["contestant"] == "topwork"), None)
    return [r for r in results if r["contestant"] != "topwork" or r.get("sources") == last]


def table(results):
    results = newest(results)
    contestants = [c for c in ("hf_trainer", "frozen_probe", "topwork") if any(r["contestant"] == c for r in results)]
    print("| set (metric) | " + " | ".join(contestants) + " | topwork − better peer |")
    print("|---" * (len(contestants) + 2) + "|")
    for name, metric in METRIC.items():
        cells, means = [], {}
        for contestant in contestants:
            scores = [100 * r[metric] for r in results if r["set"] == name and r["contestant"] == contestant]
            if scores:
                means[contestant] = statistics.mean(scores)
                cells.append(f"{means[contestant]:.1f} ± {statistics.pstdev(scores):.1f} (n={len(scores)})")
            else:
                cells.append("–")
        peers = [means[c] for c in means if c != "topwork"]
        gap = f"{means['topwork'] - max(peers):+.1f}" if peers and "topwork" in means else "–"
        print(f"| {name} ({metric}) | " + " | ".join(cells) + f" | {gap} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--data")
    parser.add_argument("--bench")
    parser.add_argument("--topwork")
    parser.add_argument("--results", required=True)
    parser.add_argument("--contestants", default="topwork,hf_trainer,frozen_probe")
    parser.add_argument("--sets", default=",".join(METRIC))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        now = sources()
        done = {(r["set"], r["contestant"], r["seed"]) for r in read(options.results)
                if r["contestant"] != "topwork" or r.get("sources") == now}
        for name in options.sets.split(","):
            for seed in SEEDS:
                for contestant in options.contestants.split(","):
                    if (name, contestant, seed) in done:
                        continue
                    with tempfile.TemporaryDirectory() as work:
                        work = pathlib.Path(work)
                        draw(f"{options.data}/{name}/train.csv", seed, work / "train.csv")
                        test = f"{options.data}/{name}/test.csv"
                        result = run(contestant, options, work / "train.csv", test, seed, work)
                    line = dict(set=name, contestant=contestant, seed=seed, **result)
                    if contestant == "topwork":
                        line.update(sources=now, date=datetime.date.today().isoformat())
                    with open(options.results, "a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
                    print(json.dumps(line), file=sys.stderr, flush=True)
    table(read(options.results))


if __name__ == "__main__":
    main()
