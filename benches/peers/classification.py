"""The peer for classes: `AutoModelForSequenceClassification`, at the trainer's own settings unless told otherwise.

Rows have `text`, or `text_a` and `text_b`, and a class as `label`; CSV or JSON lines.

Use: python classification.py --train train.csv --test test.csv --model DIR [--defaults | --epochs 3 --lr 5e-5 …]
"""
import fine_tune


def main():
    # `run_classification.py` cuts at 128 tokens.
    options = fine_tune.arguments(__doc__, max_length=128)
    names = sorted({row["label"] for row in fine_tune.read_rows(options.train)})
    ids = {name: place for place, name in enumerate(names)}

    def samples_of(tokenizer, rows):
        samples = fine_tune.encode_texts(tokenizer, rows, options.max_length)
        return [sample | dict(labels=ids[row["label"]]) for sample, row in zip(samples, rows)]

    def scores_of(rows, samples, logits):
        from sklearn import metrics

        gold, predicted = [sample["labels"] for sample in samples], logits.argmax(-1)
        return dict(accuracy=float(metrics.accuracy_score(gold, predicted)), macro_f1=float(metrics.f1_score(gold, predicted, average="macro")))

    fine_tune.fine_tune(options, "AutoModelForSequenceClassification", dict(num_labels=len(names)), samples_of, scores_of)


if __name__ == "__main__":
    main()
