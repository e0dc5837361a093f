"""Writes one small table in the formats that pandas, pyarrow, `datasets` and openpyxl write, for the tests of reading.

    python format_fixtures.py fixtures/formats

The rows are those of ROWS; the label is a name, and in the files of `datasets` the number of a class with its name beside the schema.
"""
import json
import pathlib
import shutil
import sys

import datasets
import pandas
import pyarrow
import pyarrow.feather
import pyarrow.ipc

ROWS = [("plain", "billing", 1), ('a, "quoted" text', "other", 2), ("two\nlines 🍎", "billing", 3), ("café", "other", 4)]


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    frame = pandas.DataFrame(ROWS, columns=["text", "label", "id"])
    frame.to_parquet(folder / "plain.parquet", index=False)
    frame.to_parquet(folder / "zstd.parquet", index=False, compression="zstd")
    frame.to_excel(folder / "sheet.xlsx", index=False)
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    pyarrow.feather.write_feather(table, folder / "lz4.feather", compression="lz4")
    pyarrow.feather.write_feather(table, folder / "zstd.feather", compression="zstd")
    dictionary = table.set_column(1, "label", table["label"].dictionary_encode())
    with pyarrow.ipc.new_stream(folder / "stream.arrow", dictionary.schema) as stream:
        stream.write_table(dictionary)
    # `datasets`: classes are numbers, their names stand in the metadata. The order is not that of the alphabet.
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["other", "billing"]), "id": datasets.Value("int64")})
    rows = datasets.Dataset.from_pandas(frame.assign(label=[int(label == "billing") for label in frame["label"]]), features=features)
    rows.save_to_disk(folder / "saved")
    rows.to_parquet(folder / "classes.parquet")
    tags = datasets.Features({"tokens": datasets.List(datasets.Value("string")),
                              "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-PER"]))})
    datasets.Dataset.from_dict({"tokens": [["Ann", "ran"], ["it", "is"]], "ner_tags": [[1, 0], [0, 0]]}, features=tags) \
        .to_parquet(folder / "words.parquet")
    for orient in ("columns", "index", "records", "split", "table", "values"):
        frame.to_json(folder / f"{orient}.json", orient=orient, force_ascii=orient == "split")
    frame.to_json(folder / "lines.jsonl", orient="records", lines=True)
    (folder / "wrapped.json").write_text(json.dumps({"version": 1, "data": frame.to_dict("records")}, indent=1))
    (folder / "lists.json").write_text(json.dumps(frame.to_dict("list")))
    (folder / "indented.json").write_text("\n".join(json.dumps(row, indent=2) for row in frame.to_dict("records")))


if __name__ == "__main__":
    main()
