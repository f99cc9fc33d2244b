"""Random estimators, parameters and data; see `test_fuzz.py`. A seed is a case: ``python -m tests.fuzz 0 2000`` runs
2,000 of them, and prints each before it runs.
"""

import faulthandler
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from fusedgrad import layers as L
from fusedgrad import linear_model as lm
from fusedgrad import neural_network as nn
from fusedgrad import optimizers
from sklearn.exceptions import NotFittedError

from .reference.layers import EXAMPLES, fits
from .reference.layers import KINDS as LAYERS
from .reference.losses import OF_NETWORKS
from .reference.schedules import ROWS as SCHEDULES

ALLOWED = (ValueError, TypeError, NotFittedError, MemoryError)
UNTIMELY = {
    "n_jobs",
    "cv_results_",
    "refit_time_",
    "best_estimator_",
    "_net",
    "_batch_bytes",
}  # differ for good reasons


class Draw:
    """Random choices of a seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def whole(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def power(self, low, high):
        """A number between powers of ten."""
        return float(10.0 ** self.rng.uniform(low, high))


KINDS_OF_OTHER_ROWS = {1: (L.Conv2D, L.AvgPool2D, L.GRU), 2: (L.Conv2D, L.AvgPool2D), 3: L.GRU}


# ---- parameters ----


@dataclass(frozen=True)
class Jump:
    """A schedule of the user's own, whose rates may become ones that are not allowed."""

    first: Any
    then: Any

    def __call__(self, step):
        return self.first if step < 3 else self.then


def extreme_whole(draw, usual):
    return usual if draw.chance(0.93) else 2 ** draw.whole(31, 70)


def rate(draw):
    return draw.power(-4, 0) if draw.chance(0.93) else draw.power(-300, 300)


def schedule(draw):
    steps = draw.pick(1, 3, 1000, 2**40)
    if draw.chance(0.2):
        return Jump(draw.pick(0.01, 0.0), draw.pick(0.01, -1.0, np.nan, "fast"))
    given = draw.pick(*(known.example for known in SCHEDULES.values()))
    own = {"rate": rate(draw), "steps": steps} if draw.chance(0.8) else {}
    return given.set_params(**{name: value for name, value in own.items() if name in given.get_params(deep=False)})


def optimizer(draw):
    name = draw.pick(*optimizers.names())
    if draw.chance(0.5):
        return name
    given = {}
    if draw.chance(0.5):
        given["learning_rate"] = rate(draw)
    if draw.chance(0.3):
        given["weight_decay"] = draw.power(-5, 0)
    if draw.chance(0.3):
        given["clip_norm"] = draw.power(-3, 3)
    if draw.chance(0.3):
        given["clip_value"] = draw.power(-3, 3)
    own = optimizers.get(name).get_params(deep=False)
    if "epsilon" in own and draw.chance(0.4):
        given["epsilon"] = draw.pick(0.0, 1e-300, 1e-30, 1e-8, 1.0)
    if "momentum" in own and draw.chance(0.5):
        given["momentum"] = draw.pick(0.0, 0.5, 0.99)
    return optimizers.get(name, **given)


def shared(draw):
    params = {"random_state": draw.pick(0, 7, 2**32 - 1), "early_stopping": draw.chance(0.2)}
    if draw.chance(0.2):
        params["validation_fraction"] = draw.pick(1e-9, 0.1, 0.5, 0.99)
    if draw.chance(0.4 if params["early_stopping"] else 0.02):
        params["restore_best_weights"] = True
    if draw.chance(0.1):
        params["n_iter_no_change"] = extreme_whole(draw, draw.pick(1, 3))
    return params


def linear(draw, kind, *, grid=False):
    classifies = "Classifier" in kind
    params = shared(draw)
    losses = (lm.SGDClassifier if classifies else lm.SGDRegressor).loss_functions
    params |= {
        "loss": draw.pick(*losses),
        "penalty": draw.pick("l2", "l1", "elasticnet", None),
        "fit_intercept": draw.chance(0.8),
        "max_iter": draw.whole(1, 4),
        "tol": draw.pick(None, 1e-3, 0.0, 1e300),
        "learning_rate": draw.pick("constant", "optimal", "invscaling", "adaptive", schedule(draw)),
    }
    batched = grid or draw.chance(0.6)
    if draw.chance(0.02 if batched else 0.2):
        params |= {"learning_rate": "pa1", "loss": "hinge" if classifies else "epsilon_insensitive"}
    if not grid:
        params["alpha"] = draw.power(-6, 0) if draw.chance(0.9) else draw.pick(0.0, 1e-300, 1e300)
        params["eta0"] = rate(draw)
    if draw.chance(0.2):
        params["average"] = draw.pick(True, extreme_whole(draw, 5))
    if draw.chance(0.1):
        params["epsilon"] = draw.pick(0.0, 0.1, 1e300)
    if classifies and draw.chance(0.3):
        params["class_weight"] = draw.pick("balanced", {0: 2.0}, {0: 1.0, 1: 0.0})
    if batched:
        params["batch_size"] = draw.pick("full", extreme_whole(draw, draw.pick(2, 7, 32, 1000)))
        params["shuffle"] = draw.pick(True, False, "rows")
        params["positive"] = draw.chance(0.2)
        params["optimizer"] = optimizer(draw)
    if classifies and draw.chance(0.15):
        params |= {"loss": "log_loss", "multi_class": "multinomial"}
    if grid:
        params |= {"alphas": draw.pick(2, [1e-4, 1e-2, 1.0]), "cv": draw.pick(2, 3), "halving": draw.chance(0.3)}
    return getattr(lm, kind)(**params)


def one_class(draw):
    return lm.SGDOneClassSVM(
        nu=draw.pick(0.1, 0.5, 1.0), max_iter=draw.whole(1, 4), average=draw.pick(False, True, 7), random_state=0
    )


def perceptron(draw, kind):
    params = shared(draw)
    params |= {
        "hidden_layer_sizes": draw.pick((), (3,), (5, 4)),
        "activation": draw.pick(*L.activations()),
        "solver": draw.pick("adam", "sgd", "lbfgs", optimizer(draw)),
        "batch_size": draw.pick("auto", "full", extreme_whole(draw, draw.pick(1, 4, 100))),
        "learning_rate": draw.pick("constant", "invscaling", "adaptive", schedule(draw)),
        "learning_rate_init": rate(draw),
        "max_iter": draw.whole(1, 3),
        "alpha": draw.pick(0.0, 1e-4, 1e300),
        "init": draw.pick(*L.initializers()),
    }
    if params["solver"] != "lbfgs" or draw.chance(0.1):
        params |= {"dropout": draw.pick(0.0, 0.0, 0.5), "batch_norm": draw.chance(0.2)}
        params["clip_norm"] = draw.pick(None, None, 1.0)
    if "Classifier" in kind:
        params["class_weight"] = draw.pick(None, None, "balanced", {0: 2.0})
    else:
        params["loss"] = draw.pick(*OF_NETWORKS)
    return getattr(nn, kind)(**params)


def layered(draw, kind):
    """Of flat rows, images or sequences."""
    size = extreme_whole(draw, draw.whole(1, 4))
    extreme = [
        L.Conv2D(2, draw.whole(1, 3), "relu", padding=draw.pick("same", "valid", size), stride=draw.pick(1, 2, size)),
        L.Conv2D(3, 2, dilation=draw.pick(1, 2, size), padding=draw.pick("same", "valid")),
        L.AvgPool2D(draw.pick(1, 2, size)),
        L.GRU(3, truncate=draw.pick(None, 1, size)),
        L.Dense(extreme_whole(draw, draw.whole(1, 6)), draw.pick(None, "relu", "gelu")),
    ]
    shape = draw.pick((12,), (3, 4, 1), (4, 3))
    usual = [layer for _, stack, rows in EXAMPLES if len(rows) == len(shape) for layer in stack]
    own = [*usual, *(layer for layer in extreme * 8 if not isinstance(layer, KINDS_OF_OTHER_ROWS[len(shape)]))]
    params = shared(draw)
    params |= {
        "optimizer": optimizer(draw),
        "learning_rate": draw.pick("adaptive", rate(draw), schedule(draw)),
        "batch_size": draw.pick("full", extreme_whole(draw, draw.pick(1, 5, 64))),
        "max_epochs": draw.whole(1, 3),
        "tol": draw.pick(None, 1e-4),
        "average": draw.pick(None, None, 0.9),
        "shuffle": draw.chance(0.7),
    }
    stack, after = [], shape
    for _ in range(draw.whole(0, 4)):
        layer = draw.pick(*own)
        begins = LAYERS[type(layer)].first is None or not stack
        if (begins and fits(layer, after)) or draw.chance(0.1):
            stack.append(layer)
            after = layer.shape(after) if fits(layer, after) else after
    return getattr(nn, kind)(stack, input_shape=shape, **params)


KINDS = {
    **dict.fromkeys(("SGDClassifier", "SGDRegressor"), linear),
    **{kind: lambda draw, kind: linear(draw, kind, grid=True) for kind in ("SGDClassifierCV", "SGDRegressorCV")},
    "SGDOneClassSVM": lambda draw, kind: one_class(draw),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor"), perceptron),
    **dict.fromkeys(("NeuralClassifier", "NeuralRegressor"), layered),
}


# ---- data ----


def stored(draw, X):
    """X in some layout, dtype and storage."""
    X = X.astype(draw.pick(np.float64, np.float64, np.float32, np.float32, np.float16, np.int64))
    layout = draw.whole(0, 9)
    if layout == 0:
        return np.asfortranarray(X)
    if layout == 1:
        wide = np.zeros((2 * X.shape[0], 2 * X.shape[1]), X.dtype)
        wide[::2, ::2] = X
        return wide[::2, ::2]
    if layout == 2:
        memory = np.zeros(X.nbytes + 1, np.uint8)
        shifted = np.frombuffer(memory.data, X.dtype, X.size, 1).reshape(X.shape)
        shifted[...] = X
        return shifted
    if layout == 3:
        return pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    if layout == 4:
        X.flags.writeable = False
    if layout in (5, 6) and X.dtype != np.float16:
        S = draw.pick(sp.csr_matrix, sp.csr_array, sp.csc_array)(np.where(draw.rng.random(X.shape) < 0.5, 0, X))
        if S.format == "csr" and draw.chance(0.5):
            S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
        return S
    return X


def data(draw, estimator):
    n = draw.pick(1, 2, 5, *[30] * 4, *[67] * 4, 5000, 5000)  # the last one for several threads
    X = draw.rng.standard_normal((n, 12))
    size = draw.pick(*[1.0] * 30, 1e-300, 1e-30, 1e20, 1e200)
    if draw.chance(0.05):
        X[0, 0] = draw.pick(np.nan, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        if hasattr(estimator, "predict_proba") or "Classifier" in type(estimator).__name__:
            classes = draw.pick(*[2, 2, 3, 5] * 5, 1)
            y = draw.rng.integers(0, classes, n)
            if draw.chance(0.2):
                y = np.array(["a", "b", "c", "d", "e"])[y]
        else:
            y = np.abs(X[:, 0]) + 0.1 if draw.chance(0.8) else X[:, :2] * draw.pick(1.0, 1.0, 1.0, 1e30, 1e300)
        X = stored(draw, np.nan_to_num(X * size) if draw.chance(0.95) else X * size)
    weight = None
    if draw.chance(0.3):
        weight = draw.rng.random(n) * draw.pick(*[1.0] * 10, 1e-30, 1e30, 0.0, -1.0)
    return X, y, weight


# ---- a case ----


def same(a, b):
    """Whether two values are equal to the bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        if a.dtype == object or a.shape != b.shape or a.dtype != b.dtype:
            return a.shape == b.shape and a.dtype == b.dtype and same(a.tolist(), b.tolist())
        return a.tobytes() == b.tobytes()
    if sp.issparse(a):
        indices = all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("indices", "indptr"))
        return indices and same(a.data, b.data)
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    if hasattr(a, "__dict__") and type(a).__module__.startswith("fusedgrad"):
        return same(visible(a), visible(b))
    return a is b or bool(a == b)


def visible(thing):
    return {name: value for name, value in vars(thing).items() if name not in UNTIMELY}


def copied(thing):
    return thing.copy() if hasattr(thing, "copy") else thing


class Wrong(AssertionError):
    """A promise is broken."""


def require(ok, what):
    if not ok:
        raise Wrong(what)


def attempt(call, estimator, *inputs):
    """The error, if it is one of those that are documented; inputs stay, and after an error so does the estimator."""
    before, given = dict(vars(estimator)), [copied(value) for value in inputs]
    held = {name: copied(value) for name, value in before.items()}
    error = None
    try:
        call()
    except ALLOWED as raised:
        error = raised
        require(vars(estimator).keys() == before.keys(), f"attributes changed by {raised!r}")
        require(all(same(vars(estimator)[name], held[name]) for name in held), f"values changed by {raised!r}")
        require(not isinstance(raised, OverflowError) and str(raised), f"no message: {raised!r}")
    require(all(map(same, inputs, given)), "inputs changed")
    return error


def case(seed):
    """The estimator, the data and what is called."""
    draw = Draw(seed)
    kind = draw.pick(*KINDS)
    try:
        estimator = KINDS[kind](draw, kind)
    except ALLOWED as error:
        return None, error, None
    X, y, weight = data(draw, estimator)
    early = getattr(estimator, "early_stopping", False)
    partial = hasattr(estimator, "partial_fit") and draw.chance(0.05 if early else 0.3)
    return estimator, (X, y, weight), partial


def describe(seed):
    estimator, given, partial = case(seed)
    if estimator is None:
        return f"{seed}: {given!r}"
    X, y, weight = given
    kind = f"{type(X).__name__} {X.shape} {getattr(X, 'dtype', '')}"
    weights = "none" if weight is None else f"{weight.min():g} to {weight.max():g}"
    call = "partial_fit" if partial else "fit"
    return f"{seed}: {estimator!r}, {kind}, y {y.shape} {y.dtype}, weights {weights}, {call}"


def trained(seed, n_jobs):
    """The estimator after its call, and the error of each."""
    estimator, given, partial = case(seed)
    if estimator is None:
        return None, [given]
    X, y, weight = given
    if "n_jobs" in estimator.get_params():
        estimator.set_params(n_jobs=n_jobs)
    errors = []
    if partial:
        classes = {"classes": np.unique(y)} if "Classifier" in type(estimator).__name__ else {}
        for _ in range(2):
            errors.append(
                attempt(lambda: estimator.partial_fit(X, y, sample_weight=weight, **classes), estimator, X, y)
            )
    else:
        errors.append(attempt(lambda: estimator.fit(X, y, sample_weight=weight), estimator, X, y))
    if errors[-1] is None:
        for name in ("predict", "predict_proba", "decision_function", "transform", "score"):
            if hasattr(estimator, name):
                arguments = (X, y) if name == "score" else (X,)
                call = getattr(estimator, name)
                errors.append(attempt(lambda call=call, arguments=arguments: call(*arguments), estimator, *arguments))
    return estimator, errors


def run(seed):
    """Train with one and with three threads: results or documented errors, and the same ones."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        one, errors = trained(seed, 1)
        three, others = trained(seed, 3)
    require(list(map(repr, errors)) == list(map(repr, others)), f"errors differ: {errors} and {others}")
    if one is not None:
        differ = [name for name in visible(one) if not same(vars(one)[name], vars(three).get(name))]
        require(not differ, f"one and three threads differ in {differ}")
    return errors


def main(first, count):
    faulthandler.enable()
    wrong = []
    for seed in range(first, first + count):
        print(describe(seed), flush=True)
        try:
            run(seed)
        except Exception as error:
            print("WRONG", seed, repr(error), flush=True)
            wrong.append(seed)
    print(len(wrong), "of", count, "are wrong:", wrong)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
