"""The commands of ``python -m fusedgrad`` that train on files and predict from them."""

from __future__ import annotations

import argparse
import ast
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from . import linear_model, neural_network
from ._public import skops_trusted_types
from ._sources import predictions
from ._training.callbacks import Keeper
from ._whole_files import whole_file
from .callbacks import Checkpoint
from .data import CSV, Arrow, Parquet, Source, SVMLight

ESTIMATORS = (
    *("SGDClassifier", "SGDRegressor", "SGDClassifierCV", "SGDRegressorCV", "SGDOneClassSVM"),
    *("NeuralClassifier", "NeuralRegressor", "MLPClassifier", "MLPRegressor"),
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "SGDClassifier": {"loss": "log_loss", "batch_size": 256},
    "SGDRegressor": {"batch_size": 256},
}
_TABLES: dict[str, Any] = {
    **dict.fromkeys((".parquet", ".pq"), Parquet),
    **dict.fromkeys((".csv", ".tsv"), CSV),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), Arrow),
}
_SVMLIGHT = (".svm", ".svmlight", ".libsvm")


class CommandError(Exception):
    """What the user of a command is to know; its text is all that is printed."""


def add_to(commands: Any) -> None:
    """Add the parsers of the commands."""
    fit = commands.add_parser(
        "fit",
        help="train on a file and store the model",
        description="Train an estimator on a file that need not fit in memory, and store the model.",
        epilog="example: python -m fusedgrad fit rows.parquet --target label --model model.skops --set max_iter=5",
    )
    _add_data(fit)
    fit.add_argument("--target", nargs="+", metavar="COLUMN", help="the column to predict; several for several outputs")
    fit.add_argument("--weight", metavar="COLUMN", help="the column with the weights of the rows")
    fit.add_argument("--estimator", choices=ESTIMATORS, default="SGDClassifier", help="default: %(default)s")
    fit.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of the estimator, such as alpha=1e-5 or optimizer=adam. Unless told otherwise, linear models "
        "train in mini-batches (batch_size=256), classifiers with loss=log_loss, and random_state is 0",
    )
    fit.add_argument(
        "--model", required=True, type=Path, metavar="FILE", help="where to store it: .skops, .joblib, .pkl"
    )
    fit.add_argument("--checkpoint", type=Path, metavar="FILE", help="write the fit on its way here, and go on from it")
    fit.add_argument("--every", default="5 min", metavar="TIME", help="how often; default: %(default)s")
    fit.add_argument("--test", nargs="+", metavar="FILE", help="files of rows to score the model on at the end")
    fit.add_argument("--quiet", action="store_true", help="print nothing but errors")
    fit.set_defaults(run=run_fit)

    predict = commands.add_parser(
        "predict",
        help="predict the rows of a file",
        description="Predict the rows of a file, block by block.",
        epilog="example: python -m fusedgrad predict new.parquet --model model.skops --out predictions.csv",
    )
    _add_data(predict)
    predict.add_argument("--model", required=True, type=Path, metavar="FILE", help="a model that `fit` stored")
    predict.add_argument("--out", type=Path, metavar="FILE", help=".csv or .npy; default: lines to standard output")
    predict.add_argument("--proba", action="store_true", help="probabilities of the classes, a column each")
    predict.set_defaults(run=run_predict)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="+", help="files: .parquet, .csv, .tsv, .arrow, .feather, .svm (with --features)")
    parser.add_argument("--columns", nargs="+", metavar="COLUMN", help="the features; default: all other columns")
    parser.add_argument("--features", type=int, metavar="N", help="of .svm files: how many columns X has")


def source_from(
    paths: list[str],
    *,
    columns: list[str] | None,
    features: int | None,
    target: list[str] | None = None,
    weight: str | None = None,
) -> Source:
    """The source of some files, by the ending of the first."""
    ending = Path(paths[0]).suffix.lower()
    if ending in _SVMLIGHT:
        if features is None or len(paths) > 1 or columns or target or weight:
            raise CommandError(f"{paths[0]}: one {ending} file needs --features N, and has no columns by name.")
        return SVMLight(paths[0], n_features=features)
    if ending not in _TABLES:
        known = ", ".join([*_TABLES, *_SVMLIGHT])
        raise CommandError(f"{paths[0]}: files of this kind are not known. Known are: {known}.")
    named = target[0] if target is not None and len(target) == 1 else target
    more = {"delimiter": "\t"} if ending == ".tsv" else {}
    source: Source = _TABLES[ending](
        paths[0] if len(paths) == 1 else paths, target=named, columns=columns, weight=weight, **more
    )
    return source


def estimator_from(name: str, settings: list[str]) -> Any:
    """An estimator with parameters given as text: Python's literals, or words."""
    kind = getattr(linear_model, name, None) or getattr(neural_network, name)
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise CommandError(f"--set {setting}: it must be NAME=VALUE.")
        try:
            given[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            given[key] = value
    model = kind()
    try:
        return model.set_params(**{"random_state": 0, **DEFAULTS.get(name, {}), **given})
    except ValueError as error:
        raise CommandError(f"--set: {error}") from error


def run_fit(given: argparse.Namespace) -> None:
    """``python -m fusedgrad fit``."""
    _check_place(given.model)
    read = {"columns": given.columns, "features": given.features, "target": given.target, "weight": given.weight}
    source = source_from(given.data, **read)
    model = estimator_from(given.estimator, given.set)

    def say(text: str) -> None:
        if not given.quiet:
            print(text, flush=True)

    listeners: list[Any] = []
    resume = None
    if given.checkpoint is not None:
        listeners.append(Checkpoint(given.checkpoint, every=given.every))
        resume = given.checkpoint if given.checkpoint.exists() else None
        say(f"going on from {given.checkpoint}" if resume else f"checkpoint: {given.checkpoint}, every {given.every}")
    if not given.quiet and sys.stderr.isatty():
        listeners.append(Bar(_rows_of(source), sys.stderr))
    if listeners and hasattr(model, "set_callbacks"):
        model.set_callbacks(*listeners)
    elif given.checkpoint is not None:
        raise CommandError("--checkpoint needs scikit-learn 1.9 or newer, and an estimator with callbacks.")
    began = time.monotonic()
    model.fit(source, **({} if resume is None else {"resume": resume}))
    took = time.monotonic() - began
    if listeners:
        model.set_callbacks()
    store(model, given.model)
    if given.checkpoint is not None:
        given.checkpoint.unlink(missing_ok=True)
    say(f"{type(model).__name__}: {_outcome(model)}{took:.1f} s; stored in {given.model}")
    if given.test:
        say(f"score on {', '.join(given.test)}: {model.score(source_from(given.test, **read)):.6g}")


def _outcome(model: Any) -> str:
    epochs, reason = getattr(model, "n_iter_", None), getattr(model, "stop_reason_", None)
    return "" if epochs is None or reason is None else f"{epochs} epochs, {reason}, "


def _rows_of(source: Source) -> int | None:
    with source.open() as reader:
        return None if reader.groups is None else sum(group.rows for group in reader.groups)


def run_predict(given: argparse.Namespace) -> None:
    """``python -m fusedgrad predict``."""
    model = load(given.model)
    if given.proba and not hasattr(model, "predict_proba"):
        raise CommandError(f"--proba: this {type(model).__name__} has no probabilities.")
    names = model.__dict__.get("feature_names_in_")
    columns = given.columns or (None if names is None else list(names))
    source = source_from(given.data, columns=columns, features=given.features)
    method = "predict_proba" if given.proba else "predict"
    header = [str(label) for label in model.classes_] if given.proba else None
    parts = (made for _, made in predictions(source, model, lambda model, X: getattr(model, method)(X)))
    if given.out is None:
        _write_lines(parts, header, sys.stdout)
        return
    ending = given.out.suffix.lower()
    if ending not in (".csv", ".npy"):
        raise CommandError(f"--out {given.out}: it must end with .csv or .npy.")
    with whole_file(given.out) as unfinished:
        if ending == ".npy":
            with open(unfinished, "wb") as file:
                np.save(file, np.concatenate(list(parts)))
        else:
            with open(unfinished, "w", encoding="utf-8") as lines:
                _write_lines(parts, header or ["prediction"], lines)


def _write_lines(parts: Any, header: list[str] | None, file: TextIO) -> None:
    if header is not None:
        file.write(",".join(header) + "\n")
    for part in parts:
        rows = part.reshape(len(part), -1).tolist()
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)


# ---- models in files ----


def _check_place(path: Path) -> None:
    if path.suffix not in (".skops", ".joblib", ".pkl"):
        raise CommandError(f"--model {path}: it must end with .skops, .joblib or .pkl.")
    if not path.absolute().parent.is_dir():
        raise CommandError(f"--model {path}: its folder does not exist.")
    if path.suffix == ".skops":
        _skops()


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise CommandError("Files that end with .skops need skops: pip install skops. Or use .joblib.") from error
    return skops.io


def store(model: Any, path: Path) -> None:
    """Store a model in one step."""
    with whole_file(path) as unfinished:
        if path.suffix == ".skops":
            _skops().dump(model, unfinished)
        else:
            import joblib

            joblib.dump(model, unfinished)


def load(path: Path) -> Any:
    """Load a model. (Those that are not skops files are pickles: whoever wrote one can run code here.)"""
    if not path.exists():
        raise CommandError(f"--model {path}: there is no such file.")
    if path.suffix == ".skops":
        return _skops().load(path, trusted=skops_trusted_types())
    import joblib

    return joblib.load(path)


class Bar(Keeper):
    """A callback that draws how far a fit has come."""

    def __init__(self, rows: int | None, file: TextIO):
        self._rows, self._file, self._drawn = rows, file, 0.0

    def begin(self, header: Any, rows: int, epochs: int) -> None:
        """A fit begins."""
        self._began = time.monotonic()

    def offer(self, rows: int, epochs: int, state: Any) -> None:
        """Rows were learned."""
        now = time.monotonic()
        if now - self._drawn < 0.1:
            return
        self._drawn = now
        text = f"{rows:,} rows"
        if self._rows:
            part = rows / self._rows - epochs
            text = f"epoch {epochs + 1} [{'#' * int(30 * part):30}] {text}"
        self._file.write(f"\r{text}, {now - self._began:.0f} s")
        self._file.flush()

    def teardown(self, estimator: Any, context: Any) -> None:
        """End the line."""
        if self._drawn:
            self._file.write("\n")
