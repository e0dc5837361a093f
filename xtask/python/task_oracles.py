"""What the scores of regression, of several labels and of tagging are held to: seeded tables with each score computed here by
scipy, scikit-learn or seqeval, and fits of scikit-learn. An undefined value is null.

Use: python task_oracles.py fixtures/metrics.json   (needs scikit-learn, scipy and seqeval)
"""
import json
import math
import pathlib
import sys
import warnings

import numpy as np
from scipy import stats
from seqeval.metrics import accuracy_score as word_accuracy
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (accuracy_score, average_precision_score, f1_score, hamming_loss, log_loss, mean_absolute_error,
                             mean_squared_error, r2_score, root_mean_squared_error)
from sklearn.model_selection import LeaveOneOut, cross_val_predict

# What a tagger may say: every scheme, bare letters, other letters, plain tags, and tags that fit none.
TAGS = ("O", "B-A", "I-A", "B-B", "I-B", "E-A", "E-B", "S-A", "S-B", "L-A", "U-A", "B", "I", "E", "S", "NOUN", "VERB", ".-A", "B-A-C",
        "I-A-C", "I-", "Other")


def numbers(values):
    return [None if math.isnan(value) else float(value) for value in np.ravel(values)]


def regression(predicted, gold):
    predicted, gold = (np.asarray(values, float).reshape(len(values), -1) for values in (predicted, gold))
    over = lambda score: numbers(np.mean([score(p, g) for p, g in zip(predicted.T, gold.T)]))[0]
    uniform = lambda score: numbers(score(gold, predicted, multioutput="uniform_average"))[0]
    return dict(predicted=numbers(predicted), gold=numbers(gold), outputs=predicted.shape[1], loss=((predicted - gold) ** 2).mean(),
                pearson=over(lambda p, g: stats.pearsonr(p, g).statistic), spearman=over(lambda p, g: stats.spearmanr(p, g).statistic),
                rmse=uniform(root_mean_squared_error), mae=uniform(mean_absolute_error), r2=uniform(r2_score))


def regressions(rng):
    gold = np.round(rng.normal(3, 2, size=(50, 3)), 3)
    noisy = np.round(0.6 * gold + rng.normal(size=gold.shape), 3)
    tied = np.round(gold[:, :1])
    return [regression(noisy[:, :1], gold[:, :1]), regression(noisy, gold), regression(tied, gold[:, :1]), regression(gold, gold),
            regression(-gold, gold), regression([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), regression([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]),
            regression([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]), regression([1e9 + 1, 1e9 + 2, 1e9 + 3], [1.0, 2.0, 4.0])]


def multi_label(logits, gold, thresholds=None):
    logits, gold = logits.astype(np.float32).astype(float), gold.astype(int)
    p = 1 / (1 + np.exp(-logits))
    given = (p >= (0.5 if thresholds is None else np.array(thresholds))).astype(int)
    losses = [log_loss(g, q, labels=[0, 1]) for g, q in zip(gold.T, p.T)]
    precisions = [average_precision_score(g, z) for g, z in zip(gold.T, logits.T) if g.any()]
    return dict(logits=logits.ravel().tolist(), gold=gold.ravel().tolist(), labels=gold.shape[1], thresholds=thresholds,
                loss=np.mean(losses), micro_f1=f1_score(gold, given, average="micro", zero_division=0),
                macro_f1=f1_score(gold, given, average="macro", zero_division=0), map=np.mean(precisions),
                subset_accuracy=accuracy_score(gold, given), hamming_loss=hamming_loss(gold, given))


def multi_labels(rng):
    gold = rng.random((80, 5)) < np.array([0.5, 0.3, 0.1, 0.02, 0.0])
    gold[0, 3] = True
    logits = np.round(rng.normal(-1, 1.5, size=gold.shape) + 2 * gold, 3)
    # Whole numbers, so that many rows have equal scores.
    return [multi_label(logits, gold), multi_label(logits, gold, [0.3, 0.4, 0.25, 0.1, 0.9]), multi_label(np.round(logits), gold),
            multi_label(logits[:, :2], gold[:, :2])]


def entities(rng):
    """By itself a sentence begins without a type, which shows for tags of one unknown letter only; so each is given alone."""
    cases = [list(tags) for tags in (("O",), ("B-A", "I-A", "O", "B-B"), ("I-A", "I-A", "I-B", "B-A"), ("S-A", "S-A", "E-A", "I-A"),
                                     ("U-A", "U-A", "L-A"), ("NOUN", "NOUN", "VERB"), ("B-A", "E-B", "O", "I-B", "S-B"), ("I-", "I", "B"))]
    for length in (1, 2, 3, 5, 8, 13):
        cases += [list(rng.choice(TAGS, size=length)) for _ in range(60)]
    return [dict(tags=list(map(str, tags)), entities=get_entities(list(map(str, tags)))) for tags in cases]


def scores(gold, predicted, average):
    precision, recall, f1, support = precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)
    if average is None:
        kinds = sorted({kind for tags in (gold, predicted) for kind, _, _ in get_entities(tags)})
        return {kind: dict(precision=p, recall=r, f1=f, support=int(s)) for kind, p, r, f, s in zip(kinds, precision, recall, f1, support, strict=True)}
    return dict(precision=precision, recall=recall, f1=f1, support=int(support))


def tagging(rng, names, sentences, kept):
    ids = [rng.integers(len(names), size=rng.integers(1, 15)) for _ in range(sentences)]
    other = [np.where(rng.random(len(one)) < kept, one, rng.integers(len(names), size=len(one))) for one in ids]
    gold, predicted = ([[names[tag] for tag in one] for one in all] for all in (ids, other))
    return dict(names=names, gold=[one.tolist() for one in ids], predicted=[one.tolist() for one in other],
                micro=scores(gold, predicted, "micro"), weighted=scores(gold, predicted, "weighted"), by_type=scores(gold, predicted, None),
                accuracy=word_accuracy(gold, predicted)) | {"macro": scores(gold, predicted, "macro")}


def taggings(rng):
    iob2 = ["O"] + [f"{letter}-{kind}" for kind in ("PER", "LOC", "ORG") for letter in "BI"]
    iobes = ["O"] + [f"{letter}-{kind}" for kind in ("PER", "LOC") for letter in "BIES"]
    return [tagging(rng, iob2, 30, 0.8), tagging(rng, iobes, 30, 0.7), tagging(rng, ["O", "I-X", "B-X"], 10, 0.9),
            tagging(rng, ["NOUN", "VERB", "DET"], 10, 0.7), tagging(rng, ["O", "U-A", "L-A", "I-A", "B-A"], 20, 0.7)]


def ridge(rng, rows, features, outputs):
    x = np.round(rng.normal(1, 1, size=(rows, features)), 3)
    y = np.round(x[:, :outputs] @ rng.normal(size=(outputs, outputs)) + rng.normal(2, 0.7, size=(rows, outputs)), 3)
    penalties = [0.01, 0.3, 1.0, 3.0, 10.0, 100.0]
    errors = [((cross_val_predict(Ridge(alpha=a, solver="svd"), x, y, cv=LeaveOneOut()).reshape(y.shape) - y) ** 2).mean() for a in penalties]
    best = Ridge(alpha=penalties[int(np.argmin(errors))], solver="svd").fit(x, y)
    return dict(rows=rows, features=features, outputs=outputs, x=x.ravel().tolist(), y=y.ravel().tolist(), penalties=penalties,
                errors=errors, chosen=best.alpha, weight=np.ravel(best.coef_).tolist(), bias=np.ravel(best.intercept_).tolist())


def one_vs_rest(rng):
    x = np.round(rng.normal(0.5, 1, size=(60, 4)), 3)
    gold = (x @ rng.normal(size=(4, 3)) + rng.normal(size=(60, 3)) > 1).astype(int)
    penalty = 0.02
    fits = [LogisticRegression(C=1 / (60 * penalty), tol=1e-12, max_iter=100_000).fit(x, own) for own in gold.T]
    return dict(rows=60, features=4, labels=3, penalty=penalty, x=x.ravel().tolist(), gold=gold.ravel().tolist(),
                weight=np.concatenate([fit.coef_ for fit in fits]).ravel().tolist(), bias=[fit.intercept_[0] for fit in fits])


def lda(rng, rows, features, shrinkage):
    classes = np.arange(rows) * 2 % 3
    x = np.round(rng.normal(size=(rows, features)) + np.eye(3)[classes][:, np.arange(features) % 3], 3)
    fit = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, classes)
    return dict(rows=rows, features=features, shrinkage=shrinkage, x=x.ravel().tolist(), classes=classes.tolist(),
                weight=fit.coef_.ravel().tolist(), bias=fit.intercept_.tolist())


def main():
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(20261127)
    table = dict(regression=regressions(rng), multi_label=multi_labels(rng), entities=entities(rng), tagging=taggings(rng),
                 ridge=[ridge(rng, 25, 4, 1), ridge(rng, 25, 4, 2), ridge(rng, 10, 14, 2)], one_vs_rest=one_vs_rest(rng),
                 lda=[lda(rng, 30, 4, 0.1), lda(rng, 30, 4, 1.0), lda(rng, 12, 20, 0.3)])
    pathlib.Path(sys.argv[1]).write_text(json.dumps(table, default=float, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
