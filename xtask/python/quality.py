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
import json
import pathlib
import random
import statistics
import sys
import tempfile

import labelled

METRIC = {"trec6": "accuracy", "sst2": "accuracy", "tweet_emotion": "accuracy", "rte": "accuracy", "cola": "mcc",
          "citation_intent": "macro_f1"}
ROWS = 500
SEEDS = (0, 1, 2)


def draw(source, seed, target):
    """Writes ROWS rows of `source`, drawn with `seed`, to `target`."""
    rows, names = labelled.read_rows(source)
    labelled.write_rows(target, random.Random(seed).sample(rows, min(ROWS, len(rows))), names)


def run(contestant, options, train, test, seed, work):
    here = pathlib.Path(__file__).parent
    if contestant == "topwork":
        result = labelled.tune(options.topwork, train, test, options.model, seed, work / "out")
        scores, seconds = result["test"], result["seconds"]["total"]
        return dict(accuracy=scores["accuracy"], macro_f1=scores["macro_f1"], mcc=scores["mcc"], seconds=seconds)
    if contestant == "hf_trainer":
        command = [sys.executable, here / "peers.py", f"{options.bench}/hf_trainer.py", "--model", options.model,
                   "--train", train, "--test", test, "--seed", str(seed), "--batch", "8"]
    else:
        command = [sys.executable, here / "peers.py", f"{options.bench}/frozen_probe.py", "--model", options.model,
                   "--train", train, "--test", test]
    result = json.loads(labelled.run(command).strip().splitlines()[-1])
    return {key: result[key] for key in ("accuracy", "macro_f1", "mcc", "seconds")}


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
        now = labelled.sources()
        done = {(r["set"], r["contestant"], r["seed"]) for r in labelled.read_results(options.results)
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
                        line.update(sources=now)
                    labelled.append_result(options.results, line)
    table(labelled.read_results(options.results))


if __name__ == "__main__":
    main()
