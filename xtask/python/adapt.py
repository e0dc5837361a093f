"""Whether going on with pre-training on a task's domain helps there: domain text against a control of equal tokens.

The model goes on (`topwork pretrain --from`) on tweets, on titles of papers and, as the control, on general English, each
for the same number of tokens. Then each, and the model as it was, is fine-tuned on few rows a class of `tweet_emotion` and
`citation_intent`, with several seeds, and scored on the whole test file. One line a run in a JSONL file; a finished run is
not repeated, and another model (by the hash of its weights) or other sources of topwork are measured anew. The adapted
models are kept in `--work`.

Use: python adapt.py --topwork target/release/topwork --data ../shared/data --work target/adapt
         --results benches/runs/adapt.jsonl [--model seedling] [--tokens 2000000] [--rows 32,128] [--seeds 5] [--jobs 2]
     python adapt.py --table --results benches/runs/adapt.jsonl
"""
import json
import math
import pathlib
import shutil
import statistics
import tempfile

import labelled

CORPORA = {"tweets": "tweets_emoji_train.txt", "titles": "science_paper_titles.txt", "general": "general_brown.txt"}
SERIES = ("weights", "tokens", "objective", "sources")
SETS = {"tweet_emotion": "tweets", "citation_intent": "titles"}


def table(results):
    if not results:
        return
    newest = [results[-1][key] for key in SERIES]
    results = [r for r in results if [r[key] for key in SERIES] == newest]
    print(f"Weights {newest[0]}, {newest[1]} tokens of {newest[2]}; macro-F1 in points, mean ± deviation over seeds; gaps with their "
          "standard errors, paired by seed.\n")
    print("| set | rows a class | as it was | domain | control | domain − as it was | domain − control |")
    print("|---|---|---|---|---|---|---|")
    for name, domain in SETS.items():
        for count in sorted({r["rows"] for r in results if r["set"] == name}):
            own = {(r["corpus"], r["seed"]): 100 * r["macro_f1"] for r in results if (r["set"], r["rows"]) == (name, count)}
            arms = ["none", domain, "general"]
            seeds = [seed for seed in sorted({key[1] for key in own}) if all((arm, seed) in own for arm in arms)]
            columns = [[own[arm, seed] for seed in seeds] for arm in arms]
            if not seeds:
                continue
            cells = [f"{statistics.mean(column):.1f} ± {labelled.spread(column):.1f}" for column in columns]
            gaps = [[a - b for a, b in zip(columns[1], column)] for column in (columns[0], columns[2])]
            cells += [f"{statistics.mean(gap):+.1f} ± {labelled.spread(gap) / math.sqrt(len(gap)):.1f}" for gap in gaps]
            print(f"| {name} | {count} | " + " | ".join(cells) + " |")


def adapted(options, corpus, same):
    """The model after going on with a corpus; prints the loss of hidden words on held-out lines along the way."""
    out = options.work / "-".join([corpus, *(str(value) for value in same.values())]).replace("=", "").replace(",", "-")
    if not (out / "all_results.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        labelled.run([options.topwork, "pretrain", f"{options.data}/unlabelled/{CORPORA[corpus]}", "--line-by-line", "--from",
                      options.model, "--objective", options.objective, "--tokens", options.tokens, "--output", out])
    curve = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    words = [event["loss"] for event in curve if event["event"] == "predicted" and event["objective"] == "mlm"]
    if words:
        print(f"{corpus}: held-out loss of hidden words {words[0]:.3f} after 5 % of the tokens, {words[-1]:.3f} at the end")
    return out


def main():
    parser = labelled.series_arguments(rows="32,128")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--objective", default="mlm")
    parser.add_argument("--tokens", type=int, default=2_000_000)
    options = parser.parse_args()
    if not options.table:
        measure(options)
    table(labelled.read_results(options.results))


def measure(options):
    weights = labelled.weights_of(options.topwork, options.model)
    same = dict(zip(SERIES, (weights, options.tokens, options.objective, labelled.sources())))
    models = {"none": options.model} | {corpus: adapted(options, corpus, same) for corpus in CORPORA}
    done = {(r["set"], r["rows"], r["seed"], r["corpus"]) for r in labelled.read_results(options.results)
            if all(r[key] == value for key, value in same.items())}

    def one(item):
        name, count, seed, corpus = item
        rows, columns = labelled.read_rows(f"{options.data}/{name}/train.csv")
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            labelled.write_rows(work / "train.csv", labelled.draw_by_label(rows, count, seed), columns)
            result = labelled.tune(options.topwork, work / "train.csv", f"{options.data}/{name}/test.csv", models[corpus],
                                   seed, work / "out", "--threads", "1")
        labelled.append_result(options.results, dict(set=name, rows=count, seed=seed, corpus=corpus,
                                                     accuracy=result["test"]["accuracy"],
                                                     macro_f1=result["test"]["macro_f1"], **same))

    items = [(name, count, seed, corpus) for seed in range(options.seeds) for count in map(int, options.rows.split(","))
             for name, domain in SETS.items() for corpus in ("none", domain, "general")]
    labelled.side_by_side(options.jobs, one, [item for item in items if item not in done])


if __name__ == "__main__":
    main()
