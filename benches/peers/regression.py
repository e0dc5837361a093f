"""The peer for numbers: `AutoModelForSequenceClassification` with one output and the squared error, on the targets as they are.

Rows have `text`, or `text_a` and `text_b`, and a number as `label`; CSV or JSON lines.

Use: python regression.py --train train.csv --test test.csv --model DIR [--defaults | --epochs 3 --lr 5e-5 …]
"""
import fine_tune


def main():
    # `run_classification.py` cuts at 128 tokens.
    options = fine_tune.arguments(__doc__, max_length=128)

    def samples_of(tokenizer, rows):
        samples = fine_tune.encode_texts(tokenizer, rows, options.max_length)
        return [sample | dict(labels=float(row["label"])) for sample, row in zip(samples, rows)]

    def scores_of(rows, samples, logits):
        from scipy import stats
        from sklearn import metrics

        gold, predicted = [sample["labels"] for sample in samples], logits.reshape(-1).astype("float64")
        return dict(
            pearson=float(stats.pearsonr(gold, predicted).statistic), spearman=float(stats.spearmanr(gold, predicted).statistic),
            rmse=float(metrics.root_mean_squared_error(gold, predicted)), mae=float(metrics.mean_absolute_error(gold, predicted)),
            r2=float(metrics.r2_score(gold, predicted)))

    fine_tune.fine_tune(options, "AutoModelForSequenceClassification", dict(num_labels=1, problem_type="regression"),
                        samples_of, scores_of)


if __name__ == "__main__":
    main()
