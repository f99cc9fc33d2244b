"""Random configurations of the mini-batch engine, tame enough that two implementations stay together.

Besides what `strategies` says: rules that divide by the size of the gradient turn a gradient that is zero but for
rounding into a whole step. So sample weights are always irregular, and in float32, or where classes are balanced (which
then pull alike at what their rows have in common, intercepts above all), such rules get an `epsilon` that is large
against rounding. Lion's steps have one size, so its classes are not balanced, and its rates fall, or its weights would
come back to zero but for rounding, whose sign L1 would then see.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from fusedgrad import optimizers, schedules
from hypothesis import strategies as st

from ..reference.losses import REGRESSION, coded
from ..reference.rules import OPTIMIZERS, suited
from . import strategies

KINDS = ("binary", "multiclass", "multinomial", "regression", "multioutput")
REGRESSION_LOSSES = REGRESSION
STORAGES = ("C", "F", "csr32", "csr64")
SHUFFLES = (True, "rows", False)
RATES = ("eta0", "callable", "schedule", "own number", "own schedule")

# Every update rule with some of its hyper-parameters, and a rate that suits it.
RULES = tuple(
    (kind.__name__, fields, suited(kind(**fields))) for kind, known in OPTIMIZERS.items() for fields in known.examples
)
DECAYS = ({}, {"weight_decay": 0.05}, {"clip_norm": 0.1}, {"clip_value": 0.02}, {"clip_norm": 0.2, "clip_value": 0.05})


@dataclass
class Case:
    """One call of `fit`. `rule` is (class name, parameters) of `fusedgrad.optimizers`."""

    kind: str
    params: dict
    rule: tuple
    X: object
    y: object
    rates: object  # of step 0, 1, ...
    fit_params: dict = field(default_factory=dict)

    def __repr__(self):
        storage = type(self.X).__name__
        return (
            f"Case({self.kind}, {storage} {self.X.shape} {self.X.dtype}, {self.rule}, {self.params}, "
            f"{sorted(self.fit_params)})"
        )


@st.composite
def cases(draw, kinds=KINDS, rules=RULES):
    kind = draw(st.sampled_from(kinds))
    classification = kind in ("binary", "multiclass", "multinomial")
    several = kind in ("multiclass", "multinomial")
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    n, d = draw(st.integers(3 if several else 2, 200)), draw(st.integers(1, 67))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    rule, fields, rate = draw(st.sampled_from(rules))
    fields = {**fields, **draw(st.sampled_from(DECAYS))}
    known = OPTIMIZERS[getattr(optimizers, rule)]
    if dtype == np.float32 and known.divides:
        fields["epsilon"] = 1e-3
    params = draw(parameters(kind))
    if "estimator's average" in known.without:
        params["average"] = False
    params["batch_size"] = draw(st.one_of(st.integers(1, n + 5), st.sampled_from(["full", max(1, n // 3)])))
    if rule == "SGD" and not fields and params["batch_size"] == 1:
        fields["clip_norm"] = 10.0  # else the sequential engine
    if params["loss"] == "perceptron":  # steps that are cut have one size, too
        fields.pop("clip_value", None)
    rates, of_estimator, of_optimizer = draw(learning_rates(rate, falls="constant rates" in known.without))
    params |= of_estimator
    fields |= of_optimizer

    storage = draw(st.sampled_from(STORAGES))
    X = np.clip(rng.normal(size=(n, d)), -2, 2) / np.sqrt(d)
    X[:, rng.random(d) < 0.1] = 1 / np.sqrt(d)
    X[:, rng.random(d) < 0.1] = 0
    if storage.startswith("csr"):
        X[rng.random(X.shape) < 0.7] = 0
    outputs = 3 if kind == "multioutput" else 1
    margin = X @ rng.normal(size=(d, outputs)) + 0.2 * rng.normal(size=(n, outputs))
    if classification:
        # Quantiles of the margin: classes of about equal size.
        k = 2 if kind == "binary" else draw(st.integers(3, min(n, 5)))
        codes = (np.argsort(np.argsort(margin[:, 0])) * k) // n
        labels = draw(st.sampled_from([np.arange(k) - 1, np.array(list("ezbra")[:k])]))
        y = labels[codes]
        weight = draw(st.sampled_from([None, "dict", *["balanced"] * ("balanced classes" not in known.without)]))
        if weight == "balanced" and known.divides:
            fields["epsilon"] = 1e-3
        weights = dict(zip(np.unique(y).tolist(), (0.5, 1.5, 1.0), strict=False))
        params["class_weight"] = weights if weight == "dict" else weight
    else:
        y = margin + 1
        y = coded(params["loss"], y)
        y = y if outputs > 1 else y[:, 0]
    if draw(st.booleans()):  # in the order of the classes or the targets, so that batches lack some
        order = np.argsort(y if y.ndim == 1 else y[:, 0], kind="stable")
        X, y = X[order], y[order]
    sample_weight = rng.uniform(0.2, 2, n)
    sample_weight[rng.random(n) < draw(st.sampled_from([0.0, 0.1]))] = 0
    sample_weight[0] = 1
    return Case(
        kind, params, (rule, fields), stored(X.astype(dtype), storage), y, rates, {"sample_weight": sample_weight}
    )


def stored(X, storage):
    if not storage.startswith("csr"):
        return np.array(X, order=storage)
    X = sp.csr_array(X)
    index = np.int32 if storage == "csr32" else np.int64
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


@st.composite
def learning_rates(draw, rate, *, falls):
    """Rate of each step, and the parameters of estimator and optimizer that say so; an optimizer's own rate wins."""

    def constant(step):
        return rate

    def falling(step):
        return rate / (1 + step / 10)

    ignored = {"learning_rate": "constant", "eta0": 123.0}
    return {
        "eta0": (constant, {**ignored, "eta0": rate}, {}),
        "callable": (falling, {**ignored, "learning_rate": falling}, {}),
        "schedule": (falling, {**ignored, "learning_rate": schedules.InverseTime(rate, decay=0.1)}, {}),
        "own number": (constant, ignored, {"learning_rate": rate}),
        "own schedule": (falling, ignored, {"learning_rate": schedules.InverseTime(rate, decay=0.1)}),
    }[draw(st.sampled_from([kind for kind in RATES if not falls or kind not in ("eta0", "own number")]))]


@st.composite
def parameters(draw, kind):
    params = {
        "penalty": draw(st.sampled_from(strategies.PENALTIES)),
        "alpha": draw(st.sampled_from([0.0, 1e-4, 0.01, 0.1])),
        "l1_ratio": draw(st.sampled_from([0.0, 0.15, 0.7, 1.0])),
        "fit_intercept": draw(st.booleans()),
        "intercept_decay": draw(st.sampled_from([None, None, 0.3, 0.0])),
        "shuffle": draw(st.sampled_from(SHUFFLES)),
        "random_state": draw(st.integers(0, 2**32 - 1)),
        "average": draw(st.one_of(st.booleans(), st.integers(1, 30))),
        "positive": draw(st.sampled_from([False, False, True])),
        "max_iter": draw(st.integers(1, 6)),
        "tol": None,
    }
    if kind == "multinomial":
        return {**params, "loss": "log_loss", "multi_class": "multinomial"}
    params["epsilon"] = draw(st.sampled_from([0.1, 0.5]))
    if kind in ("binary", "multiclass"):
        losses = strategies.CLASSIFICATION_LOSSES + strategies.REGRESSION_LOSSES
    else:
        losses = REGRESSION_LOSSES
        params["quantile"] = draw(st.sampled_from([0.2, 0.5]))
    return {**params, "loss": draw(st.sampled_from(losses))}
