"""Many models trained together have the bits of separate fits, whatever they are."""

import numpy as np
import pytest
from fusedgrad import fit_many, optimizers, schedules
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from . import minibatch_strategies as strategies
from .sets import (
    GOOD,
    KINDS,
    Case,
    assert_all_as_alone,
    assert_as_alone,
    assert_together_as_alone,
    data,
    every_kind,
    every_storage,
    fitted_alone,
    stored,
    various,
)

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


STORAGES = (*strategies.STORAGES, "unsorted")


repeatably = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


# ---- random sets of models ----


@st.composite
def cases(draw, kind):
    classification = KINDS[kind] is SGDClassifier
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    n, d = draw(st.integers(24, 160)), draw(st.integers(1, 67))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = np.clip(rng.normal(size=(n, d)), -2, 2) / np.sqrt(d)
    storage = draw(st.sampled_from(STORAGES))
    if storage in ("csr32", "csr64", "unsorted"):
        X[rng.random(X.shape) < 0.7] = 0
    outputs = 3 if kind == "multioutput" else 1
    margin = X @ rng.normal(size=(d, outputs)) + 0.2 * rng.normal(size=(n, outputs))
    if classification:
        k = 2 if kind == "binary" else draw(st.integers(3, 4))
        codes = (np.argsort(np.argsort(margin[:, 0])) * k) // n
        y = draw(st.sampled_from([np.arange(k) - 1, np.array(list("ezbr")[:k])]))[codes]
    else:
        y = np.abs(margin) + 0.1 if outputs > 1 else np.abs(margin[:, 0]) + 0.1  # for every loss
    rows = np.sort(rng.permutation(n)[: draw(st.integers(20, n))]) if draw(st.booleans()) else None

    shared = {
        "batch_size": draw(st.one_of(st.integers(1, n + 5), st.sampled_from(["full", 2, 8, 16]))),
        "shuffle": draw(st.sampled_from(strategies.SHUFFLES)),
        "random_state": draw(st.integers(0, 2**32 - 1)),
    }
    validated = draw(st.sampled_from(["none", "some", "all"]))
    drawn = [
        {**draw(parameters(kind, np.unique(y).tolist() if classification else None, validated, shared)), **shared}
        for _ in range(draw(st.integers(1, 12)))
    ]
    count = draw(st.sampled_from([len(drawn)] * 7 + [70]))  # more than there are columns in a block
    params = [dict(drawn[j % len(drawn)]) for j in range(count)]
    for j, each in enumerate(params[len(drawn) :]):
        each["alpha"] += 1e-3 * (j + 1)
    weights = draw(st.sampled_from(["none", "shared", "of each", "bags"]))
    sample_weights = {
        "none": lambda: None,
        "shared": lambda: rng.uniform(0.2, 2, n) * (rng.random(n) > 0.1),
        "of each": lambda: rng.uniform(0.2, 2, (n, count)) * (rng.random((n, count)) > 0.1),
        "bags": lambda: rng.multinomial(n, np.full(n, 1 / n), size=count).T.astype(float),
    }[weights]()
    return Case(kind, params, stored(X.astype(dtype), storage), y, sample_weights, rows, storage)


@st.composite
def parameters(draw, kind, labels, validated, shared):
    """Those in which models of one pass may differ."""
    of_loss = draw(st.sampled_from(["multiclass", "multinomial"])) if kind == "several" else kind
    params = draw(strategies.parameters(of_loss))
    if kind == "binary":
        params["multi_class"] = "multinomial" if params["loss"] == "log_loss" else "ovr"  # the same of two classes
    name, fields, rate = draw(st.sampled_from(strategies.RULES))
    fields = {**fields, **draw(st.sampled_from(strategies.DECAYS))}
    if name == "SGD" and not fields and shared["batch_size"] == 1:
        fields["clip_norm"] = 10.0  # else the sequential engine
    if name == "ASGD":
        params["average"] = False  # it has its own
    rates = draw(st.sampled_from(["given", "optimal", "invscaling", "adaptive", "plateau"]))
    if rates == "given":
        _, of_estimator, of_optimizer = draw(strategies.learning_rates(rate, falls=False))
        params |= of_estimator
        fields |= of_optimizer
    else:
        of_plateau = schedules.ReduceOnPlateau(rate, factor=0.3, patience=0)
        params |= {"learning_rate": of_plateau if rates == "plateau" else rates, "eta0": rate, "power_t": 0.3}
    params |= {
        "optimizer": getattr(optimizers, name)(**fields),
        "tol": draw(st.sampled_from([None, 1e-3, 1e-2])),
        "n_iter_no_change": draw(st.integers(1, 3)),
        "max_iter": draw(st.integers(1, 10)),
    }
    if labels is not None:
        weights = dict(zip(labels, (0.5, 1.5, 1.0, 0.7), strict=False))
        params["class_weight"] = draw(st.sampled_from([None, "balanced", weights]))
    if validated == "all" or (validated == "some" and draw(st.booleans())):
        restores = draw(st.booleans())
        params |= {"early_stopping": True, "validation_fraction": 0.4, "restore_best_weights": restores}
    return params


# ---- the judge: a fit of its own ----


@every_kind
def test_every_model_has_the_bits_of_its_own_fit(kind):
    @settings(repeatably, max_examples=30)
    @given(cases(kind), st.integers(1, 4))
    def check(case, threads):
        assert_together_as_alone(case, threads=threads)

    check()


def test_the_strategy_reaches_every_option_and_its_models_mostly_train_and_share():
    seen, models, errors, sharing, epochs = set(), 0, 0, 0, set()

    def collect(case):
        nonlocal models, errors, sharing
        seen.update({("storage", case.storage), ("dtype", case.X.dtype.name), ("kind", case.kind)})
        seen.add(("weights", 0 if case.sample_weights is None else case.sample_weights.ndim))
        seen.add(("many", len(case.params) > 64))
        seen.add(("rows", case.rows is not None))
        for params in case.params:
            seen.update((name, str(params[name])) for name in ("penalty", "positive", "fit_intercept", "shuffle"))
            seen.update({("loss", params["loss"]), ("rule", type(params["optimizer"]).__name__)})
            if case.kind == "several":
                seen.add(("multi_class", params.get("multi_class", "ovr")))
            seen.add(("average", type(params["average"]).__name__))
            seen.add(("restores", params.get("restore_best_weights")))
        if len(case.params) > 12:
            return
        fitted = case.models()
        together = case.together(fitted)
        together.run()
        together.settle()
        models += len(fitted)
        errors += sum(error is not None for error in together.errors)
        sharing += sum(len(each) for each in together.passes if len(each) > 1)
        epochs.add(len({m.n_iter_ for m in fitted if hasattr(m, "n_iter_")}))
        seen.update(("stop", m.stop_reason_) for m in fitted if hasattr(m, "n_iter_"))

    for kind in KINDS:
        settings(repeatably, max_examples=40)(given(cases(kind))(collect))()
    wanted = {
        "storage": STORAGES,
        "dtype": ("float32", "float64"),
        "kind": KINDS,
        "weights": (0, 1, 2),
        "many": (False, True),
        "rows": (False, True),
        "penalty": ("l1", "l2", "elasticnet", "None"),
        "positive": ("False", "True"),
        "fit_intercept": ("False", "True"),
        "shuffle": tuple(map(str, strategies.SHUFFLES)),
        "loss": {*SGDClassifier.loss_functions, *SGDRegressor.loss_functions},
        "rule": {name for name, *_ in strategies.RULES},
        "multi_class": ("ovr", "multinomial"),
        "average": ("bool", "int"),
        "restores": (None, False, True),
        "stop": ("max_iter", "converged", "early_stopping"),
    }
    assert {(name, value) for name, values in wanted.items() for value in values} <= seen
    assert errors < models / 20
    assert sharing > 0.7 * models
    assert max(epochs) >= 5  # models of one pass stop at different epochs


# ---- plain sets of models ----


# Enough work in a batch that four threads pay even for a single model.
LARGE = {"n": 4000, "d": 131}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_storage
@every_kind
def test_the_same_bits_for_any_number_of_threads(kind, storage, dtype):
    X, y = data(kind, storage=storage, dtype=dtype, **LARGE)
    params = various(kind, batch_size=2000, max_iter=2)
    judges = fitted_alone(kind, params, X, y, n_jobs=1)
    for n_jobs in (1, 2, 3, 4):
        models = fit_many([KINDS[kind](**each, n_jobs=n_jobs) for each in params], X, y)
        assert models.passes == [list(range(12))]
        for model, judge in zip(models, judges, strict=True):
            np.testing.assert_array_equal(model.coef_, judge.coef_)
            np.testing.assert_array_equal(model.intercept_, judge.intercept_)
            np.testing.assert_array_equal(model.loss_curve_, judge.loss_curve_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_storage
@every_kind
def test_rows_of_hundreds_of_entries(kind, storage, dtype):
    X, y = data(kind, n=200, d=600, storage=storage, dtype=dtype)
    models = fit_many([KINDS[kind](**params) for params in various(kind)], X, y)
    assert_all_as_alone(models, fitted_alone(kind, various(kind), X, y))


@every_storage
@every_kind
def test_a_neighbour_whose_weights_decay_by_more_than_everything(kind, storage):
    X, y = data(kind, storage=storage)
    loss = "hinge" if KINDS[kind] is SGDClassifier else "huber"
    params = [{**GOOD, "loss": loss, "alpha": alpha} for alpha in (1e-4, 0.01, 1.5 / GOOD["eta0"], 0.1)]
    models = fit_many([KINDS[kind](**each) for each in params], X, y)
    assert_all_as_alone(models, fitted_alone(kind, params, X, y))


@every_storage
def test_models_are_fitted_in_place_and_the_data_stay_as_they_are(storage):
    X, y = data(storage=storage)
    W = np.random.default_rng(1).uniform(0.5, 2, (len(y), 12))
    for array in (y, W, *((X,) if storage == "C" else (X.data, X.indices, X.indptr))):
        array.setflags(write=False)
    estimators = [SGDClassifier(**params) for params in various()]
    models = fit_many(estimators, X, y, W)
    assert len(models) == 12
    assert all(model is estimator for model, estimator in zip(models, estimators, strict=True))
    assert_all_as_alone(models, fitted_alone("binary", various(), X, y, W))
    again = fit_many(tuple(clone(model) for model in models), X.tolist() if storage == "C" else X, list(y), W.tolist())
    for model, other in zip(models, again, strict=True):
        np.testing.assert_array_equal(model.coef_, other.coef_)


@every_kind
def test_bagging_equals_fits_with_the_counts_of_bootstrap_samples(kind):
    X, y = data(kind)
    rng = np.random.default_rng(2)
    counts = np.array([np.bincount(rng.integers(len(y), size=len(y)), minlength=len(y)) for _ in range(12)]).T
    assert (counts == 0).any(axis=0).all()
    params = various(kind)
    models = fit_many([KINDS[kind](**each) for each in params], X, y, counts)
    assert_all_as_alone(models, fitted_alone(kind, params, X, y, counts))
    # the columns matter: the same parameters, other weights
    same = fit_many([KINDS[kind](**params[0]) for _ in range(3)], X, y, counts[:, :3])
    assert len({model.coef_.tobytes() for model in same}) == 3


def test_names_of_columns_and_labels_are_learned():
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])])
    labels = pd.Series(np.array(["no", "yes"])[y])
    models = fit_many([SGDClassifier(**params) for params in various(base_score=False)], frame, labels)
    judges = [SGDClassifier(**params).fit(frame, labels) for params in various(base_score=False)]
    assert_all_as_alone(models, judges)
    for model in models:
        np.testing.assert_array_equal(model.feature_names_in_, frame.columns)
        assert set(model.predict(frame)) == {"no", "yes"}
    # ... and forgotten, where X has none
    fit_many(models, X, y)
    for model, judge in zip(models, judges, strict=True):
        assert_as_alone(model, judge.fit(X, y))
        assert not hasattr(model, "feature_names_in_")


def test_models_that_have_not_converged_are_counted_in_one_warning():
    X, y = data()
    models = [SGDClassifier(**{**GOOD, "tol": tol, "max_iter": 2}) for tol in (1e-3, None, 1e-3)]
    with pytest.warns(ConvergenceWarning, match=r"2 of 3 models: 0, 2\..*max_iter") as caught:
        fit_many(models, X, y)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_models_that_have_converged_are_not_mentioned():
    X, y = data()
    models = fit_many(
        [SGDClassifier("log_loss", batch_size=16, alpha=0.01, random_state=3), SGDClassifier(**GOOD)], X, y
    )
    assert [model.stop_reason_ for model in models] == ["converged", "max_iter"]
