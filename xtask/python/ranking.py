"""Whether the scores of `topwork advise` order encoders as fine-tuning does.

For every labelled set, the encoders of the pool (`pool.py`) are fine-tuned on the same rows with `topwork tune` at one learning
rate for all (the defaults jump between small models and others, which would rank models by their rates) and thirty times that for
the classifier, for as long as `advise` proposes for models that are not small, and scored on up to 1,000 rows whose text it has not
learnt: with tune's own length and one rate for classifier and encoder, some that would arrive are left behind, and a model with
random weights comes out before half of MiniLM. `topwork advise` scores the same encoders on the same rows without training any, and
for the carried model and what goes on from it the loss of hidden words. The table gives, for each score, the weighted rank
correlation (Kendall's τ, hyperbolic weights, as `scipy.stats.weightedtau`) with the accuracy, mean of `--seeds` draws. One line a
measurement in a JSONL file; a finished one is not repeated.

Use: python ranking.py --topwork target/release/topwork --data ../shared/data --work target/pool --minilm models/all-MiniLM-L6-v2
         --results benches/runs/ranking.jsonl [--sets sst2,…] [--seeds 1] [--jobs 2] [--part tuned|scores|losses]
     python ranking.py --table --results benches/runs/ranking.jsonl [--head-scale 1] [--few]
"""
import collections
import json
import pathlib
import random
import statistics
import tempfile

import labelled

SETS = ("trec6", "atis_intent", "cola", "sst2", "tweet_emotion", "sick_entailment", "clinc150", "banking77", "citation_intent",
        "ag_news_7600", "mrpc", "rte", "chnsenticorp_zh")
FEW_ROWS = collections.defaultdict(lambda: 480, banking77=1200, clinc150=1200)
# Sets of many classes need a few rows of each; of mrpc and rte, 480 rows teach no encoder anything, so there is no order to find
# (`--few` has it all the same).
TRAIN_ROWS = FEW_ROWS | dict(mrpc=3000, rte=1600)
TEST_ROWS = 1000
LEARNING_RATE = 3e-4
# What the classifier's rate is multiplied with. At 1 an encoder whose pooled token hardly varies (MiniLM's lower layers: its pooler
# was made for the last) ends below its own frozen probe, and the truth would be of that; the others come out the same.
HEAD_SCALE = 30
# As `advise/length.rs` has it for models that are not small, whose cap of 120 epochs these numbers of rows do not reach; `tune` has
# at least three.
ROWS_SEEN, LEAST_EPOCHS = 8000, 3
# As `RANKED_BY` of topwork/src/advise/transferability.rs.
RANKED_BY = (("linear_probe", "best"), ("parc", "best"), ("knn", "mean"))


def main():
    parser = labelled.series_arguments(rows="")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--work", default="target/pool")
    parser.add_argument("--minilm")
    parser.add_argument("--part", default="tuned,scores,losses")
    parser.add_argument("--head-scale", type=float, default=HEAD_SCALE)
    parser.add_argument("--few", action="store_true", help="480 rows of mrpc and rte too")
    parser.set_defaults(seeds=1)
    options = parser.parse_args()
    if options.few:
        TRAIN_ROWS.update(mrpc=FEW_ROWS["mrpc"], rte=FEW_ROWS["rte"])
    if not options.table:
        measure(options)
    results = labelled.read_results(options.results)
    results = [r for r in of_these_rows(results) if "accuracy" not in r or r.get("head_scale", 1) == options.head_scale]
    table(results)
    continued(results)


def of_these_rows(results):
    """The results of as many rows as are drawn now. Lines of before do not say how many."""
    return [r for r in results if r.get("train_rows", FEW_ROWS[r["set"]]) == TRAIN_ROWS[r["set"]]]


def draw(options, name, seed, folder):
    """Writes the rows to learn from and those to score on: of the test file, and where it has too few, of the training file's
    rest, without texts that are learnt from."""
    rows, columns = labelled.read_rows(f"{options.data}/{name}/train.csv")
    random.Random(seed).shuffle(rows)
    train, rest = rows[:TRAIN_ROWS[name]], rows[TRAIN_ROWS[name]:]
    labelled.write_rows(folder / "train.csv", train, columns)
    known = {row["label"] for row in train}
    text_of = lambda row: tuple(row[column].lower().split() for column in columns if column != "label")
    learnt = {str(text_of(row)) for row in train}
    test, _ = labelled.read_rows(f"{options.data}/{name}/test.csv")
    is_new = lambda row: row["label"] in known and str(text_of(row)) not in learnt
    test, rest = [row for row in test if is_new(row)], [row for row in rest if is_new(row)]
    test = random.Random(0).sample(test, min(TEST_ROWS, len(test)))
    test += rest[:TEST_ROWS - len(test)]
    labelled.write_rows(folder / "test.csv", [{column: row[column] for column in columns} for row in test], columns)
    return len(test)


def epochs_of(name):
    return max(ROWS_SEEN // TRAIN_ROWS[name], LEAST_EPOCHS)


def measure(options):
    import pool
    models = pool.models(options.work, options.minilm, options.data, options.topwork)
    sources, results = labelled.sources(), of_these_rows(labelled.read_results(options.results))
    done = {(r["set"], r["seed"], r["model"]) for r in results if "accuracy" in r and r.get("epochs") == epochs_of(r["set"])
            and r.get("head_scale", 1) == options.head_scale}
    scored = {(r["set"], r["seed"]) for r in results if "by_layer" in r}
    lost = {(r["set"], r["seed"], r["model"]) for r in results if "masked_lm_loss" in r}

    def tune(item):
        name, seed, model = item
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            asked = draw(options, name, seed, work)
            result = labelled.tune(options.topwork, work / "train.csv", work / "test.csv", models[model], seed, work / "out",
                                   "--threads", "1", "--validation-fraction", "0", "--learning-rate", LEARNING_RATE,
                                   "--head-learning-rate-scale", options.head_scale, "--num-train-epochs", epochs_of(name))
        labelled.append_result(options.results, dict(set=name, seed=seed, model=model, accuracy=result["test"]["accuracy"],
                                                     macro_f1=result["test"]["macro_f1"], epochs=epochs_of(name),
                                                     train_rows=TRAIN_ROWS[name],
                                                     head_scale=options.head_scale, test_rows=asked,
                                                     seconds=result["seconds"]["total"], sources=sources))

    def score(item):
        name, seed = item
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            draw(options, name, seed, work)
            advice = advise(options, work, models.values())
        names = {str(path): model for model, path in models.items()}
        candidates = {names[candidate["model"]]: candidate for candidate in advice["transferability"]["candidates"]}
        short = lambda scores: {score: value and float(f"{value:.6g}") for score, value in scores.items()}
        scores = {model: short(candidate["scores"]) for model, candidate in candidates.items()}
        by_layer = {model: {layer["layer"]: short(layer["scores"]) for layer in candidate["by_layer"]}
                    for model, candidate in candidates.items()}
        labelled.append_result(options.results, dict(set=name, seed=seed, train_rows=TRAIN_ROWS[name], scores=scores, by_layer=by_layer, sources=sources))

    def lose(item):
        name, seed, model = item
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            draw(options, name, seed, work)
            measures = {measure["name"]: measure for measure in advise(options, work, [models[model]])["similarity"]["measures"]}
        loss = measures["masked_lm_loss"]
        labelled.append_result(options.results, dict(set=name, seed=seed, model=model, train_rows=TRAIN_ROWS[name], masked_lm_loss=loss["value"],
                                                     interval=loss["interval"], sources=sources))

    order = [(name, seed) for seed in range(options.seeds) for name in options.sets.split(",")]
    if "tuned" in options.part:
        items = [(name, seed, model) for name, seed in order for model in models]
        labelled.side_by_side(options.jobs, tune, [item for item in items if item not in done])
    if "scores" in options.part:
        labelled.side_by_side(options.jobs, score, [item for item in order if item not in scored])
    if "losses" in options.part:
        items = [(name, seed, model) for name, seed in order for model in models if model.startswith("seedling")]
        labelled.side_by_side(options.jobs, lose, [item for item in items if item not in lost])


def advise(options, work, models):
    """What `topwork advise` says of the drawn rows without training."""
    return json.loads(labelled.run([options.topwork, "advise", work / "train.csv", "--models", ",".join(map(str, models)),
                                    "--scores-only", "--json", "--threads", "1"]))


def weighted_tau(x, y):
    """Weighted τ with hyperbolic weights, mean of ranking by either (Vigna, "A weighted correlation index for rankings with
    ties", 2015), as `scipy.stats.weightedtau` computes it."""
    def one(by):
        rank = {index: place for place, index in enumerate(sorted(range(len(x)), key=lambda i: by[i], reverse=True))}
        weight = lambda i, j: 1 / (rank[i] + 1) + 1 / (rank[j] + 1)
        sign = lambda value: (value > 0) - (value < 0)
        pairs = [(i, j) for i in range(len(x)) for j in range(i)]
        both = sum(weight(i, j) * sign(x[i] - x[j]) * sign(y[i] - y[j]) for i, j in pairs)
        own = [sum(weight(i, j) * sign(z[i] - z[j]) ** 2 for i, j in pairs) for z in (x, y)]
        return both / (own[0] * own[1]) ** 0.5 if all(own) else 0.0
    # scipy ranks by x and then y, and by y and then x.
    return (one(list(zip(x, y))) + one(list(zip(y, x)))) / 2


def table(results):
    accuracy, asked = collections.defaultdict(dict), {}
    for r in results:
        if "accuracy" in r and r.get("epochs") == epochs_of(r["set"]):
            accuracy[r["set"], r["seed"]][r["model"]] = r["accuracy"]
            asked[r["set"], r["seed"]] = r["test_rows"]
    taus, by_draw = [collections.defaultdict(lambda: collections.defaultdict(list)) for _ in range(2)]
    ranked = {}
    for r in results:
        if "by_layer" not in r:
            continue
        own = accuracy[r["set"], r["seed"]]
        models = [model for model in r["scores"] if model in own]
        if not models:
            continue
        if len(models) < len(r["scores"]):
            print(f"{r['set']}, seed {r['seed']}: left out, {len(models)} of {len(r['scores'])} encoders are fine-tuned for so long\n")
            continue
        for model in models:
            own_scores, layers = r["scores"][model], r["by_layer"][model].values()
            for score, of in RANKED_BY:
                # What is undefined comes last.
                defined = lambda value: float("-inf") if value is None else value
                own_scores[score] = defined(own_scores[score])
                if of == "best":
                    own_scores[f"{score}, best layer"] = max(own_scores[score], *(defined(layer[score]) for layer in layers))
        # The score on the layers' mean throughout is what the default was before.
        ranked_by = {"default ranking": [score if of == "mean" else f"{score}, best layer" for score, of in RANKED_BY],
                     "the same on the layers' mean": [score for score, _ in RANKED_BY]}
        for ranking, scores in ranked_by.items():
            places = [labelled.places([r["scores"][model][score] for model in models]) for score in scores]
            for model, own_places in zip(models, zip(*places)):
                r["scores"][model][ranking] = sum(own_places)
        ranked[r["set"], r["seed"]] = {score: [r["scores"][model][score] for model in own] for score in (*ranked_by, "parameters")}
        for score in next(iter(r["scores"].values())):
            values = [r["scores"][model].get(score) for model in models]
            if len(models) > 2 and None not in values:
                tau = weighted_tau(values, [own[model] for model in models])
                taus[score][r["set"]].append(tau)
                if score in ranked_by:
                    by_draw[r["seed"]][score].append(tau)
    sets = [name for name in SETS if any(name in by_set for by_set in taus.values())]
    if not sets:
        return
    print("| score | mean τ | " + " | ".join(sets) + " |")
    print("|---" * (len(sets) + 2) + "|")
    means = lambda by_set: [statistics.mean(by_set[name]) if by_set[name] else float("nan") for name in sets]
    for score, by_set in sorted(taus.items(), key=lambda item: -statistics.mean(means(item[1]))):
        print(f"| {score} | " + " | ".join(f"{value:.2f}" for value in [statistics.mean(means(by_set)), *means(by_set)]) + " |")
    # Of the first draw.
    spread = {name: beyond_chance(accuracy[name, 0].values(), asked[name, 0]) for name in sets if len(accuracy[name, 0]) > 1}
    print("| not chance | | " + " | ".join(f"{spread[name]:.2f}" if name in spread else "" for name in sets) + " |")

    print("\nNot chance: the part of the variance of the encoders' accuracies that is more than drawing the scored rows makes by itself.")
    told = [name for name in sets if spread.get(name, 0) > 0.5]
    for ranking in ("default ranking", "the same on the layers' mean", "parameters") if told else ():
        own = taus[ranking]
        print(f"{ranking}: {statistics.mean(means(own)):.3f} over all {len(sets)} sets, {statistics.mean(statistics.mean(own[name]) for name in told):.3f} "
              f"over the {len(told)} where more than half is not chance")
    print()
    for seed, by_ranking in sorted(by_draw.items()):
        print(f"Draw {seed}: " + ", ".join(f"{ranking} {statistics.mean(own):.2f} ({len(own)} sets)" for ranking, own in by_ranking.items()))
    again = {name: weighted_tau(list(first.values()), [second[model] for model in first]) for name in sets
             if (first := accuracy[name, 0]) and first.keys() == (second := accuracy[name, 1]).keys()}
    if again:
        print("The accuracies of draw 1 against those of draw 0: "
              + ", ".join(f"{name} {tau:.2f}" for name, tau in again.items()) + f", mean {statistics.mean(again.values()):.2f}")
        # What a draw does to the trainings is halved in the mean of two.
        against_mean = collections.defaultdict(dict)
        for name in again:
            models = list(accuracy[name, 0])
            mean = [(accuracy[name, 0][model] + accuracy[name, 1][model]) / 2 for model in models]
            for score in ranked[name, 0] if (name, 0) in ranked and (name, 1) in ranked else ():
                of_draws = []
                for seed in (0, 1):
                    values = dict(zip(accuracy[name, seed], ranked[name, seed][score]))
                    of_draws.append(weighted_tau([values[model] for model in models], mean))
                against_mean[score][name] = statistics.mean(of_draws)
        for score, by_set in against_mean.items():
            print(f"Each draw's {score} against the mean accuracy of both draws: mean {statistics.mean(by_set.values()):.2f} of {len(by_set)} sets ("
                  + ", ".join(f"{name} {tau:.2f}" for name, tau in by_set.items()) + ")")


def beyond_chance(accuracies, rows):
    """The part of the variance of accuracies that is not the binomial one of so many rows; 0 where there is no more."""
    accuracies = list(accuracies)
    chance = statistics.mean(value * (1 - value) / rows for value in accuracies)
    return max(0.0, 1 - chance / statistics.variance(accuracies)) if statistics.variance(accuracies) else 0.0


def continued(results):
    """Whether the loss of hidden words tells where going on with pre-training helps: by set, the carried model's loss, how
    much of it each corpus takes away, and the points of accuracy that it gives after fine-tuning."""
    accuracy, loss = collections.defaultdict(list), collections.defaultdict(list)
    for r in results:
        if "accuracy" in r and r.get("epochs") == epochs_of(r["set"]):
            accuracy[r["set"], r["model"]].append(100 * r["accuracy"])
        if "masked_lm_loss" in r:
            loss[r["set"], r["model"]].append(r["masked_lm_loss"])
    known = {key: (statistics.mean(loss[key]), statistics.mean(accuracy[key])) for key in loss if accuracy[key]}
    corpora = sorted({model.removeprefix("seedling-") for _, model in known if model != "seedling"})
    pairs, lines = [], []
    for name in SETS:
        if (name, "seedling") not in known:
            continue
        own, cells = known[name, "seedling"], []
        for corpus in corpora:
            other = known.get((name, f"seedling-{corpus}"))
            if other:
                pairs.append((own[0] - other[0], other[1] - own[1], own[0], corpus))
            cells += [f"{own[0] - other[0]:+.2f}", f"{other[1] - own[1]:+.1f}"] if other else ["", ""]
        lines.append(f"| {name} | {own[0]:.2f} | {own[1]:.1f} | " + " | ".join(cells) + " |")
    if len(pairs) < 3:
        return
    print("\n| set | loss | accuracy | " + " | ".join(f"{corpus}: loss taken away | points" for corpus in corpora) + " |")
    print("|---" * (3 + 2 * len(corpora)) + "|")
    print("\n".join(lines))
    agree = lambda key: labelled.rank_correlation([key(pair) for pair in pairs], [pair[1] for pair in pairs])
    print(f"\nRank correlation (Spearman) with the points over {len(pairs)} pairs: of the loss taken away "
          f"{agree(lambda pair: pair[0]):.2f}, of the carried model's loss {agree(lambda pair: pair[2]):.2f}")
    middle = statistics.median(pair[0] for pair in pairs)
    for text, part in (("more", [p[1] for p in pairs if p[0] > middle]), ("less", [p[1] for p in pairs if p[0] <= middle])):
        error = labelled.spread(part) / len(part) ** 0.5
        print(f"Where {text} than {middle:.2f} is taken away: {statistics.mean(part):+.1f} ± {error:.1f} points ({len(part)} pairs)")


if __name__ == "__main__":
    main()
