"""Fine-tunes on some rows of real sets of words, numbers and several labels, checks that something was learnt, and that
`transformers` loads each result and gives the same.

    python check_tasks.py --topwork target/release/topwork --data ../shared/data --model models/all-MiniLM-L6-v2
"""
import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROWS, TEST_ROWS, EPOCHS = 400, 200, 8
# The set, its metric and a bar between what guessing gets (0, 0 and 0.65) and what was measured (docs/experiments.md).
SETS = {
    "atis_slots": ("token_classification", "f1", 0.70),
    "sick_relatedness": ("regression", "pearson", 0.65),
    "atis_slot_types": ("multi_label", "micro_f1", 0.75),
}


def names_of(rows):
    return sorted({name for row in rows for name in row.get("tags", row.get("labels", []))})


def prepared(data, work, name):
    """Training and test files of some rows, and a file with the names of all labels."""
    source = data / name
    if name == "atis_slot_types":
        source = work / name
        derive = HERE.parents[1] / "benches/peers/derive_multi_label.py"
        subprocess.run([sys.executable, derive, data / "atis_slots", source], check=True)
    ending = "jsonl" if (source / "train.jsonl").exists() else "csv"
    paths, extra = [], []
    for split, count in (("train", ROWS), ("test", TEST_ROWS)):
        path = work / f"{name}_{split}.{ending}"
        # A header is a line more; no field of these sets has a line break.
        lines = (source / f"{split}.{ending}").read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:count + (ending == "csv")]), encoding="utf-8")
        paths.append(path)
    if ending == "jsonl":
        every = [json.loads(line) for split in ("train", "test")
                 for line in (source / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        names = work / f"{name}_names.txt"
        names.write_text("\n".join(names_of(every)) + "\n", encoding="utf-8")
        extra = ["--label-names-file", names]
    return paths, extra


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork", required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("target/tasks"))
    options = parser.parse_args()
    subprocess.run(["rm", "-rf", options.work], check=True)
    options.work.mkdir(parents=True)
    for name, (task, metric, bar) in SETS.items():
        (train, test), extra = prepared(options.data, options.work, name)
        output = options.work / f"{name}_result"
        command = [options.topwork, "tune", train, "--test", test, "--model", options.model, "--output", output,
                   "--num-train-epochs", EPOCHS, "--compare-seeds", 0, "--json", *extra]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr}")
        results = json.loads(done.stdout)
        if results["task"] != task:
            sys.exit(f"{name}: expected to be recognised as {task}, found {results['task']}")
        score = results["test"][metric]
        print(f"{name}: {task}, {metric} {score:.3f} in {results['seconds']['total']:.0f} s")
        if not score > bar:
            sys.exit(f"{name}: expected {metric} above {bar}")
        subprocess.run([sys.executable, HERE / "check_output.py", output, test, options.topwork], check=True)


if __name__ == "__main__":
    main()
