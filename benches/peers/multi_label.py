"""The peer for any number of labels a row: `AutoModelForSequenceClassification` with one binary decision a label.

Rows are JSON lines `{"text": …, "labels": [...]}` (or `text_a` and `text_b`). A label is given from a probability of 0.5. A
label of the scored rows that training does not have counts as one that is never given. Mean average precision is over the
labels that some scored row has.

Use: python multi_label.py --train train.jsonl --test test.jsonl --model DIR [--defaults | --epochs 3 --lr 5e-5 …]
"""
import fine_tune


def main():
    # `run_classification.py` cuts at 128 tokens.
    options = fine_tune.arguments(__doc__, max_length=128)
    names = sorted({label for row in fine_tune.read_rows(options.train) for label in row["labels"]})

    def samples_of(tokenizer, rows):
        samples = fine_tune.encode_texts(tokenizer, rows, options.max_length)
        return [sample | dict(labels=[float(name in row["labels"]) for name in names]) for sample, row in zip(samples, rows)]

    def scores_of(rows, samples, logits):
        import numpy
        from sklearn import metrics

        unknown = sorted({label for row in rows for label in row["labels"]} - set(names))
        gold = numpy.array([[name in row["labels"] for name in names + unknown] for row in rows])
        logits = numpy.concatenate([logits, numpy.full((len(rows), len(unknown)), -numpy.inf)], axis=1)
        # From 0.5 of probability.
        predicted = logits >= 0
        f1 = lambda average: float(metrics.f1_score(gold, predicted, average=average, zero_division=0))
        precision = [metrics.average_precision_score(gold[:, i], numpy.nan_to_num(logits[:, i], neginf=-1e9))
                     for i in range(gold.shape[1]) if gold[:, i].any()]
        by_label = metrics.f1_score(gold, predicted, average=None, zero_division=0)
        return dict(
            micro_f1=f1("micro"), macro_f1=f1("macro"), map=float(numpy.mean(precision)),
            subset_accuracy=float((gold == predicted).all(axis=1).mean()),
            by_label={name: float(value) for name, value in zip(names + unknown, by_label)})

    head = dict(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)},
                problem_type="multi_label_classification")
    fine_tune.fine_tune(options, "AutoModelForSequenceClassification", head, samples_of, scores_of)


if __name__ == "__main__":
    main()
