"""Value and slope of every loss, from its formula; `ROWS` is what tests loop over.

Slopes are with respect to the prediction p. At a kink the slope is that of scikit-learn's one-sided choice: the hinges
take the steep side, the epsilon-insensitive loss the flat one; absolute error and quantile take 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, xlogy

from . import table

EPSILONS = tuple({"epsilon": epsilon} for epsilon in (0.0, 1.5, 0.1))


@dataclass(frozen=True)
class Row:
    """What tests know of a loss.

    `targets` says which it takes: "signs" (-1 and 1), "labels" (0 and 1, and what lies between), "numbers", "counts" (0
    and above), "positive". `kinks` are the predictions at which the formula changes, for target y. `edges` are
    (y, p, slope, fields) at such places, where the numbers are exact. `fields` are the values of hyper-parameters to
    test. ``least(y)`` is the least that a loss whose curvature has no bound can be. `without` says in which kinds of
    tests a loss cannot take part, and why.
    """

    formula: Callable
    targets: str
    kinks: Callable = lambda y: []
    edges: tuple = ()
    fields: tuple = ({},)
    least: Callable | None = None
    without: Mapping = field(default_factory=dict)

    @property
    def classifies(self):
        """Whether it is one of classification in the first place."""
        return self.targets in ("signs", "labels")


ROWS = table.Table("tests/reference/losses.py")
row = table.into(ROWS, Row)


@row(targets="signs", kinks=lambda y: [y], edges=((1, 1.0, -1, {}), (-1, -1.0, 1, {})))
def hinge(y, p):
    return np.maximum(0, 1 - y * p), np.where(y * p <= 1, -y, 0)


@row(targets="signs", kinks=lambda y: [0.0], edges=((1, 0.0, -1, {}), (-1, 0.0, 1, {})))
def perceptron(y, p):
    return np.maximum(0, -y * p), np.where(y * p <= 0, -y, 0)


@row(targets="signs", kinks=lambda y: [y], edges=((1, 1.0, 0, {}),))
def squared_hinge(y, p):
    gap = np.maximum(0, 1 - y * p)
    return gap**2, -2 * y * gap


@row(targets="labels")
def log_loss(y, p):
    value = y * np.logaddexp(0, -p) + (1 - y) * np.logaddexp(0, p)
    return value, (1 - y) * expit(p) - y * expit(-p)


@row(targets="signs", kinks=lambda y: [y, -y], edges=((1, -1.0, -4, {}), (1, 1.0, 0, {})))
def modified_huber(y, p):
    z = y * p
    gap = np.maximum(0, 1 - z)
    return np.where(z < -1, -4 * z, gap**2), np.where(z < -1, -4 * y, -2 * y * gap)


@row(targets="numbers")
def squared_error(y, p):
    return (p - y) ** 2 / 2, p - y


@row(
    targets="numbers",
    kinks=lambda y, epsilon=0.1: [y - epsilon, y + epsilon],
    edges=tuple((1.0, 1.0 + side * 0.5, side * 0.5, {"epsilon": 0.5}) for side in (-1, 1)),
    fields=EPSILONS,
)
def huber(y, p, epsilon=0.1):
    r = p - y
    linear = epsilon * (np.abs(r) - epsilon / 2)
    return np.where(np.abs(r) <= epsilon, r**2 / 2, linear), np.clip(r, -epsilon, epsilon)


@row(
    targets="numbers",
    kinks=lambda y, epsilon=0.1: [y - epsilon, y + epsilon],
    edges=tuple((1.0, 1.0 + side * 0.5, 0, {"epsilon": 0.5}) for side in (-1, 1)),
    fields=EPSILONS,
    without={"networks": "they do not offer it, for it is one of support vectors"},
)
def epsilon_insensitive(y, p, epsilon=0.1):
    excess = np.abs(p - y) - epsilon
    return np.maximum(0, excess), np.where(excess > 0, np.sign(p - y), 0)


@row(
    targets="numbers",
    kinks=lambda y, epsilon=0.1: [y - epsilon, y + epsilon],
    edges=tuple((1.0, 1.0 + side * 0.5, 0, {"epsilon": 0.5}) for side in (-1, 1)),
    fields=EPSILONS,
    without={"networks": "they do not offer it, for it is one of support vectors"},
)
def squared_epsilon_insensitive(y, p, epsilon=0.1):
    excess = np.maximum(0, np.abs(p - y) - epsilon)
    return excess**2, 2 * excess * np.sign(p - y)


@row(targets="numbers", kinks=lambda y: [y], edges=tuple((y, y, 0, {}) for y in (-1.0, 0.1, 3.0)))
def absolute_error(y, p):
    return np.abs(p - y), np.sign(p - y)


@row(
    targets="numbers",
    kinks=lambda y, quantile=0.5: [y],
    edges=tuple((y, y, 0, {"quantile": 0.9}) for y in (-1.0, 0.1, 3.0)),
    fields=tuple({"quantile": quantile} for quantile in (0.5, 0.99, 0.1)),
)
def quantile(y, p, quantile=0.5):
    r = p - y
    return np.where(r < 0, -quantile * r, (1 - quantile) * r), np.where(r < 0, -quantile, (r > 0) * (1 - quantile))


@row(targets="counts", least=lambda y: y - xlogy(y, y))
def poisson(y, p):
    mean = np.exp(np.clip(p, -708, 708))
    return mean - y * p, mean - y


@row(targets="positive", least=lambda y: 1 + np.log(y))
def gamma(y, p):
    with np.errstate(over="ignore"):
        relative = y * np.exp(-np.clip(p, -708, 708))
    return relative + p, 1 - relative


LOSSES = {name: known.formula for name, known in ROWS.items()}
KINKS = {name: known.kinks for name, known in ROWS.items()}
LEAST = {name: known.least for name, known in ROWS.items() if known.least}
CLASSIFICATION = tuple(name for name, known in ROWS.items() if known.classifies)
REGRESSION = tuple(name for name, known in ROWS.items() if not known.classifies)
OF_NETWORKS = tuple(name for name in REGRESSION if "networks" not in ROWS[name].without)


def coded(name, numbers):
    """Numbers turned into targets that the loss takes; positive and negative ones into the two classes."""
    targets = ROWS[name].targets
    if targets in ("signs", "labels"):
        return np.where(numbers > 0, 1.0, -1.0 if targets == "signs" else 0.0)
    return {"numbers": numbers, "counts": np.abs(numbers), "positive": np.abs(numbers) + 0.1}[targets]
