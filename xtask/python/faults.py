"""Whether `topwork audit` finds what is planted: wrong labels, near-duplicates and leaks.

Of every labelled set 1,000 training and 500 test rows with different texts are drawn (`random.Random(seed)`). Then 5 % of the
labels are replaced by another one at random; 30 training rows with at least ten words come again with one word replaced; and
20 test rows are copied into the training file, 10 of them with one word replaced. Prints, for each set, how many of the wrong
labels are among those that the audit doubts, how many of those doubted are wrong, both for as many of the most doubtful rows
as labels are wrong, and how many of the planted pairs and leaks are found.

Use: python faults.py --topwork target/release/topwork --data ../shared/data [--model models/all-MiniLM-L6-v2] [--sets trec6,…]
"""
import argparse
import csv
import json
import pathlib
import random
import tempfile

import labelled

SETS = ("trec6", "sst2", "tweet_emotion", "ag_news_7600", "atis_intent", "sick_entailment")
ROWS, TEST_ROWS = 1000, 500
WRONG, NEAR, LEAKS = 0.05, 30, 20


def one_word_replaced(text, source):
    words = text.split()
    words[source.randrange(len(words))] = "instead"
    return " ".join(words)


def plant(data, name, seed, folder):
    """Writes the files; gives the lines with a wrong label, and the planted texts."""
    source = random.Random(seed)
    drawn = {}
    for split, count in (("train", ROWS), ("test", TEST_ROWS)):
        rows, columns = labelled.read_rows(f"{data}/{name}/{split}.csv")
        source.shuffle(rows)
        drawn[split] = rows
    text = columns[-2]
    fold = lambda row: " ".join(" ".join(row[column] for column in columns[:-1]).lower().split())
    seen, train, test = set(), [], []
    for rows, chosen, most in ((drawn["train"], train, ROWS), (drawn["test"], test, TEST_ROWS)):
        for row in rows:
            if len(chosen) < most and fold(row) not in seen:
                seen.add(fold(row))
                chosen.append(dict(row))
    known = sorted({row["label"] for row in train})
    test = [row for row in test if row["label"] in known]
    wrong = sorted(source.sample(range(len(train)), int(WRONG * len(train))))
    for place in wrong:
        train[place]["label"] = source.choice([label for label in known if label != train[place]["label"]])
    long = [row for row in train if len(row[text].split()) >= 10]
    near = [dict(row, **{text: one_word_replaced(row[text], source)}) for row in source.sample(long, min(NEAR, len(long)))]
    leaked = source.sample([row for row in test if len(row[text].split()) >= 10], LEAKS)
    leaks = [dict(row) if place % 2 else dict(row, **{text: one_word_replaced(row[text], source)})
             for place, row in enumerate(leaked)]
    labelled.write_rows(folder / "train.csv", train + near + leaks, columns)
    labelled.write_rows(folder / "test.csv", test, columns)
    return {place + 2 for place in wrong}, len(train), len(near), len(leaks)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="models/all-MiniLM-L6-v2")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| set | wrong labels | doubted | recall | precision | recall = precision at as many | near pairs found | leaked rows found |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.sets.split(","):
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            wrong, rows, near, leaks = plant(options.data, name, options.seed, work)
            found = json.loads(labelled.run([options.topwork, "audit", work / "train.csv", "--test", work / "test.csv", "--model",
                                             options.model, "--label-issues", work / "doubted.csv", "--json"]))
            with open(work / "doubted.csv", newline="", encoding="utf-8") as file:
                doubted = [int(row["line"]) for row in csv.DictReader(file)]
        # Rows that were planted later are not counted: their labels are as right as those they repeat.
        doubted = [line for line in doubted if line <= rows + 1]
        hits, top = wrong & set(doubted), wrong & set(doubted[:len(wrong)])
        pairs = sum(pair["resemblance"] < 1 and pair["first"]["split"] == pair["second"]["split"] == "train"
                    and pair["second"]["line"] > rows + 1 for pair in found["pairs"])
        shared = found["shared"][0]
        print(f"| {name} | {len(wrong)} | {len(doubted)} | {len(hits) / len(wrong):.2f} | {len(hits) / max(len(doubted), 1):.2f} | "
              f"{len(top) / len(wrong):.2f} | {pairs} of {near} | {shared['rows'] + shared['near_rows']} of {leaks} |")


if __name__ == "__main__":
    main()
