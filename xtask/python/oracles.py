"""What the scores of `topwork-metrics` are held to: scikit-learn's iris, and a table that is wider than long, with each score
computed here by numpy, scipy or scikit-learn from the formulas of its paper. Where a value was published for iris, the one
computed here is compared with it first. `calibration.json` beside it holds seeded tables and what calibration, paired tests and
neighbourhoods are on them.

Use: python oracles.py fixtures/scores.json
"""
import json
import math
import pathlib
import sys

import numpy as np
from scipy import linalg, optimize, stats
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

# Values that others printed for iris: transformer-ranker's tests, and an independent computation.
PUBLISHED = {
    "logme": -0.16006022, "h_score": 1.17784248, "h_score_unshrunk": 1.1918988, "shrinkage": 0.0075788, "transrate": 0.5894054,
    "gbc": -0.2306856, "leep": -0.9855696, "pactran_cross_entropy": 0.1925754, "pactran": 0.2912686,
    "knn_1": 0.96, "knn_3": 0.96, "knn_5": 0.9667, "knn_13": 0.9667, "mmd2": 0.5608335, "mmd_gamma": 1 / 1.660000624,
    "frechet": 2.6745096, "cka": 0.7702936,
}


def logme(f, y):
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    sigma, (n, d), evidences = s**2, f.shape, []
    for c in np.unique(y):
        t = (y == c).astype(float)
        x2 = (u.T @ t) ** 2
        r0 = max((t**2).sum() - x2.sum(), 0)
        alpha = beta = 1.0
        for _ in range(11):
            ratio = alpha / beta
            gamma = (sigma / (sigma + ratio)).sum()
            m2 = (sigma * x2 / (ratio + sigma) ** 2).sum()
            r2 = (x2 / (1 + sigma / ratio) ** 2).sum() + r0
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (r2 + 1e-5)
            if abs(alpha / beta - ratio) / ratio <= 1e-3:
                break
        evidence = (d / 2 * math.log(alpha) + n / 2 * math.log(beta) - np.log(alpha + beta * sigma).sum() / 2
                    - (d - len(sigma)) / 2 * math.log(alpha) - beta / 2 * r2 - alpha / 2 * m2 - n / 2 * math.log(2 * math.pi))
        evidences.append(evidence / n)
    return evidences


def h_score(f, y, shrink=True):
    """The shrunk score (Ibrahim et al.) or, without shrinkage, the first one (Bao et al.), which divides by n throughout."""
    f = f - f.mean(0)
    n, d = f.shape
    sigma = f.T @ f / n
    mu, norm = np.trace(sigma) / d, (sigma**2).sum()
    b = (((f**2).T @ f**2).sum() / n - norm) / (d * n)
    rho = min(max(b / ((norm - 2 * mu * np.trace(sigma) + d * mu**2) / d), 0), 1) if shrink else 0.0
    between = sum((y == c).sum() * np.outer(f[y == c].mean(0), f[y == c].mean(0)) for c in np.unique(y)) / (n - 1 if shrink else n)
    return np.trace(np.linalg.pinv((1 - rho) * sigma + rho * mu * np.eye(d)) @ ((1 - rho) * between)), rho


def transrate(f, y, epsilon=1e-4):
    f = f - f.mean(0)
    rate = lambda z: np.linalg.slogdet(np.eye(z.shape[1]) + z.T @ z / (len(z) * epsilon))[1] / 2
    return rate(f) - np.mean([rate(f[y == c]) for c in np.unique(y)])


def gbc(f, y):
    groups = [(f[y == c].mean(0), f[y == c].var(0)) for c in np.unique(y)]
    total = 0
    for i, (m, v) in enumerate(groups):
        for j, (o, w) in enumerate(groups):
            if i != j:
                mean = (v + w) / 2
                total -= math.exp(-((m - o) ** 2 / mean).sum() / 8 - np.log(mean / np.sqrt(v * w)).sum() / 2)
    return total


def parc(f, y):
    """Distances of classes are rounded: 1 − corrcoef of equal one-hot rows is 0 for one class and 2e-16 for another, and ranks
    tell these apart. 61.21701, which others printed for iris, comes of that."""
    f = (f - f.mean(0)) / f.std(0)
    upper = np.triu_indices(len(f), 1)
    return 100 * stats.spearmanr((1 - np.corrcoef(f))[upper], (1 - np.corrcoef(np.eye(y.max() + 1)[y]))[upper].round(9))[0]


def leep(theta, y):
    joint = np.stack([theta[y == c].sum(0) for c in np.unique(y)]) / len(y)
    given = joint / joint.sum(0)
    return np.log((theta * given[y]).sum(1)).mean()


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def pactran(f, y, weight=1.0):
    """The optimum of the penalised cross-entropy, and the bound that goes with it (PACTran-Gauss, variance 1/D)."""
    (n, d), c = f.shape, y.max() + 1
    one_hot = np.eye(c)[y]

    def loss(values):
        w, b = values[: d * c].reshape(d, c), values[d * c:]
        p = softmax(f @ w + b)
        slope = (p - one_hot) / n
        value = -np.log(p[np.arange(n), y]).mean() + (w**2).sum() / (2 * weight * n)
        return value, np.concatenate([(f.T @ slope + w / (weight * n)).ravel(), slope.sum(0)])

    best = optimize.minimize(loss, np.zeros(d * c + c), jac=True, method="L-BFGS-B",
                             options=dict(maxiter=100_000, maxfun=100_000, ftol=1e-16, gtol=1e-11))
    p = softmax(f @ best.x[: d * c].reshape(d, c) + best.x[d * c:])
    # The diagonal of the summed cross-entropy's Hessian, of weights and biases.
    hessian = ((f**2).T @ (p * (1 - p))).sum() + (p * (1 - p)).sum()
    return best.fun, best.fun + d * c / (weight * n) / d * math.log(1 + hessian * weight * n / (d * c)) / 2


def mmd2(x, y):
    both = np.concatenate([x, y])
    squares = ((both[:, None] - both[None]) ** 2).sum(-1)
    gamma = 1 / np.median(squares[np.triu_indices(len(both), 1)])
    k, n, m = np.exp(-gamma * squares), len(x), len(y)
    own = lambda block: (block.sum() - np.trace(block)) / (len(block) * (len(block) - 1))
    return own(k[:n, :n]) + own(k[n:, n:]) - 2 * k[:n, n:].mean(), gamma


def frechet(x, y):
    a, b = np.cov(x.T), np.cov(y.T)
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * np.real(linalg.sqrtm(a @ b)))


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    norm = lambda a: np.linalg.norm(a)
    return norm(y.T @ x) ** 2 / (norm(x.T @ x) * norm(y.T @ y))


def probe(f, y, penalty):
    """The loss of softmax regression with `penalty`/2 times the squared weights, biases not penalised."""
    (n, d), c = f.shape, y.max() + 1
    model = LogisticRegression(C=1 / (n * penalty), max_iter=100_000, tol=1e-10).fit(f, y)
    return -model.predict_log_proba(f)[np.arange(n), y].mean() + penalty / 2 * (model.coef_**2).sum()


def wide():
    """24 rows of 40 columns, three classes of different size."""
    y = np.array([row % 3 if row < 15 else 2 for row in range(24)])
    return np.array([[math.sin(0.37 * (row + 1) * (column + 1)) + 0.3 * (column % 3 == y[row]) for column in range(40)]
                     for row in range(24)]), y


def scores(f, y):
    optimum, bound = pactran(f, y)
    shrunk, rho = h_score(f, y)
    both = dict(logme=np.mean(logme(f, y)), h_score=shrunk, shrinkage=rho, transrate=transrate(f, y), gbc=gbc(f, y),
                parc=parc(f, y), leep=leep(softmax(f), y), pactran_cross_entropy=optimum, pactran=bound,
                probe_loss=probe(f, y, 0.1))
    for k in (1, 3, 5, 13):
        both[f"knn_{k}"] = cross_val_score(KNeighborsClassifier(k), f, y, cv=LeaveOneOut()).mean()
    return both


def reliability(logits, y, temperature):
    """The bins that have rows are scikit-learn's, of whether the top class is right against its probability."""
    p = softmax(logits / temperature)
    confidence, right = p.max(1), p.argmax(1) == y
    accuracies, confidences = calibration_curve(right, confidence, n_bins=15)
    rows = np.bincount(np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence), minlength=15)
    rows = rows[rows > 0]
    errors = np.abs(accuracies - confidences)
    bins = [dict(rows=int(n), confidence=c, accuracy=a) for n, c, a in zip(rows, confidences, accuracies, strict=True)]
    brier = brier_score_loss(y, p, labels=range(p.shape[1]), scale_by_half=False)
    return dict(temperature=temperature, bins=bins, ece=(rows * errors).sum() / len(y), mce=errors.max(), brier=brier)


def calibration(rng):
    """200 rows of four classes, and logits twice as sure as they should be; as 32-bit numbers, since logits are."""
    y = rng.integers(4, size=200)
    logits = np.round(2.0 * (rng.normal(size=(200, 4)) + 1.2 * np.eye(4)[y]), 4)
    z = logits.astype(np.float32).astype(float)
    loss = lambda temperature: log_loss(y, softmax(z / temperature), labels=range(4))
    best = optimize.minimize_scalar(lambda x: loss(math.exp(x)), bounds=(-math.log(20), math.log(20)), method="bounded",
                                    options=dict(xatol=1e-12))
    temperature = math.exp(best.x)
    return dict(logits=logits.ravel().tolist(), gold=y.tolist(), reliability=[reliability(z, y, t) for t in (0.5, 1.0, 2.0)],
                temperature=temperature, loss_before=loss(1.0), loss_after=best.fun)


def mcnemar(first, second):
    return dict(only_first=first, only_second=second, p=stats.binomtest(first, first + second, 0.5).pvalue)


def paired_t(first, second):
    found = stats.ttest_rel(first, second)
    low, high = found.confidence_interval(0.95)
    return dict(first=first.tolist(), second=second.tolist(), difference=(first - second).mean(), low=low, high=high,
                t=found.statistic, p=found.pvalue)


def mean_interval(values):
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return dict(values=values.tolist(), mean=values.mean(), std=values.std(ddof=1), low=low, high=high)


def student(freedom):
    return dict(freedom=freedom, upper=stats.t.ppf(0.975, freedom), beyond=2 * stats.t.sf(2.5, freedom))


def cka_debiased(x, y):
    """Linear CKA of the unbiased HSIC, by the sums of its definition (Song et al. 2012, equation 5)."""
    def kernel(view):
        view = view - view.mean(axis=0)
        gram = view @ view.T
        np.fill_diagonal(gram, 0)
        return gram
    def hsic(k, l):
        n, one = len(k), np.ones(len(k))
        return (np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))
    k, l = kernel(x), kernel(y)
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def neighbours(rng):
    """Two views of 40 rows, of different width."""
    before = np.round(rng.normal(size=(40, 6)), 4)
    after = np.round(before @ rng.normal(size=(6, 5)) + 0.5 * rng.normal(size=(40, 5)), 4)
    near = lambda f, k: NearestNeighbors(n_neighbors=k, metric="cosine").fit(f).kneighbors(return_distance=False)
    share = lambda k: np.mean([len(set(a) & set(b)) / k for a, b in zip(near(before, k), near(after, k), strict=True)])
    return dict(before=before.tolist(), after=after.tolist(), cka_debiased=cka_debiased(before, after), agreement=[dict(k=k, agreement=share(k)) for k in (1, 3, 10, 38)])


def comparisons():
    rng = np.random.default_rng(20261125)
    tables = calibration(rng)
    values = lambda count: np.round(rng.normal(0.8, 0.05, size=count), 4)
    return tables | dict(
        mcnemar=[mcnemar(*pair) for pair in ((1, 0), (5, 1), (0, 12), (7, 7), (7, 8), (10, 30), (300, 420), (1000, 3000))],
        paired_t=[paired_t(values(count), values(count)) for count in (2, 3, 5, 30)] + [paired_t(values(5) + 0.2, values(5))],
        mean_interval=[mean_interval(values(count)) for count in (2, 3, 5, 20)],
        student=[student(freedom) for freedom in (1, 2, 4, 9, 99, 999, 9_999, 10_000, 1_000_000)],
        neighbours=neighbours(rng))


def main():
    f, y = load_iris(return_X_y=True)
    iris = scores(f, y)
    versicolor, virginica = f[y == 1], f[y == 2]
    distance, gamma = mmd2(versicolor, virginica)
    iris |= dict(logme_by_class=logme(f, y), h_score_unshrunk=h_score(f, y, False)[0], mmd2=distance, mmd_gamma=gamma,
                 frechet=frechet(versicolor, virginica), cka=cka(f[:, :2], f[:, 2:]))
    for name, value in PUBLISHED.items():
        # To the digits printed, and one unit of the last of them; LogME and the median come from 32-bit arithmetic.
        digits = len(str(value).rpartition(".")[2])
        assert abs(iris[name] - value) < max(1.5 * 10.0**-digits, 4e-7 * abs(value)), (name, iris[name], value)
    text = json.dumps(dict(iris_features=f.tolist(), iris_classes=y.tolist(), iris=iris, wide=scores(*wide())), default=float)
    path = pathlib.Path(sys.argv[1])
    path.write_text(text + "\n")
    path.with_name("calibration.json").write_text(json.dumps(comparisons(), default=float) + "\n")


if __name__ == "__main__":
    main()
