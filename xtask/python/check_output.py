"""Loads an output directory of topwork with `transformers`: no warning, the same logits as `topwork predict`, and saved by
`transformers` it keeps its temperature.

    python check_output.py OUT test.csv target/release/topwork
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


def main():
    directory, path, topwork = sys.argv[1:]
    said = io.StringIO()
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    logging.getLogger("transformers").addHandler(logging.StreamHandler(said))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
            directory, output_loading_info=True)
        config = transformers.AutoConfig.from_pretrained(directory)
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
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:ROWS]
    done = subprocess.run([topwork, "predict", directory, path, "--json"], capture_output=True, text=True, check=True)
    predicted = [json.loads(line) for line in done.stdout.splitlines()[:ROWS]]
    model.eval()
    largest = 0.0
    for row, ours in zip(rows, predicted, strict=True):
        encoded = tokenizer(row["text"], truncation=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**encoded).logits[0]
        largest = max(largest, (logits - torch.tensor(ours["logits"])).abs().max().item())
        label = model.config.id2label[int(logits.argmax())]
        if label != ours["label"]:
            sys.exit(f"{row['text']!r}: transformers says {label}, topwork {ours['label']}")
    print(json.dumps(dict(rows=len(rows), largest_logit_difference=largest, temperature=temperature, transformers=transformers.__version__)))
    if largest > TOLERANCE:
        sys.exit(f"logits differ by {largest}")


if __name__ == "__main__":
    main()
