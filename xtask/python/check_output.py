"""Loads an output directory of topwork with `transformers`, whatever its task: no warning, the same logits as `topwork predict` (of
words, the same tags), and saved by `transformers` it keeps its temperature.

    python check_output.py OUT test.csv target/release/topwork

The file is CSV, or JSON lines with `tokens`, `text`, or a pair by the usual names.
"""
import csv
import io
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

import torch
import transformers

ROWS = 200
TOLERANCE = 1e-4
SEQUENCES = transformers.AutoModelForSequenceClassification
WORDS = transformers.AutoModelForTokenClassification


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file) if path.endswith(".csv") else map(json.loads, filter(str.strip, file))
        return list(rows)[:ROWS]


def texts_of(row):
    """The text, or both of a pair."""
    pairs = ("text", "text_pair"), ("text_a", "text_b"), ("sentence1", "sentence2"), ("premise", "hypothesis")
    for one, other in pairs:
        if one in row:
            return [row[one], *([row[other]] if other in row else [])]
    raise SystemExit(f"no text among {sorted(row)}")


def tags_of(tokenizer, model, words):
    """The tag of the first piece of each word."""
    encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**encoded).logits[0]
    first = {}
    for position, word in enumerate(encoded.word_ids()):
        if word is not None:
            first.setdefault(word, position)
    return [model.config.id2label[int(logits[first[word]].argmax())] for word in range(len(words))]


def main():
    directory, path, topwork = sys.argv[1:]
    said = io.StringIO()
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    logging.getLogger("transformers").addHandler(logging.StreamHandler(said))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        config = transformers.AutoConfig.from_pretrained(directory)
        is_of_words = config.architectures[0].endswith("ForTokenClassification")
        model, report = (WORDS if is_of_words else SEQUENCES).from_pretrained(directory, output_loading_info=True)
        temperature = getattr(config, "calibration_temperature", None)
        with tempfile.TemporaryDirectory() as folder:
            # Whether this run has one or not.
            model.config.calibration_temperature = 1.5
            model.save_pretrained(folder)
            kept = json.loads((pathlib.Path(folder) / "config.json").read_text()).get("calibration_temperature")
            again = transformers.AutoConfig.from_pretrained(folder)
    if (kept, again.calibration_temperature) != (1.5, 1.5):
        sys.exit(f"saved by transformers, a temperature of 1.5 is {kept}")
    own = [str(w.message) for w in caught if "transformers" in str(w.filename)]
    problems = [f"{key}: {sorted(value)}" for key, value in report.items() if value] + own
    if said.getvalue().strip() or problems:
        sys.exit(f"loading {directory} warned:\n{said.getvalue()}\n" + "\n".join(problems))
    rows = rows_of(path)
    done = subprocess.run([topwork, "predict", directory, path, "--json"], capture_output=True, text=True, check=True)
    predicted = [json.loads(line) for line in done.stdout.splitlines()[:ROWS]]
    model.eval()
    largest = 0.0
    for row, ours in zip(rows, predicted, strict=True):
        if is_of_words:
            tags = tags_of(tokenizer, model, row["tokens"])
            if tags != ours["tags"]:
                sys.exit(f"{row['tokens']}: transformers says {tags}, topwork {ours['tags']}")
            continue
        encoded = tokenizer(*texts_of(row), truncation=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**encoded).logits[0]
        # Numbers are said as they are: one by itself, several by their names.
        values = ours.get("logits") or ours.get("values") or [ours["value"]]
        values = list(values.values()) if isinstance(values, dict) else values
        largest = max(largest, (logits - torch.tensor(values)).abs().max().item())
        label = model.config.id2label[int(logits.argmax())]
        if ours.get("label", label) != label:
            sys.exit(f"{row}: transformers says {label}, topwork {ours['label']}")
    print(json.dumps(dict(rows=len(rows), largest_logit_difference=largest, temperature=temperature, transformers=transformers.__version__)))
    if largest > TOLERANCE:
        sys.exit(f"logits differ by {largest}")


if __name__ == "__main__":
    main()
