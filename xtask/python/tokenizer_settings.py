"""Small tokenizers with every setting that their files may have, alone and together, and the ids that transformers gives for hard texts.

Use, with transformers, sentencepiece and protobuf:
  python tokenizer_settings.py bases fixtures/tokenizers/settings      the vocabularies, made of those beside that folder
  python tokenizer_settings.py write FOLDER --texts 1000 [--bases B]   FOLDER/combinations.json with the ids
  python tokenizer_settings.py check FOLDER                            FOLDER/saved/NAME, as topwork saved it, gives the same ids
Without sentencepiece the combinations that need it are left out, and it says so.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import tempfile

import tokenizers
import transformers
from transformers import AutoTokenizer
from tokenizer_combinations import COMBINATIONS, word_pieces
from tokenizer_texts import PAIRS, hard_texts

def bases(root):
    def fresh(name):
        (root / name).mkdir(parents=True, exist_ok=True)
        return root / name

    def convert(folder, config):
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            for file in folder.iterdir():
                shutil.copy(file, work / file.name)
            (work / "config.json").write_text(json.dumps(config))
            whole = json.loads(AutoTokenizer.from_pretrained(work).backend_tokenizer.to_str())
        (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")

    folder = fresh("word-piece")
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in word_pieces()), encoding="utf-8")
    convert(folder, dict(model_type="bert"))
    for name, files in (("roberta", ["vocab.json", "merges.txt"]), ("xlm-roberta", ["sentencepiece.bpe.model"]), ("camembert", ["sentencepiece.bpe.model"])):
        folder = fresh(name)
        for file in files:
            shutil.copy(root.parent / name / file, folder / file)
        convert(folder, dict(model_type=name))
        # They lie in the folder beside.
        for file in files:
            (folder / file).unlink()


def build(folder, combination, roots):
    """The files of a combination: those of its base that it names, and what it says itself."""
    folder.mkdir(parents=True)
    for name, content in combination["files"].items():
        paths = [root / combination["base"] / name for root in roots]
        base = next((path for path in paths if path.exists()), None)
        if content is True:
            shutil.copy(base, folder / name)
        elif name == "tokenizer.json":
            whole = json.loads(base.read_text(encoding="utf-8"))
            for key, value in content.items():
                # `model` is changed key by key, all else is put in its place; `added_tokens` come after those that are there.
                if key == "model":
                    whole["model"].update(value)
                elif key == "further":
                    whole["added_tokens"] += value
                else:
                    whole[key] = value
            (folder / name).write_text(json.dumps(whole))
        else:
            (folder / name).write_text(json.dumps(content))
    return folder


def encoded(tokenizer, texts, table):
    """The ids of each text, as places in a table of different lists."""
    def place(ids):
        return table.setdefault(tuple(ids), len(table))

    one = [place(tokenizer(text)["input_ids"]) for text in texts]
    two = []
    for pair in PAIRS:
        both = tokenizer(*pair, return_token_type_ids=True)
        segments = both["token_type_ids"] if "token_type_ids" in tokenizer.model_input_names else [0] * len(both["input_ids"])
        two.append([place(both["input_ids"]), place(segments)])
    return dict(texts=one, pairs=two)


def readable(combination):
    return not any(name.endswith(".model") for name in combination["files"]) or importlib.util.find_spec("sentencepiece")


def write(root, count, from_bases):
    roots = [from_bases, from_bases.parent]
    texts, table, rows, left_out = hard_texts(count), {}, [], []
    with tempfile.TemporaryDirectory() as work:
        for combination in COMBINATIONS:
            row = dict(combination)
            if not readable(combination):
                left_out.append(combination["name"])
                continue
            if "refused" not in combination:
                folder = build(pathlib.Path(work) / combination["name"], combination, roots)
                tokenizer = AutoTokenizer.from_pretrained(folder)
                row.update(encoded(tokenizer, texts, table))
                row["side"] = tokenizer.truncation_side
                row["longest"] = min(tokenizer.model_max_length, 1_000_000)
            rows.append(row)
    versions = {module.__name__: module.__version__ for module in (transformers, tokenizers)}
    whole = dict(versions=versions, texts=texts, pair_texts=PAIRS, ids=[" ".join(map(str, ids)) for ids in table], combinations=rows)
    root.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(key) + ": " + ("[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]" if isinstance(value, list)
                                                else json.dumps(value)) for key, value in whole.items())
    (root / "combinations.json").write_text("{\n" + lines + "\n}\n")
    if left_out:
        print(f"without sentencepiece, which is not installed: {len(left_out)} combinations left out: {', '.join(left_out)}")
    print(f"{len(rows)} combinations, {len(texts)} texts")


def check(root):
    whole = json.loads((root / "combinations.json").read_text())
    lists = [[int(word) for word in ids.split()] for ids in whole["ids"]]
    wrong = compared = 0
    for row in whole["combinations"]:
        if "refused" in row:
            continue
        tokenizer = AutoTokenizer.from_pretrained(root / "saved" / row["name"])
        for text, place in zip(whole["texts"], row["texts"]):
            ids = tokenizer(text)["input_ids"]
            compared += 1
            if ids != lists[place]:
                wrong += 1
                if wrong <= 5:
                    print(f"{row['name']}: {text!r}: expected {lists[place]}, found {ids} after topwork saved it")
        for pair, (place, segments) in zip(whole["pair_texts"], row["pairs"]):
            found = tokenizer(*pair, return_token_type_ids=True)
            own = found["token_type_ids"] if "token_type_ids" in tokenizer.model_input_names else [0] * len(found["input_ids"])
            if found["input_ids"] != lists[place] or own != lists[segments]:
                wrong += 1
                print(f"{row['name']}: the pair {pair} has other ids or segments after topwork saved it")
        if tokenizer.truncation_side != row["side"]:
            wrong += 1
            print(f"{row['name']}: truncation_side is {tokenizer.truncation_side} after topwork saved it, {row['side']} before")
    rows = [row for row in whole["combinations"] if "refused" not in row]
    refused = len(whole["combinations"]) - len(rows)
    print(f"tokenizers: {len(rows)} combinations, {len(whole['texts'])} texts each, {refused} refused; "
          f"saved by topwork, read by transformers {transformers.__version__}: {compared} texts, {wrong} with other ids")
    return wrong == 0


def main():
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers.logging.set_verbosity_error()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["bases", "write", "check"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--bases", type=pathlib.Path, default=pathlib.Path("fixtures/tokenizers/settings"))
    said = parser.parse_args()
    if said.what == "bases":
        bases(said.folder)
    elif said.what == "write":
        write(said.folder, said.texts, said.bases)
    elif not check(said.folder):
        sys.exit(1)


if __name__ == "__main__":
    main()
