"""Settings of fine-tuning beside each other, on rows of training files alone: how defaults are found.

For every set and seed the rows of the training file are shuffled (`random.Random(seed)`); the first 480 (1,200 of
`banking77`) are learnt, and the next 1,000 (or what is left) are scored. Test files are not looked at. Prints the mean
accuracy of each model with each setting.

Use: python settings.py --topwork target/release/topwork --data ../shared/data --models seedling,DIR
         --settings "--lr 3e-4;--lr 1e-3" [--sets sst2,…,tickets] [--seeds 2] [--jobs 2]
"""
import argparse
import collections
import pathlib
import random
import statistics
import tempfile

import labelled

SETS = ("sst2", "trec6", "tweet_emotion", "banking77", "ag_news_7600", "tickets")
TRAIN_ROWS = collections.defaultdict(lambda: 480, banking77=1200)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--models", default="seedling")
    parser.add_argument("--settings", required=True, help="flags of `topwork tune`, several separated by ;")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, of one thread each")
    options = parser.parse_args()
    sets, models, settings = options.sets.split(","), options.models.split(","), options.settings.split(";")
    file_of = lambda name: "examples/tickets.csv" if name == "tickets" else f"{options.data}/{name}/train.csv"
    data = {name: labelled.read_rows(file_of(name)) for name in sets}
    scores = collections.defaultdict(list)

    def one(item):
        model, name, setting, seed = item
        rows, columns = list(data[name][0]), data[name][1]
        random.Random(seed).shuffle(rows)
        count = TRAIN_ROWS[name]
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            labelled.write_rows(work / "train.csv", rows[:count], columns)
            labelled.write_rows(work / "test.csv", rows[count:count + 1000], columns)
            result = labelled.tune(options.topwork, work / "train.csv", work / "test.csv", model, seed, work / "out",
                                   "--threads", "1", "--validation-fraction", "0", *setting.split())
        scores[model, setting, name].append(100 * result["test"]["accuracy"])

    labelled.side_by_side(options.jobs, one, [(model, name, setting, seed) for seed in range(options.seeds)
                                              for name in sets for model in models for setting in settings])
    print("| model | setting | " + " | ".join(sets) + " | mean |")
    print("|---" * (len(sets) + 3) + "|")
    for model in models:
        for setting in settings:
            means = [statistics.mean(scores[model, setting, name]) for name in sets]
            cells = [f"{mean:.1f}" for mean in [*means, statistics.mean(means)]]
            print(f"| {model} | {setting} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
