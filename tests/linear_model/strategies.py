"""Random configurations of the estimators, small enough to fit in a millisecond and tame enough to compare.

Two implementations agree to rounding only where rounding errors do not grow. So features are standardised, clipped and
scaled by 1 / sqrt(d), which makes rows about one long; rates are small against the curvature of the loss;
learning_rate='optimal', whose first rate is alpha^(-1/4), gets a large alpha; weights stay below 2.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import sklearn.linear_model
from hypothesis import strategies as st

from ..reference.losses import CLASSIFICATION, REGRESSION

CLASSIFICATION_LOSSES = CLASSIFICATION
REGRESSION_LOSSES = tuple(name for name in REGRESSION if name in sklearn.linear_model.SGDRegressor.loss_functions)
PENALTIES = ("l2", "l1", "elasticnet", None)
RATES = ("constant", "optimal", "invscaling", "adaptive")
PASSIVE = ("pa1", "pa2")
PASSIVE_LOSSES = ("hinge", "epsilon_insensitive")
KINDS = ("binary", "multiclass", "regression", "one_class")
# Their slope does not grow by more than a quarter of the prediction's change, so large rates do no harm.
FLAT_LOSSES = ("hinge", "perceptron", "log_loss", "epsilon_insensitive")


@dataclass
class Case:
    """One call of `fit`: what kind of model, its parameters, its data."""

    kind: str
    params: dict
    X: object
    y: object = None
    fit_params: dict = field(default_factory=dict)

    def __repr__(self):
        storage = type(self.X).__name__
        return f"Case({self.kind}, {storage} {self.X.shape} {self.X.dtype}, {self.params}, {sorted(self.fit_params)})"


@st.composite
def cases(draw, kinds=KINDS):
    """A `Case` for which scikit-learn 1.9 is right, so that results must be equal."""
    kind = draw(st.sampled_from(kinds))
    classification = kind in ("binary", "multiclass")
    sparse, dtype = draw(st.booleans()), draw(st.sampled_from([np.float64, np.float32]))
    n = draw(st.integers(3 if kind == "multiclass" else 2, 200))
    d = draw(st.integers(1, 67))  # the ends of rows that do not fill a register
    params = draw(parameters(kind))
    # Where the stopping rule of scikit-learn 1.9 sees a wrong norm, it must not decide on the number of epochs.
    penalty = params.get("penalty", "l2")
    passive = params["learning_rate"] in PASSIVE  # these leave the penalty out of the objective
    if not passive and (penalty in ("l1", "elasticnet") or (sparse and penalty is not None)):
        params["tol"] = None
    if params["tol"] is None:
        params["max_iter"] = min(params["max_iter"], 8)
    # The mean of lazily scaled weights cancels as the inverse of the scale, which float32 allows to fall to 1e-6.
    if params["average"] and dtype == np.float32 and params["learning_rate"] != "optimal":
        strength = "nu" if kind == "one_class" else "alpha"
        params["eta0"], params[strength] = 0.005, min(params[strength], 0.1)

    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = np.clip(rng.normal(size=(n, d)), -2, 2) / np.sqrt(d)
    if sparse:
        X[rng.random(X.shape) < 0.7] = 0
    margin = X @ rng.normal(size=d) + 0.2 * rng.normal(size=n)
    fit_params = {}
    if draw(st.booleans()):
        fit_params["sample_weight"] = rng.choice([0.0, 0.5, 1.0, 1.5], n, p=[0.1, 0.3, 0.3, 0.3])
        fit_params["sample_weight"][0] = 1.0
    y = None
    if kind == "regression":
        y = margin + 1
    elif classification:
        # Quantiles: classes of about equal size, so that 'balanced' weights are about 1.
        k = 2 if kind == "binary" else draw(st.integers(3, min(n, 5)))
        codes = (np.argsort(np.argsort(margin)) * k) // n
        y = draw(st.sampled_from([np.arange(k) - 1, np.array(list("zebra")[:k])]))[codes]
        weight = draw(st.sampled_from([None, "balanced", "dict"]))
        labels = np.unique(y).tolist()
        params["class_weight"] = dict(zip(labels, (0.5, 1.5, 1.0), strict=False)) if weight == "dict" else weight
    X = X.astype(dtype)
    return Case(kind, params, sp.csr_array(X) if sparse else X, y, fit_params)


@st.composite
def parameters(draw, kind):
    params = {
        "fit_intercept": draw(st.booleans()),
        "shuffle": draw(st.booleans()),
        "random_state": draw(st.integers(0, 2**32 - 1)),
        "average": draw(st.one_of(st.booleans(), st.integers(1, 500))),
        "tol": draw(st.sampled_from([None, 1e-3])),
        "max_iter": draw(st.integers(1, 40)),
        "eta0": draw(st.sampled_from([0.005, 0.02, 0.05])),
        "power_t": draw(st.sampled_from([0.1, 0.25, 0.5, 1.0])),
    }
    if kind == "one_class":
        return {**params, "nu": draw(st.sampled_from([0.1, 0.5, 1.0])), "learning_rate": draw(st.sampled_from(RATES))}
    losses = REGRESSION_LOSSES if kind == "regression" else CLASSIFICATION_LOSSES + REGRESSION_LOSSES
    loss = draw(st.sampled_from(losses))
    passive = loss == ("epsilon_insensitive" if kind == "regression" else "hinge") and draw(st.booleans())
    rate = draw(st.sampled_from(PASSIVE if passive else RATES))
    if rate == "optimal":
        alpha = draw(st.sampled_from([0.01, 0.1] if loss in FLAT_LOSSES else [0.3, 1.0]))
    else:
        alpha = draw(st.sampled_from([0.0, 1e-4, 0.01, 0.3]))
    return {
        **params,
        "loss": loss,
        "learning_rate": rate,
        "penalty": draw(st.sampled_from(PENALTIES)),
        "alpha": alpha,
        "l1_ratio": draw(st.sampled_from([0.0, 0.15, 0.7, 1.0])),
        "epsilon": draw(st.sampled_from([0.0, 0.1, 0.5])),
        "n_iter_no_change": draw(st.integers(1, 6)),
    }
