"""Derives a set with any number of labels a row from slots: which TYPES of slot occur in a sentence.

    python derive_multi_label.py ../shared/data/atis_slots target/peers/atis_slot_types

Of `{"tokens": […], "tags": […]}` with IOB2 tags it writes `train.jsonl`, `validation.jsonl` and `test.jsonl` with
`{"text": …, "labels": […]}`: the text is the tokens with one space between, the labels are the types without `B-` and `I-`,
in alphabetical order. Types that occur in fewer than 50 training sentences are dropped; a sentence without any other type stays,
with an empty list. Nothing is drawn: every row of the source is a row here, in the same order. Of ATIS (4,478, 500 and 893
rows) 30 of 79 types stay, 3.0 a training sentence.
"""
import argparse
import collections
import json
import pathlib

LEAST = 50
SPLITS = ("train", "validation", "test")


def types(tags):
    return {tag.split("-", 1)[1] for tag in tags if tag != "O"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    options = parser.parse_args()
    rows = {}
    for split in SPLITS:
        lines = (options.source / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        rows[split] = [json.loads(line) for line in lines]
    counts = collections.Counter(name for row in rows["train"] for name in types(row["tags"]))
    kept = {name for name, count in counts.items() if count >= LEAST}
    options.target.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        with open(options.target / f"{split}.jsonl", "w", encoding="utf-8") as file:
            for row in rows[split]:
                derived = dict(text=" ".join(row["tokens"]), labels=sorted(types(row["tags"]) & kept))
                file.write(json.dumps(derived, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
