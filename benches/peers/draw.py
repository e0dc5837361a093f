"""Draws rows of a training file, so that both sides of a comparison learn from the same ones.

    python draw.py FILE N SEED OUT

`random.Random(SEED).sample` of the rows of a CSV file with a header or of JSON lines, in the drawn order; all rows, in the order
of the file, where N is 0.
"""
import argparse
import csv
import json
import pathlib
import random


def read(path):
    """The rows, and the names of the columns where the file is CSV."""
    path = pathlib.Path(path)
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()], None
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return list(reader), reader.fieldnames


def write(path, rows, columns):
    with open(path, "w", newline="", encoding="utf-8") as file:
        if columns is None:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def draw(source, count, seed, target):
    """Writes the drawn rows and returns them."""
    rows, columns = read(source)
    if count:
        rows = random.Random(seed).sample(rows, min(count, len(rows)))
    write(target, rows, columns)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=pathlib.Path)
    options = parser.parse_args()
    if options.file.suffix != options.out.suffix:
        parser.error(f"{options.out}: expected the ending of {options.file}")
    draw(options.file, options.rows, options.seed, options.out)


if __name__ == "__main__":
    main()
