"""What the carried model's pre-training is worth: the same network from its weights and from random ones, on the same few
labelled rows, set by set.

For every set, number of rows a class and seed, rows are drawn from the training file (`random.Random(seed)`), and
`topwork tune` runs on them twice, with `--init pretrained` and `--init random`, everything else at its defaults. Both are
scored on the same 1,000 rows of the test file (all where it has fewer). One line a run in a JSONL file; a finished run is
not repeated, and runs of another model (by the hash of its weights) or of other sources of topwork are measured anew.

Use: python transfer.py --topwork target/release/topwork --data ../shared/data --results benches/runs/transfer.jsonl
         [--model seedling] [--sets sst2,…] [--rows 8,32,128] [--seeds 5] [--jobs 2]
     python transfer.py --table --results benches/runs/transfer.jsonl
"""
import collections
import math
import pathlib
import random
import statistics
import tempfile

import labelled

SETS = ("sst2", "trec6", "tweet_emotion", "banking77", "ag_news_7600")
TEST_ROWS = 1000


def table(results):
    if not results:
        return
    newest = [results[-1][key] for key in ("weights", "sources")]
    results = [r for r in results if [r["weights"], r["sources"]] == newest]
    scores, f1 = ({(r["set"], r["rows"], r["seed"], r["init"]): 100 * r[metric] for r in results}
                  for metric in ("accuracy", "macro_f1"))
    print(f"Weights {newest[0]}; accuracy in %, mean ± deviation over seeds; gaps in points with their standard errors, "
          "paired by seed.\n")
    print("| set | rows a class | random weights | pretrained | gap | seeds won | gap in macro-F1 | seeds won |")
    print("|---|---|---|---|---|---|---|---|")
    curves = collections.defaultdict(dict)
    for name in SETS:
        for count in sorted({key[1] for key in scores if key[0] == name}):
            pairs = paired(scores, name, count)
            if not pairs:
                continue
            means = [statistics.mean(values) for values in zip(*pairs)]
            curves[name][count] = means
            cells = [f"{mean:.1f} ± {labelled.spread(values):.1f}" for mean, values in zip(means, zip(*pairs))]
            cells += gap(pairs) + gap(paired(f1, name, count))
            print(f"| {name} | {count} | " + " | ".join(cells) + " |")
    print("\nLabels saved: rows a class that random weights need for what the pretrained ones reach, along the curve above, "
          "straight between the logarithms of the rows.\n")
    print("| set | pretrained, rows a class | random weights, rows a class |")
    print("|---|---|---|")
    for name, curve in curves.items():
        counts = sorted(curve)
        for count in counts[:-1]:
            print(f"| {name} | {count} | {needed(curve, counts, curve[count][1])} |")


def paired(scores, name, count):
    """The scores of random and pretrained weights, for each seed that has both."""
    seeds = sorted({key[2] for key in scores if key[:2] == (name, count)})
    pairs = [(scores.get((name, count, s, "random")), scores.get((name, count, s, "pretrained"))) for s in seeds]
    return [pair for pair in pairs if None not in pair]


def gap(pairs):
    gaps = [pretrained - random for random, pretrained in pairs]
    error = labelled.spread(gaps) / math.sqrt(len(gaps))
    return [f"{statistics.mean(gaps):+.1f} ± {error:.1f}", f"{sum(gap > 0 for gap in gaps)}/{len(gaps)}"]


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
    parser = labelled.series_arguments(rows="8,32,128")
    parser.add_argument("--sets", default=",".join(SETS))
    options = parser.parse_args()
    if not options.table:
        measure(options)
    table(labelled.read_results(options.results))


def measure(options):
    weights = labelled.weights_of(options.topwork, options.model)
    sources = labelled.sources()
    done = {(r["set"], r["rows"], r["seed"], r["init"]) for r in labelled.read_results(options.results)
            if (r["weights"], r["sources"]) == (weights, sources)}
    train, test, columns = {}, {}, {}
    for name in options.sets.split(","):
        train[name], columns[name] = labelled.read_rows(f"{options.data}/{name}/train.csv")
        rows, _ = labelled.read_rows(f"{options.data}/{name}/test.csv")
        test[name] = random.Random(0).sample(rows, min(TEST_ROWS, len(rows)))

    def one(item):
        name, count, seed, init = item
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            labelled.write_rows(work / "train.csv", labelled.draw_by_label(train[name], count, seed), columns[name])
            labelled.write_rows(work / "test.csv", test[name], columns[name])
            result = labelled.tune(options.topwork, work / "train.csv", work / "test.csv", options.model, seed, work / "out",
                                   "--init", init, "--threads", "1")
        labelled.append_result(options.results, dict(
            set=name, rows=count, seed=seed, init=init, accuracy=result["test"]["accuracy"],
            macro_f1=result["test"]["macro_f1"], seconds=result["seconds"]["total"], weights=weights, sources=sources))

    items = [(name, count, seed, init) for seed in range(options.seeds) for count in map(int, options.rows.split(","))
             for name in train for init in ("random", "pretrained")]
    labelled.side_by_side(options.jobs, one, [item for item in items if item not in done])


if __name__ == "__main__":
    main()
