"""The peers for few labels: the package `setfit` at its defaults, and `sentence-transformers` with scikit-learn's logistic regression.

Rows have `text` and a class as `label`; CSV. The model is a directory of `sentence-transformers`.

Use: python few_labels.py setfit|logistic --train train.csv --test test.csv --model DIR [--seed N] [--threads N]

Needs setfit 1.2 and sentence-transformers. The last line of standard output is the result, as JSON: the scores of the test rows, seconds of the
whole process after the imports of the interpreter, and versions.
"""
import time

START = time.perf_counter()
import argparse  # noqa: E402
import csv  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def with_setfit(options, texts, labels, test_texts):
    """`SetFitTrainer` as its README has it: one epoch of pairs, oversampled, batches of 16, 2e-5, and logistic regression."""
    import setfit
    from datasets import Dataset

    names = sorted(set(labels))
    model = setfit.SetFitModel.from_pretrained(options.model, labels=names)
    with tempfile.TemporaryDirectory() as folder:
        arguments = setfit.TrainingArguments(output_dir=folder, seed=options.seed, report_to="none")
        rows = Dataset.from_dict(dict(text=texts, label=[names.index(label) for label in labels]))
        setfit.Trainer(model=model, args=arguments, train_dataset=rows).train()
    return list(model.predict(test_texts)), dict(setfit=setfit.__version__)


def with_logistic(options, texts, labels, test_texts):
    """The vectors of the untouched model, and `LogisticRegression` at its defaults."""
    import sentence_transformers
    from sklearn.linear_model import LogisticRegression

    model = sentence_transformers.SentenceTransformer(options.model, device="cpu")
    head = LogisticRegression(max_iter=1000).fit(model.encode(texts), labels)
    return list(head.predict(model.encode(test_texts))), dict(sentence_transformers=sentence_transformers.__version__)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=("setfit", "logistic"))
    for name in ("train", "test", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    texts, labels = read_rows(options.train)
    test_texts, gold = read_rows(options.test)
    run = dict(setfit=with_setfit, logistic=with_logistic)[options.system]
    predicted, versions = run(options, texts, labels, test_texts)
    from sklearn import metrics

    predicted = [str(label) for label in predicted]
    test = dict(accuracy=float(metrics.accuracy_score(gold, predicted)), macro_f1=float(metrics.f1_score(gold, predicted, average="macro")))
    print(json.dumps(dict(test=test, seconds=dict(total=time.perf_counter() - START), versions=versions | dict(torch=torch.__version__))))


if __name__ == "__main__":
    main()
