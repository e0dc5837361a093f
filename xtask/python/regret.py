"""What the advice of `topwork advise` is worth: the advised recipe against a grid of depths and learning rates.

For every labelled set, number of rows and seed, rows are drawn from the training file (`random.Random(seed)`), and `topwork
tune` runs on them with every depth and rate of the grid, everything else at its defaults; the defaults are a point of the
grid. Then `topwork advise` looks at the same rows, and `tune` runs its recipe. All are scored on the same rows of the test
file (at most 1,000). Regret is the best mean over seeds of the grid, less the mean of the advised runs. One line a run in a
JSONL file; a finished run is not repeated.

With `--epochs`, the points of `--points` are trained for that long instead: what the rule for the length is taken from. A point
may name a layer decay as well (`freeze:rate:decay`). `--part nearness` only measures how far the rows lie from what the model
knows, for the table of depth over nearness.

Use: python regret.py --topwork target/release/topwork --data ../shared/data --model models/all-MiniLM-L6-v2
         --results benches/runs/regret.jsonl [--sets sst2,…] [--rows 64,500] [--seeds 3] [--jobs 2] [--part grid|advised|nearness]
     python regret.py … --part grid --epochs 60,120 --points 0:1e-4,3:3e-4
     python regret.py --table --results benches/runs/regret.jsonl[,benches/runs/lengths.jsonl]
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
# Tune's own setting.
USUAL = (0, 1e-4)
TEST_ROWS = 1000
# Text of the kind that every encoder was pre-trained on.
GENERAL = "unlabelled/general_brown.txt"
# Lines that name no model are of it.
MODEL = "all-MiniLM-L6-v2"


def main():
    parser = labelled.series_arguments(rows="64,500")
    parser.set_defaults(model="models/all-MiniLM-L6-v2", seeds=3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--part", default="grid,advised")
    parser.add_argument("--epochs", default="", help="lengths of the grid's trainings, in place of tune's own")
    parser.add_argument("--points", default=",".join(f"{depth}:{rate}" for depth in DEPTHS for rate in RATES))
    options = parser.parse_args()
    if not options.table:
        if "," in options.results:
            parser.error("--results: several files are for --table")
        measure(options)
    table(pathlib.Path(options.model).name, [line for file in options.results.split(",") for line in labelled.read_results(file)])


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
    sources, model = labelled.sources(), pathlib.Path(options.model).name
    # The grid does not depend on how advice is made.
    key = lambda r: (r["set"], r["rows"], r["seed"], r.get("depth"), r.get("rate"), r.get("epochs"), r.get("decay"), r.get("model", MODEL),
                     None if r.get("rate") else r["sources"])
    results = labelled.read_results(options.results)
    done = {key(r) for r in results}

    def run(item):
        name, count, seed, depth, rate, epochs, decay = item
        line = dict(set=name, rows=count, seed=seed, model=model, sources=sources)
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            draw(options, name, count, seed, work)
            if depth == "nearness":
                advice = json.loads(labelled.run([options.topwork, "advise", work / "train.csv", "--model", options.model, "--seed",
                                                  seed, "--threads", "1", "--scores-only", "--json", "--source-text", f"{options.data}/{GENERAL}"]))
                measures = {measure["name"]: measure["value"] for measure in advice["similarity"]["measures"]}
                labelled.append_result(options.results, line | dict(depth=depth, nearness=measures))
                return
            if rate:
                flags = ["--freeze-layers", depth, "--learning-rate", rate]
                line |= dict(depth=depth, rate=rate)
                if epochs:
                    flags += ["--num-train-epochs", epochs]
                    line |= dict(epochs=epochs)
                if decay:
                    flags += ["--layer-decay", decay]
                    line |= dict(decay=decay)
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
        if not rate:
            line |= dict(rate_verdict=result["verdict"]["learning_rate"], floor=(result.get("floor") or {}).get("finding"))
        labelled.append_result(options.results, line)

    lengths = [int(epochs) for epochs in options.epochs.split(",") if epochs] or [None]
    grid = [(int(depth), float(rate), epochs, float(decay[0]) if decay else None) for epochs in lengths
            for depth, rate, *decay in (point.split(":") for point in options.points.split(","))]
    points = (grid if "grid" in options.part else []) + ([(None, None, None, None)] if "advised" in options.part else [])
    points += [("nearness", None, None, None)] if "nearness" in options.part else []
    items = [(name, count, seed, *point) for count in map(int, options.rows.split(",")) for seed in range(options.seeds)
             for name in options.sets.split(",") for point in points]
    labelled.side_by_side(options.jobs, run, [item for item in items if (*item, model, None if item[4] else sources) not in done])


def table(model, results):
    """Of one model; only the lengths are of all."""
    near = [r for r in results if "nearness" in r and r.get("model", MODEL) == model]
    results = [r for r in results if "nearness" not in r]
    lengths = [r for r in results if r.get("epochs") or r.get("decay")]
    results = [r for r in results if not r.get("epochs") and not r.get("decay") and r.get("model", MODEL) == model]
    # The last advice for a set, which is that of the newest sources.
    newest = {(r["set"], r["rows"]): r["sources"] for r in results if not r.get("rate")}
    results = [r for r in results if r.get("rate") or r["sources"] == newest[r["set"], r["rows"]]]
    cells = collections.defaultdict(dict)
    for r in results:
        point = (r["depth"], r["rate"]) if r.get("rate") else "advised"
        cells[r["set"], r["rows"]].setdefault(point, {})[r["seed"]] = r
    advised = [r for r in results if not r.get("rate")]
    # The same with the grid at the length that was advised, beside the defaults at their own.
    longer = {key: {point: runs for point, runs in points.items() if point in ("advised", USUAL)} for key, points in cells.items()}
    for r in lengths:
        key = (r["set"], r["rows"])
        if r.get("decay") or r.get("model", MODEL) != model or r["epochs"] not in {epochs_of(a) for a in cells[key].get("advised", {}).values()}:
            continue
        if r["depth"] in DEPTHS and r["rate"] in RATES:
            longer[key].setdefault(("longer", r["depth"], r["rate"]), {})[r["seed"]] = r
    longer = {key: points for key, points in longer.items() if len(points) == 2 + len(DEPTHS) * len(RATES)}
    if advised:
        trees = sorted({(rows or 10**9, sources) for (_, rows), sources in newest.items()})
        print("Sources of the advice: " + ", ".join(f"{sources} ({'all' if rows == 10**9 else rows} rows)" for rows, sources in trees) + "\n")
        for metric, name in (("accuracy", "Accuracy"), ("macro_f1", "Macro-F1")):
            print(f"{name} in %, mean over seeds; differences in points.\n")
            regrets(cells, metric)
            if longer:
                print(f"{name} beside the grid at the length that is advised:\n")
                regrets(longer, metric, ("longer",))
        inside = sum(r["expectation"]["interval"][0] <= r["accuracy"] <= r["expectation"]["interval"][1] for r in advised)
        print(f"The interval held the test accuracy in {inside} of {len(advised)} runs.")
        times = sorted(r["expectation"]["seconds"] / r["seconds"] for r in advised)
        print(f"The predicted time was {times[0]:.2f} to {times[-1]:.2f} of the real one, {statistics.median(times):.2f} in the middle; "
              f"within 30 % in {sum(0.7 <= time <= 1.3 for time in times)} of {len(times)} runs.")
        contradictions(advised)
        mean_grids(cells)
    if near:
        depth_over_nearness(near, cells)
    if lengths:
        other_lengths(model, lengths, cells)


def contradictions(advised):
    """Which advised runs have a verdict that calls their learning rate wrong, with what it says of it."""
    judged = [r for r in advised if "rate_verdict" in r]
    wrong = [r for r in judged if r["rate_verdict"]["finding"] in ("too_high", "too_low")]
    print(f"The verdict calls the rate of {len(wrong)} of {len(judged)} advised runs too high or too low" + (":" if wrong else "."))
    for r in wrong:
        print(f"- {r['set']}, {r['rows'] or 'all'} rows, seed {r['seed']}: {r['rate_verdict']['sentence']}")


def depth_over_nearness(near, cells):
    """Whether it tells how deep to tune how near the rows are to what the model knows: what freezing three layers gains over
    tuning all, each at its best rate."""
    measured = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in near:
        for name, value in r["nearness"].items():
            measured[r["set"], r["rows"]][name].append(value)
    print("\nNearness, and what freezing three layers gains over tuning all, each at the rate that is best there, in points:\n")
    names = sorted({name for by_name in measured.values() for name in by_name})
    print("| set | rows | " + " | ".join(name.replace("_", " ") for name in names) + " | gain |")
    print("|---" * (len(names) + 3) + "|")
    values, gains = collections.defaultdict(lambda: collections.defaultdict(list)), collections.defaultdict(list)
    for key, by_name in sorted(measured.items(), key=lambda item: (item[0][1], item[0][0])):
        means = {point: 100 * statistics.mean(r["accuracy"] for r in runs.values()) for point, runs in cells[key].items()}
        best = [max((means[depth, rate] for rate in RATES if (depth, rate) in means), default=None) for depth in (0, 3)]
        if None in best:
            continue
        own = [statistics.mean(by_name[name]) for name in names]
        gains[key[1]].append(best[1] - best[0])
        for name, value in zip(names, own):
            values[key[1]][name].append(value)
        print(f"| {key[0]} | {key[1] or 'all'} | " + " | ".join(f"{value:.3f}" for value in own) + f" | {best[1] - best[0]:+.1f} |")
    for count in gains:
        if len(gains[count]) > 2:
            print(f"\nRank correlation (Spearman) with the gain, {count or 'all'} rows: " + ", ".join(
                f"{name.replace('_', ' ')} {labelled.rank_correlation(values[count][name], gains[count]):.2f}" for name in names))


def other_lengths(usual_model, lengths, cells):
    """Trainings of other lengths or layer decays, one line each, beside the usual length at the same depth and rate, on the seeds
    that the others of a set have."""
    names = sorted({r["set"] for r in lengths}, key=lambda name: SETS.index(name) if name in SETS else len(SETS))
    runs = collections.defaultdict(lambda: collections.defaultdict(dict))
    for r in lengths:
        runs[r.get("model", MODEL), r["rows"], r["depth"], r["rate"], r.get("epochs", 0), r.get("decay", 0)][r["set"]][r["seed"]] = r["accuracy"]
    for model, count, depth, rate, *_ in list(runs):
        for name in names if model == usual_model else []:
            seeds = {seed for key, by_set in runs.items() if key[:2] == (model, count) and any(key[4:]) for seed in by_set.get(name, ())}
            usual = cells.get((name, count), {}).get((depth, rate), {})
            own = {seed: r["accuracy"] for seed, r in usual.items() if seed in seeds}
            if own:
                runs[model, count, depth, rate, 0, 0][name] = own
    print("\nOther lengths, accuracy in %, mean over seeds:\n")
    print("| model | rows | freeze | rate | epochs | layer decay | seeds | mean | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 8) + "|")
    for (model, count, depth, rate, epochs, decay), by_set in sorted(runs.items()):
        means = [100 * statistics.mean(by_set[name].values()) if by_set[name] else None for name in names]
        mean = "" if None in means or len({tuple(sorted(own)) for own in by_set.values() if own}) > 1 else f"{statistics.mean(means):.1f}"
        seeds = sorted({len(own) for own in by_set.values() if own})
        print(f"| {model} | {count or 'all'} | {depth} | {rate:.0e} | {epochs or 'as usual'} | {decay or 'as usual'} | {'–'.join(map(str, seeds))} | {mean} | "
              + " | ".join("" if value is None else f"{value:.1f}" for value in means) + " |")


def epochs_of(run):
    """The epochs of an advised run; none where tune's own were advised."""
    return next((int(value["value"]) for value in run["advised"]["values"] if value["key"] == "num_train_epochs"), None)


def regrets(cells, metric, kind=()):
    """A set without the whole grid has no regret, but still says what the advice gains. `kind` is what points of the grid begin
    with."""
    grid = {(*kind, depth, rate) for depth in DEPTHS for rate in RATES}
    print("| set | rows | seeds | best of the grid | defaults | advised | regret | advised − defaults | seeds' deviation |")
    print("|---|---|---|---|---|---|---|---|---|")
    regret, gain = collections.defaultdict(list), collections.defaultdict(list)
    for (name, count), points in sorted(cells.items(), key=lambda item: (item[0][1] or 10**9, item[0][0])):
        points = {point: runs for point, runs in points.items() if point in ("advised", USUAL) or point in grid}
        if not {"advised", USUAL} <= set(points):
            continue
        if not grid <= set(points):
            points = {point: points[point] for point in ("advised", USUAL)}
        seeds = sorted(set.intersection(*(set(runs) for runs in points.values())))
        if not seeds:
            continue
        means = {point: 100 * statistics.mean(runs[s][metric] for s in seeds) for point, runs in points.items()}
        advised, usual = means["advised"], means[USUAL]
        spread = labelled.spread([100 * points[USUAL][s][metric] for s in seeds])
        gain[count].append(advised - usual)
        best_text, regret_text = "", ""
        if grid <= set(means):
            best = max(grid, key=means.get)
            regret[count].append(means[best] - advised)
            best_text, regret_text = f"{means[best]:.1f} (freeze {best[-2]}, {best[-1]:.0e})", f"{means[best] - advised:+.1f}"
        print(f"| {name} | {count or 'all'} | {len(seeds)} | {best_text} | {usual:.1f} | {advised:.1f} | {regret_text} | "
              f"{advised - usual:+.1f} | {spread:.1f} |")
    for count in gain:
        own = f"mean regret {statistics.mean(regret[count]):.2f} over {len(regret[count])} sets, " if regret[count] else ""
        print(f"\n{count or 'all'} rows: {own}advised − defaults {statistics.mean(gain[count]):+.2f} points over {len(gain[count])} sets")
    print()


def mean_grids(cells):
    grid = collections.defaultdict(lambda: collections.defaultdict(list))
    for (name, count), points in cells.items():
        full = {point: runs for point, runs in points.items() if point != "advised"}
        if len(full) == len(DEPTHS) * len(RATES):
            for point, runs in full.items():
                grid[count][point].append(100 * statistics.mean(r["accuracy"] for r in runs.values()))
    for count, points in grid.items():
        print(f"\nThe grid at {count or 'all'} rows, mean accuracy over {len(next(iter(points.values())))} sets:\n")
        print("| freeze | " + " | ".join(f"{rate:.0e}" for rate in RATES) + " |")
        print("|---" * (len(RATES) + 1) + "|")
        for depth in DEPTHS:
            print(f"| {depth} | " + " | ".join(f"{statistics.mean(points[depth, rate]):.1f}" for rate in RATES) + " |")


if __name__ == "__main__":
    main()
