"""Plants training rows among test rows and counts how many `topwork plan` leaves out, kind by kind; and honest rows with them.

    python leaks.py --topwork target/release/topwork --data ../shared/data [--sets ag_news_7600,trec6,sst2]

A planted row is a training row as it is, in other case and punctuation, or with one word replaced by a word of another row. Honest rows are
the first 1,000 of the test file. The last column is what reading and checking both files takes, as a part of a run of one minute.
"""
import argparse
import pathlib
import random
import re
import subprocess
import tempfile
import time

import labelled

PLANTED = 300
HONEST = 1000


def replaced(text, rng, words):
    """The text with one word replaced by another one."""
    parts = re.split(r"(\w+)", text)
    places = [place for place in range(1, len(parts), 2)]
    if not places:
        return text
    place = rng.choice(places)
    parts[place] = rng.choice([word for word in words if word.lower() != parts[place].lower()])
    return "".join(parts)


KINDS = {
    "same": lambda text, rng, words: text,
    "other case and punctuation": lambda text, rng, words: text.upper().replace(",", " -") + "!",
    "one word replaced": replaced,
}


def left_out(options, train, rows, names, folder):
    """How many rows of a test file are left out, and the seconds that it took."""
    labelled.write_rows(folder / "test.csv", rows, names)
    began = time.perf_counter()
    done = subprocess.run([options.topwork, "plan", train, "--test", folder / "test.csv"], capture_output=True, text=True, check=True)
    found = re.search(r": (\d+) of \d+ rows stand in the training file too", done.stderr)
    return int(found[1]) if found else 0, time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topwork", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--sets", default="ag_news_7600,trec6,sst2,tweet_emotion,banking77")
    options = parser.parse_args()
    print("| set | honest rows left out | " + " | ".join(f"recall: {kind}" for kind in KINDS) + " | all | seconds |")
    print("|---|--:|" + "--:|" * (len(KINDS) + 2))
    for name in options.sets.split(","):
        train = options.data / name / "train.csv"
        learnt, names = labelled.read_rows(train)
        honest, _ = labelled.read_rows(options.data / name / "test.csv")
        honest, rng = honest[:HONEST], random.Random(0)
        words = [word for row in learnt[:500] for word in re.findall(r"\w+", row["text"])]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            alone, seconds = left_out(options, train, honest, names, folder)
            recalls = []
            for change in KINDS.values():
                planted = [dict(row, text=change(row["text"], rng, words)) for row in rng.sample(learnt, PLANTED)]
                found, _ = left_out(options, train, honest + planted, names, folder)
                recalls.append((found - alone) / PLANTED)
        print(f"| {name} | {alone} of {len(honest)} | " + " | ".join(f"{recall:.3f}" for recall in recalls)
              + f" | {sum(recalls) / len(recalls):.3f} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
