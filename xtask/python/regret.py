"""What the advice of `topwork advise` is worth: the advised recipe against a grid of depths and learning rates.

For every labelled set, number of rows and seed, rows are drawn from the training file (`random.Random(seed)`), and `topwork
tune` runs on them with every depth and rate of the grid, everything else at its defaults; the defaults are a point of the
grid. Then `topwork advise` looks at the same rows, and `tune` runs its recipe. All are scored on the same rows of the test
file (at most 1,000). Regret is the best mean over seeds of the grid, less the mean of the advised runs. One line a run in a
JSONL file; a finished run is not repeated.

Use: python regret.py --topwork target/release/topwork --data ../shared/data --model models/all-MiniLM-L6-v2
         --results benches/runs/regret.jsonl [--sets sst2,…] [--rows 64,500] [--seeds 3] [--jobs 2] [--part grid|advised]
     python regret.py --table --results benches/runs/regret.jsonl
"""
import collections
import json
import pathlib
import random
import statistics
import tempfile

import labelled

SETS = ("trec6", "atis_intent", "cola", "sst2", "tweet_emotion", "sick_entailment", "citation_intent", "ag_news_7600")
DEPTHS = (0, 3, 5)
RATES = (3e-5, 1e-4, 3e-4, 1e-3)
TEST_ROWS = 1000


def main():
    parser = labelled.series_arguments(rows="64,500")
    parser.set_defaults(model="models/all-MiniLM-L6-v2", seeds=3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--part", default="grid,advised")
    options = parser.parse_args()
    if not options.table:
        measure(options)
    table(labelled.read_results(options.results))


def draw(options, name, count, seed, folder):
    """Writes the rows to learn from (0 is all) and those to score on."""
    rows, columns = labelled.read_rows(f"{options.data}/{name}/train.csv")
    random.Random(seed).shuffle(rows)
    rows = rows[:count or len(rows)]
    labelled.write_rows(folder / "train.csv", rows, columns)
    known = {row["label"] for row in rows}
    test, _ = labelled.read_rows(f"{options.data}/{name}/test.csv")
    test = [row for row in test if row["label"] in known]
    labelled.write_rows(folder / "test.csv", random.Random(0).sample(test, min(TEST_ROWS, len(test))), columns)


def measure(options):
    sources = labelled.sources()
    # The grid does not depend on how advice is made.
    key = lambda r: (r["set"], r["rows"], r["seed"], r.get("depth"), r.get("rate"), None if r.get("rate") else r["sources"])
    results = labelled.read_results(options.results)
    done = {key(r) for r in results}

    def run(item):
        name, count, seed, depth, rate = item
        line = dict(set=name, rows=count, seed=seed, sources=sources)
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            draw(options, name, count, seed, work)
            if rate:
                flags = ["--freeze-layers", depth, "--learning-rate", rate]
                line |= dict(depth=depth, rate=rate)
            else:
                labelled.run([options.topwork, "advise", work / "train.csv", "--model", options.model, "--output",
                              work / "recipe.toml", "--seed", seed, "--threads", "1"])
                advice = json.loads((work / "advice.json").read_text())
                flags = ["--recipe", work / "recipe.toml"]
                line |= dict(advised=advice["recipe"], expectation=advice["expectation"], advice_seconds=advice["seconds"])
            result = labelled.tune(options.topwork, work / "train.csv", work / "test.csv", options.model, seed, work / "out",
                                   "--threads", "1", *flags)
        line |= dict(accuracy=result["test"]["accuracy"], macro_f1=result["test"]["macro_f1"],
                     seconds=result["seconds"]["total"])
        labelled.append_result(options.results, line)

    grid = [(depth, rate) for depth in DEPTHS for rate in RATES]
    points = (grid if "grid" in options.part else []) + ([(None, None)] if "advised" in options.part else [])
    items = [(name, count, seed, *point) for count in map(int, options.rows.split(",")) for seed in range(options.seeds)
             for name in options.sets.split(",") for point in points]
    labelled.side_by_side(options.jobs, run, [item for item in items if (*item, None if item[-1] else sources) not in done])


def table(results):
    cells = collections.defaultdict(dict)
    newest = {r["rows"]: r["sources"] for r in results if not r.get("rate")}
    results = [r for r in results if r.get("rate") or r["sources"] == newest[r["rows"]]]
    for r in results:
        point = (r["depth"], r["rate"]) if r.get("rate") else "advised"
        cells[r["set"], r["rows"]].setdefault(point, {})[r["seed"]] = r
    print("Accuracy in %, mean over seeds; differences in points.\n")
    print("| set | rows | seeds | best of the grid | defaults | advised | regret | advised − defaults | seeds' deviation | in the interval |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    regrets, gains, covered = collections.defaultdict(list), collections.defaultdict(list), []
    for (name, count), points in sorted(cells.items(), key=lambda item: (item[0][1] or 10**9, item[0][0])):
        seeds = sorted(set.intersection(*(set(runs) for runs in points.values())))
        if "advised" not in points or len(points) < 2 or not seeds:
            continue
        means = {point: 100 * statistics.mean(runs[s]["accuracy"] for s in seeds) for point, runs in points.items()}
        advised = means.pop("advised")
        best, usual = max(means, key=means.get), means.get((0, 1e-4), float("nan"))
        spread = labelled.spread([100 * points[0, 1e-4][s]["accuracy"] for s in seeds])
        inside = [r["expectation"]["interval"][0] <= r["accuracy"] <= r["expectation"]["interval"][1]
                  for r in points["advised"].values()]
        covered += inside
        regrets[count].append(means[best] - advised)
        gains[count].append(advised - usual)
        print(f"| {name} | {count or 'all'} | {len(seeds)} | {means[best]:.1f} (freeze {best[0]}, {best[1]:.0e}) | {usual:.1f} | "
              f"{advised:.1f} | {means[best] - advised:+.1f} | {advised - usual:+.1f} | {spread:.1f} | {sum(inside)}/{len(inside)} |")
    for count in regrets:
        print(f"\n{count or 'all'} rows: mean regret {statistics.mean(regrets[count]):.2f}, advised − defaults "
              f"{statistics.mean(gains[count]):+.2f} points")
    if covered:
        print(f"\nThe interval held the test score in {sum(covered)} of {len(covered)} runs.")
    times = sorted(r["expectation"]["seconds"] / r["seconds"] for runs in cells.values() for r in runs.get("advised", {}).values())
    if times:
        print(f"The predicted time was {times[0]:.2f} to {times[-1]:.2f} of the real one, {statistics.median(times):.2f} in the middle; "
              f"within 30 % in {sum(0.7 <= time <= 1.3 for time in times)} of {len(times)} runs.")
    grid = collections.defaultdict(lambda: collections.defaultdict(list))
    for (name, count), points in cells.items():
        full = {point: runs for point, runs in points.items() if point != "advised"}
        if len(full) == len(DEPTHS) * len(RATES):
            for point, runs in full.items():
                grid[count][point].append(100 * statistics.mean(r["accuracy"] for r in runs.values()))
    for count, points in grid.items():
        print(f"\nThe grid at {count or 'all'} rows, mean over {len(next(iter(points.values())))} sets:\n")
        print("| freeze | " + " | ".join(f"{rate:.0e}" for rate in RATES) + " |")
        print("|---" * (len(RATES) + 1) + "|")
        for depth in DEPTHS:
            print(f"| {depth} | " + " | ".join(f"{statistics.mean(points[depth, rate]):.1f}" for rate in RATES) + " |")


if __name__ == "__main__":
    main()
