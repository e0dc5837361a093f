"""Whether the similarity panel of `topwork advise` orders texts as people would: the same corpus before the same genre, before
another genre, before another language.

A corpus is parted into two; one half is the source. The rows compared with it are passages of the other half, of a corpus of
the same genre, of one of another, and Chinese reviews; labels mean nothing here and are drawn. Passages are lines of at least
eight words, cut after forty. Prints every measure for every case, and whether it is in order.

Then, as `--part carried`: whether the carried passages of general English, which `advise` compares with where nothing else is known,
place the labelled sets as a corpus of general English does that is a hundred times as large (Brown).

Use: python nearness.py --topwork target/release/topwork --data ../shared/data [--model seedling] [--part order,carried]
"""
import argparse
import json
import pathlib
import random
import tempfile

import labelled
from ranking import SETS

ROWS = 400
# Source, same genre, another genre.
CASES = (
    ("free_english/gov_digitalgov.txt", "free_english/gov_18f_blog.txt", "free_english/literature_100_english_novels.txt"),
    ("free_english/tech_rust_rfcs.txt", "free_english/tech_rust_book.txt", "free_english/speech_nltk_state_union.txt"),
    ("free_english/speech_nltk_state_union.txt", "free_english/speech_nltk_inaugural.txt", "free_english/support_dynamics_ax2012.txt"),
    ("free_english/literature_100_english_novels.txt", "unlabelled/literature_shakespeare.txt", "free_english/tech_python_peps.txt"),
)
CHINESE = "chnsenticorp_zh/train.csv"
BROWN = "unlabelled/general_brown.txt"
LESS_IS_FARTHER = ("vocabulary_overlap", "coverage")
STEPS = ("same corpus", "same genre", "other genre", "other language")


def passages(path, part=None):
    """Lines of a text file; of one half of its blocks of fifty when `part` is 0 or 1."""
    lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    if part is not None:
        lines = [line for place, line in enumerate(lines) if place // 50 % 2 == part]
    return lines


def rows_of(lines, seed):
    texts = sorted({" ".join(line.split()[:40]) for line in lines if len(line.split()) >= 8})
    return random.Random(seed).sample(texts, min(ROWS, len(texts)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="seedling")
    parser.add_argument("--part", default="order,carried")
    options = parser.parse_args()
    if "order" in options.part:
        order(options)
    if "carried" in options.part:
        carried(options)


def nearness(options, rows, *source):
    """What the panel says of a file of rows, by the measure's name."""
    advice = json.loads(labelled.run([options.topwork, "advise", rows, "--model", options.model, "--scores-only", "--json", *source]))
    return {measure["name"]: measure for measure in advice["similarity"]["measures"]}


def order(options):
    in_order = {}
    print("| source | measure | " + " | ".join(STEPS) + " | in order |")
    print("|---|---|---|---|---|---|---|")
    for source, same, other in CASES:
        values = {}
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            (work / "source.txt").write_text("\n".join(passages(f"{options.data}/{source}", 0)), encoding="utf-8")
            chinese, _ = labelled.read_rows(f"{options.data}/{CHINESE}")
            targets = (rows_of(passages(f"{options.data}/{source}", 1), 1), rows_of(passages(f"{options.data}/{same}"), 2),
                       rows_of(passages(f"{options.data}/{other}"), 3), [row["text"] for row in chinese[:ROWS]])
            for step, texts in zip(STEPS, targets):
                draw = random.Random(0)
                labelled.write_rows(work / "rows.csv", [dict(text=text, label=draw.choice("ab")) for text in texts], ["text", "label"])
                for name, measure in nearness(options, work / "rows.csv", "--source-text", work / "source.txt").items():
                    values.setdefault(name, []).append(measure["value"])
        for name, row in values.items():
            signed = [-value if name in LESS_IS_FARTHER else value for value in row]
            right = all(a < b for a, b in zip(signed, signed[1:]))
            in_order.setdefault(name, []).append(right)
            print(f"| {pathlib.Path(source).stem} | {name} | " + " | ".join(f"{value:.3f}" for value in row) + f" | {'yes' if right else 'no'} |")
    print("\n" + "; ".join(f"{name}: {sum(right)} of {len(right)}" for name, right in in_order.items()))


def carried(options):
    by_source = {"carried": {}, "Brown": {}}
    for name in SETS:
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work) / "rows.csv"
            rows, columns = labelled.read_rows(f"{options.data}/{name}/train.csv")
            labelled.write_rows(path, random.Random(0).sample(rows, ROWS), columns)
            for source, arguments in (("carried", ()), ("Brown", ("--source-text", f"{options.data}/{BROWN}"))):
                by_source[source][name] = nearness(options, path, *arguments)
    # The loss of hidden words is of the rows alone.
    measures = [name for name in next(iter(by_source["carried"].values())) if name != "masked_lm_loss"]
    place = lambda source, name, measure: by_source[source][name][measure]["place"]
    print("\nPlace between floor (0) and ceiling (1):\n")
    print("| set | " + " | ".join(f"{measure.replace('_', ' ')}, {source}" for measure in measures for source in by_source) + " |")
    print("|---" * (1 + 2 * len(measures)) + "|")
    for name in SETS:
        cells = [place(source, name, measure) for measure in measures for source in by_source]
        print(f"| {name} | " + " | ".join("" if cell is None else f"{cell:.2f}" for cell in cells) + " |")
    for measure in measures:
        pairs = [(place("carried", name, measure), place("Brown", name, measure)) for name in SETS]
        pairs = [pair for pair in pairs if None not in pair]
        print(f"{measure.replace('_', ' ')}: rank correlation (Spearman) {labelled.rank_correlation(*zip(*pairs)):.2f} over {len(pairs)} sets, "
              f"the carried passages put them {sum(a - b for a, b in pairs) / len(pairs):+.2f} farther")


if __name__ == "__main__":
    main()
