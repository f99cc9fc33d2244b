"""MLPClassifier and MLPRegressor are scikit-learn's, on a random grid of parameters."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version

from .beside_sklearn import (
    ACTIVATIONS,
    KINDS,
    RATES,
    RTOL,
    STORAGES,
    assert_equal_models,
    assert_equal_predictions,
    both,
    data,
    make,
)

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("the algorithm is that of scikit-learn 1.9", allow_module_level=True)

pytestmark = [
    pytest.mark.filterwarnings("ignore", category=ConvergenceWarning),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger:UserWarning"),
]


repeatably = settings(
    max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(KINDS))
    n, d = draw(st.integers(12, 70)), draw(st.integers(1, 11))
    solver = draw(st.sampled_from(["sgd", "adam"]))
    early = draw(st.booleans())
    params = {
        "hidden_layer_sizes": tuple(draw(st.lists(st.integers(1, 19), max_size=3))),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "solver": solver,
        "alpha": draw(st.sampled_from([0.0, 1e-4, 0.5])),
        "batch_size": draw(st.sampled_from(["auto", 1, 7, 16, n, n + 5])),
        "learning_rate_init": draw(st.sampled_from([1e-3, 1e-2])),
        "max_iter": draw(st.integers(1, 12)),
        "shuffle": draw(st.booleans()),
        "tol": draw(st.sampled_from([0.0, 1e-4, 1e-2])),
        "n_iter_no_change": draw(st.integers(1, 4)),
        "early_stopping": early,
        "validation_fraction": draw(st.sampled_from([0.25, 0.4])),
        "random_state": draw(st.integers(0, 5)),
    }
    if solver == "sgd":
        params["learning_rate"] = draw(st.sampled_from(RATES))
        params["power_t"] = draw(st.sampled_from([0.5, 0.2]))
        params["momentum"] = draw(st.sampled_from([0.0, 0.5, 0.9]))
        params["nesterovs_momentum"] = draw(st.booleans())
    else:
        params["beta_1"] = draw(st.sampled_from([0.0, 0.9]))
        params["beta_2"] = draw(st.sampled_from([0.9, 0.999]))
        params["epsilon"] = draw(st.sampled_from([1e-8, 1e-3]))
    X, y = data(kind, n, d, draw(st.integers(0, 1000)))
    dtype = draw(st.sampled_from([np.float64, np.float64, np.float64, np.float32]))
    X = STORAGES[draw(st.sampled_from(list(STORAGES)))](X.astype(dtype))
    weight = draw(st.sampled_from([None, "random"]))
    if weight is not None:
        weight = np.random.default_rng(n).uniform(0.1, 3.0, n)
    return kind, X, y, params, weight


@repeatably
@given(cases())
def test_any_fit(case):
    kind, X, y, params, weight = case
    if X.dtype == np.float32:  # a decision that hangs on a rounding error would send the two on different ways
        params.update(tol=0.0, n_iter_no_change=100, early_stopping=False)
    theirs, ours = both(kind, X, y, params, sample_weight=weight)
    assert_equal_models(theirs, ours, RTOL[X.dtype.type])
    assert_equal_predictions(theirs, ours, X, RTOL[X.dtype.type])


def test_the_grid_reaches_every_option():
    seen = set()

    @settings(repeatably, max_examples=250)
    @given(cases())
    def collect(case):
        kind, X, _, params, weight = case
        seen.add(("kind", kind))
        seen.add(("dtype", X.dtype.name))
        seen.add(("storage", X.format if sp.issparse(X) else "fortran" if X.flags.f_contiguous else "dense"))
        seen.add(("weight", weight is not None))
        seen.add(("layers", len(params["hidden_layer_sizes"])))
        for name in ("activation", "solver", "alpha", "shuffle", "early_stopping"):
            seen.add((name, params[name]))
        if params["solver"] == "sgd":
            plain = params["momentum"] == 0
            seen.add(("momentum", "plain" if plain else "nesterov" if params["nesterovs_momentum"] else "heavy"))
            seen.add(("rate", params["learning_rate"]))
        size = params["batch_size"]
        seen.add(("batch", "auto" if size == "auto" else "tail" if X.shape[0] % size else "even"))

    collect()
    wanted = {
        "kind": KINDS,
        "dtype": ("float32", "float64"),
        "storage": STORAGES,
        "weight": (False, True),
        "layers": (0, 1, 2, 3),
        "activation": ACTIVATIONS,
        "solver": ("sgd", "adam"),
        "alpha": (0.0, 1e-4, 0.5),
        "shuffle": (False, True),
        "early_stopping": (False, True),
        "momentum": ("plain", "nesterov", "heavy"),
        "rate": RATES,
        "batch": ("auto", "tail", "even"),
    }
    assert {(name, value) for name, values in wanted.items() for value in values} <= seen


@st.composite
def sequences(draw):
    """Calls of partial_fit on changing rows."""
    kind = draw(st.sampled_from(KINDS))
    solver = draw(st.sampled_from(["sgd", "adam"]))
    params = {
        "hidden_layer_sizes": (draw(st.integers(1, 9)),),
        "solver": solver,
        "alpha": draw(st.sampled_from([0.0, 0.1])),
        "batch_size": draw(st.sampled_from(["auto", 5])),
        "shuffle": draw(st.booleans()),
        "random_state": draw(st.integers(0, 3)),
        "learning_rate_init": 0.01,
        "learning_rate": draw(st.sampled_from(RATES)) if solver == "sgd" else "constant",
        "tol": draw(st.sampled_from([1e-4, 10.0])),
        "n_iter_no_change": draw(st.sampled_from([1, 10])),
    }
    rows = draw(st.lists(st.tuples(st.integers(8, 30), st.booleans()), min_size=1, max_size=6))
    return kind, params, rows


@repeatably
@given(sequences())
def test_any_sequence_of_partial_fits(sequence):
    kind, params, rows = sequence
    theirs, ours = make(kind, params)
    for number, (n, weighted) in enumerate(rows):
        X, y = data(kind, n, seed=number)
        classes = {"classes": np.unique(data(kind)[1])} if kind in ("binary", "multiclass") else {}
        if kind == "multilabel":
            classes = {"classes": np.arange(3)}
        weight = np.random.default_rng(number).uniform(0.1, 2.0, n) if weighted else None
        for model in (theirs, ours):
            model.partial_fit(X, y, weight, **classes)
        assert_equal_models(theirs, ours)
    assert_equal_predictions(theirs, ours, X)
