"""120 models x 5 folds in a few seconds: a logistic regression's penalty and rate, and its coefficients.

python examples/grid_of_models.py              # draws examples/grid_of_models.png
python examples/grid_of_models.py OTHER.png
python examples/grid_of_models.py --quick      # few epochs, to see that it runs

The data are scikit-learn's of breast cancer: is a tumour malignant, by 30 numbers about its cells and all their squares
and products? That makes more columns than rows, so it takes a penalty.
"""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from fusedgrad.linear_model import SGDClassifierCV
from matplotlib.colors import LogNorm
from matplotlib.ticker import NullLocator
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

ALPHAS = np.logspace(-5, 0.5, 12)
RATES = np.logspace(-3.5, 1, 10)


def data():
    """Return scaled training rows and test rows, their labels (1: malignant), and the names of the columns."""
    found = load_breast_cancer()
    X, X_test, y, y_test = train_test_split(found.data, 1 - found.target, random_state=0, stratify=found.target)
    pairs = PolynomialFeatures(2, include_bias=False)
    scaler = make_pipeline(StandardScaler(), pairs, StandardScaler()).fit(X)
    names = [" x ".join(np.repeat(found.feature_names, powers)) for powers in pairs.powers_]
    return scaler.transform(X), scaler.transform(X_test), y, y_test, names


def draw_grid(grid, panel):
    """The log loss of each cell, the mean over the folds."""
    losses = -grid.cv_results_["mean_test_score"].reshape(len(ALPHAS), len(RATES))
    best = losses.min()
    scale = LogNorm(best, 10 * best)
    shown = panel.imshow(losses, cmap="viridis_r", norm=scale, aspect="auto", origin="lower")
    bar = panel.figure.colorbar(shown, ax=panel, extend="max", ticks=[0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7], format="%g")
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label("log loss on the rows left out")
    row, column = divmod(grid.best_index_, len(RATES))
    panel.plot(column, row, "o", markersize=15, markerfacecolor="none", markeredgecolor="#c0392b", markeredgewidth=2.5)
    label = f"{best:.3f}"
    panel.annotate(label, (column, row), (0, 13), textcoords="offset points", ha="center", color="#c0392b")
    panel.set_xticks(range(len(RATES)), [f"{rate:.2g}" for rate in RATES], rotation=45)
    panel.set_yticks(range(len(ALPHAS)), [f"{alpha:.2g}" for alpha in ALPHAS])
    panel.set(xlabel="eta0, the rate", ylabel="alpha, the strength of the penalty")
    panel.set_title(f"{grid.scores_.shape[0]} cells x {grid.n_splits_} folds")


def draw_paths(grid, names, panel):
    """Coefficients at the best rate, means over the folds; those that last longest have names."""
    cells = np.arange(len(grid.scores_)).reshape(len(ALPHAS), len(RATES))[:, grid.best_index_ % len(RATES)]
    paths = grid.coefs_paths_[cells, :, 0, :-1].mean(axis=1)
    largest = np.abs(paths).max(axis=0).argsort()[::-1]
    for rank, k in enumerate(largest):
        how = (
            {"color": f"C{rank}", "linewidth": 2, "label": names[k]} if rank < 6 else {"color": "0.8", "linewidth": 0.7}
        )
        panel.plot(ALPHAS, paths[:, k], zorder=3 - (rank >= 6), **how)
    panel.axvline(grid.alpha_, color="#c0392b", linestyle="--", linewidth=1.2)
    panel.set(xscale="log", xlabel="alpha", ylabel="coefficient", xlim=(ALPHAS[0], ALPHAS[-1]))
    panel.set_title(f"Coefficients at eta0 = {grid.eta0_:.2g}; dashed: the best alpha")
    panel.legend(frameon=False, loc="lower right")
    panel.spines[["top", "right"]].set_visible(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", nargs="?", type=Path, default=Path("examples/grid_of_models.png"), help="the picture")
    parser.add_argument("--quick", action="store_true", help="few epochs")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # some rates are too small on purpose

    X, X_test, y, y_test, names = data()
    grid = SGDClassifierCV(
        "log_loss",
        alphas=ALPHAS,
        eta0s=RATES,
        penalty="l1",
        optimizer="sgd",
        learning_rate="constant",
        batch_size=32,
        scoring="neg_log_loss",
        max_iter=10 if given.quick else 50,
        tol=None,
        random_state=0,
    )
    start = time.perf_counter()
    grid.fit(X, y)
    print(
        f"{grid.scores_.size} models in {time.perf_counter() - start:.2f} s; best: alpha={grid.alpha_:.2g}, "
        f"eta0={grid.eta0_:.2g}, log loss {-grid.best_score_:.4f}, "
        f"test accuracy {grid.best_estimator_.score(X_test, y_test):.4f}"
    )

    figure, panels = plt.subplots(1, 2, figsize=(12.5, 5.5), layout="constrained", width_ratios=[1.2, 1])
    draw_grid(grid, panels[0])
    draw_paths(grid, names, panels[1])
    given.path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.path, dpi=110)


if __name__ == "__main__":
    main()
