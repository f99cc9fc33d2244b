"""Grids of models beside scikit-learn's: ``python -m bench.grids``.

Seconds of a whole call: 64 penalties fitted by `fit_many`, and grids of penalties times folds by `SGDClassifierCV`.
Everybody gets two threads or two workers; what the peer may choose (threads or processes, the solver) is what a short
warm-up finds fastest. Subject and peer run in turn, A B A B, in one process; the ratio is the median of the pairs'
ratios. Where both sides choose a model, the best mean score over the folds must not be worse than the peer's.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import fusedgrad
import numpy as np
import sklearn
from fusedgrad import SGDClassifier, SGDClassifierCV, fit_many
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from sklearn import linear_model as sklearn_models
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from . import data, machine, measure, table
from .quality.problems import adult

THREADS = 2
EPOCHS = 5
MODELS = 64
SAMPLED = 8  # models that scikit-learn fits in place of all
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FOLDS = StratifiedKFold(5)
SOLVERS = ("lbfgs", "newton-cholesky", "newton-cg", "liblinear", "sag", "saga")
RESULTS = Path(__file__).parent / "results" / "grids"
SCORE_TOLERANCE = {"accuracy": 1e-3, "neg_log_loss": 1e-4}  # beside solvers that converge to the optimum

Run = Callable[[], float | None]  # what is timed; it returns the best score, if there is a choice


@dataclass(frozen=True)
class Peer:
    """What a case is compared with: its ways, by name, each with a short run that tells how fast it is.

    `times` is what the seconds of a run are multiplied with; the best score may be `tolerance` below the peer's.
    """

    name: str
    target: float
    ways: dict[str, tuple[Run, Run]]
    times: float = 1.0
    tolerance: float = 0.0


@dataclass(frozen=True)
class Case:
    """A grid on some data, ours and the peers'."""

    description: str
    ours: Run
    peers: list[Peer]
    short: Run


def alphas(count: int) -> NDArray[np.float64]:
    return np.logspace(-6, -1, count)


# ---- Many penalties in one pass ----

CONSTANT = {"learning_rate": "constant", "eta0": 0.1, "max_iter": EPOCHS, "tol": None, "random_state": 0}


def rows(quick: bool) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return data.dense(50_000 if quick else 500_000, 100, "float32")


def models(count: int) -> list[SGDClassifier]:
    return [
        SGDClassifier("log_loss", alpha=alpha, batch_size=1024, n_jobs=THREADS, **CONSTANT) for alpha in alphas(count)
    ]


def one_pass(quick: bool) -> Case:
    """`fit_many` beside scikit-learn's fits, on two workers, and beside our own fits, one after the other."""
    X, y = rows(quick)

    def ours(count: int = MODELS) -> None:
        fit_many(models(count), X, y)

    def separate(count: int = MODELS) -> None:
        for model in models(count):
            model.fit(X, y)

    def theirs(workers: str, count: int = SAMPLED) -> None:
        fits = [sklearn_models.SGDClassifier("log_loss", alpha=alpha, **CONSTANT) for alpha in alphas(count)]
        Parallel(n_jobs=THREADS, prefer=workers)(delayed(fit.fit)(X, y) for fit in fits)

    ways = {f"2 {each}": (lambda w=each: theirs(w), lambda w=each: theirs(w, 2)) for each in ("threads", "processes")}
    many = f"scikit-learn, {SAMPLED} of the {MODELS} fits, times {MODELS // SAMPLED}"
    return Case(
        f"{MODELS} alphas, dense float32, {len(X):,} x 100, log loss, {EPOCHS} epochs, batch 1,024",
        ours,
        [
            Peer(many, 60, ways, MODELS / SAMPLED),
            Peer(f"fusedgrad, {MODELS} fits", 6, {"2 threads": (separate, lambda: separate(1))}),
        ],
        lambda: ours(2),
    )


def curve(quick: bool, repeats: int) -> list[dict[str, Any]]:
    """Seconds of an epoch for each number of models in a pass."""
    X, y = rows(quick)
    points = []
    for count in COUNTS:
        seconds = [measure.clock(lambda n=count: fit_many(models(n), X, y))[0] / EPOCHS for _ in range(repeats)]
        points.append({"models": count, "seconds": median(seconds), "spread": [min(seconds), max(seconds)]})
    return points


# ---- Penalties times folds ----

OURS_ON_ADULT = {"batch_size": 32, "learning_rate": "constant", "eta0s": [3.0], "average": True}
SKLEARN_ON_ADULT = {
    "defaults": {},
    "average=True": {"average": True},
    "learning_rate='adaptive', eta0=0.1": {"learning_rate": "adaptive", "eta0": 0.1},
}


def adult_grid(quick: bool) -> Case:
    """20 penalties x 5 folds, scored by accuracy, on a table of categories and numbers."""
    task = adult.make(1.0)
    X, y = (task.X[:5000], task.y[:5000]) if quick else (task.X, task.y)

    def ours(count: int = 20) -> float:
        grid = SGDClassifierCV(
            "log_loss", alphas=alphas(count), cv=FOLDS, n_jobs=THREADS, random_state=0, **OURS_ON_ADULT
        )
        return grid.fit(X, y).best_score_

    def theirs(settings: dict[str, Any], backend: str, count: int = 20) -> float:
        model = sklearn_models.SGDClassifier("log_loss", random_state=0, **settings)
        with parallel_config(backend):
            grid = GridSearchCV(model, {"alpha": alphas(count)}, cv=FOLDS, n_jobs=THREADS).fit(X, y)
        return float(grid.best_score_)

    def peer(name: str, settings: dict[str, Any]) -> Peer:
        backends = {"2 threads": "threading", "2 processes": "loky"}
        return Peer(
            f"GridSearchCV of SGDClassifier, {name}",
            15,
            {
                way: (lambda b=backend: theirs(settings, b), lambda b=backend: theirs(settings, b, 2))
                for way, backend in backends.items()
            },
        )

    set_to = ", ".join(f"{name}={value!r}" for name, value in OURS_ON_ADULT.items())
    return Case(
        f"20 alphas x 5 folds, Adult, CSR float64, {X.shape[0]:,} x {X.shape[1]}, accuracy ({set_to})",
        ours,
        [peer(name, settings) for name, settings in SKLEARN_ON_ADULT.items()],
        lambda: ours(2),
    )


def correlated(rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """100 columns that are mixtures of 20 factors, and noise; labels from a noisy linear model."""
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((rows, 20)) @ rng.standard_normal((20, 100)) / np.sqrt(20)
    X = factors + 0.5 * rng.standard_normal((rows, 100))
    scores = X @ rng.standard_normal(100)
    return X, (scores / scores.std() + data.NOISE * rng.standard_normal(rows) > 0).astype(np.int64)


def logistic_grid(quick: bool, scoring: str) -> Case:
    """10 penalties x 5 folds beside scikit-learn's own estimator for that, with its best solver."""
    X, y = correlated(10_000 if quick else 100_000)
    Cs = np.logspace(-4, 2, 10)

    def ours(some: slice = slice(None)) -> float:
        strengths = 1 / (Cs * len(X[some]) * (1 - 1 / FOLDS.n_splits))
        grid = SGDClassifierCV("log_loss", alphas=strengths, cv=FOLDS, scoring=scoring, n_jobs=THREADS, random_state=0)
        return grid.fit(X[some], y[some]).best_score_

    def theirs(solver: str, some: slice = slice(None)) -> float:
        grid = sklearn_models.LogisticRegressionCV(
            Cs=Cs, cv=FOLDS, scoring=scoring, solver=solver, n_jobs=THREADS, random_state=0, **NEW_NAMES
        )
        scores = np.asarray(grid.fit(X[some], y[some]).scores_)
        return float(scores.reshape(FOLDS.n_splits, -1).mean(axis=0).max())

    tenth = slice(len(X) // 10)
    ways = {solver: (lambda s=solver: theirs(s), lambda s=solver: theirs(s, tenth)) for solver in SOLVERS}
    return Case(
        f"10 alphas x 5 folds, dense float64, {len(X):,} x 100, {scoring}",
        ours,
        [Peer("LogisticRegressionCV", 1, ways, tolerance=SCORE_TOLERANCE[scoring])],
        lambda: ours(tenth),
    )


NEW_NAMES = {"l1_ratios": (0.0,), "use_legacy_attributes": False}  # what scikit-learn 1.8 and later warn without


def cases(quick: bool) -> Iterator[Case]:
    yield one_pass(quick)
    try:
        yield adult_grid(quick)
    except FileNotFoundError as error:
        print(f"not run: {error}", file=sys.stderr)
    for scoring in SCORE_TOLERANCE:
        yield logistic_grid(quick, scoring)


# ---- Measuring ----


def fastest(peer: Peer) -> str:
    """Return the way whose short run is fastest; of the two fastest of many, the whole run decides."""
    if len(peer.ways) == 1:
        next(iter(peer.ways.values()))[1]()
        return next(iter(peer.ways))
    ways = sorted(peer.ways, key=lambda way: min(measure.clock(peer.ways[way][1])[0] for _ in range(2)))
    return ways[0] if len(ways) == 2 else min(ways[:2], key=lambda way: measure.clock(peer.ways[way][0])[0])


def compare(case: Case, peer: Peer, repeats: int) -> dict[str, Any]:
    """Time fusedgrad and a peer in turn, and return the row of the table."""
    case.short()
    way = fastest(peer)
    runs = [(measure.clock(case.ours), measure.clock(peer.ways[way][0])) for _ in range(repeats)]
    seconds = {"subject": [mine[0] for mine, _ in runs], "peer": [theirs[0] * peer.times for _, theirs in runs]}
    ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
    (_, mine), (_, theirs) = runs[-1]
    good = mine is None or theirs is None or mine >= theirs - peer.tolerance
    return {
        "description": case.description,
        "peer": f"{peer.name}; {way}",
        "target": peer.target,
        "threads": THREADS,
        "seconds": {side: median(each) for side, each in seconds.items()},
        "ratio": median(ratios),
        "spread": [min(ratios), max(ratios)],
        "score": None if mine is None or theirs is None else {"subject": mine, "peer": theirs},
        "holds": bool(good and median(ratios) >= peer.target),
        "all_seconds": seconds,
    }


# ---- The report ----


def _score(row: dict[str, Any], side: str) -> str:
    return "" if row["score"] is None else f"{row['score'][side]:.5f}"


COLUMNS: table.Columns = {
    "peer": lambda row: row["peer"],
    **{name: table.COLUMNS[name] for name in ("fusedgrad", "peer's")},
    "ratio": lambda row: f"{row['ratio']:.1f}",
    "spread": lambda row: f"{row['spread'][0]:.1f} to {row['spread'][1]:.1f}",
    **{name: table.COLUMNS[name] for name in ("target", "holds")},
    "best score": lambda row: _score(row, "subject"),
    "peer's best score": lambda row: _score(row, "peer"),
}

CURVE: table.Columns = {
    "an epoch": lambda point: table.duration(point["seconds"]),
    "an epoch of one model": lambda point: table.duration(point["seconds"] / point["models"]),
}


def markdown(report: dict[str, Any]) -> str:
    """Return the tables, with a paragraph on where they were measured."""
    small = " Fewer rows; targets are for full sizes." if report["quick"] else ""
    points = [{"name": str(point["models"]), **point} for point in report["models in a pass"]]
    return "\n\n".join(
        [
            table.grid(report["rows"], "description", COLUMNS),
            "Seconds of an epoch of the first problem, by the number of models in a pass:",
            table.grid(points, "name", CURVE).replace("| problem", "| models ", 1),
            f"{table.where(report)} fusedgrad with {THREADS} threads; medians of {report['repeats']} pairs.{small}",
        ]
    )


def main() -> None:
    """Measure, print, and keep the report; or print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.grids", description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, metavar="K", default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows; no file by default")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to keep it (default: bench/results/grids)")
    parser.add_argument("--table", type=Path, metavar="PATH", help="measure nothing; print this report as Markdown")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats is {arguments.repeats}; it takes a number of at least 1")
    if arguments.table is not None:
        print(markdown(json.loads(arguments.table.read_text(encoding="utf-8"))))
        return
    warnings.simplefilter("ignore", ConvergenceWarning)

    versions = {m.__name__: SimpleNamespace(VERSION=m.__version__) for m in (fusedgrad, sklearn)}
    report: dict[str, Any] = {
        "machine": machine.describe({name.replace("sklearn", "scikit-learn"): v for name, v in versions.items()}),
        "quick": arguments.quick,
        "repeats": arguments.repeats,
        "threads": THREADS,
        "rows": [],
    }
    for case in cases(arguments.quick):
        for peer in case.peers:
            print(f"{case.description}, {peer.name} ...", file=sys.stderr, flush=True)
            report["rows"].append(compare(case, peer, arguments.repeats))
    report["models in a pass"] = curve(arguments.quick, arguments.repeats)
    print(markdown(report))
    path = arguments.json or (None if arguments.quick else machine.report_path(RESULTS, report["machine"]))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
