"""Models that are trained in one pass: each has the bits of its own `fit`, whoever its neighbours are."""

import copy
import json
import pickle
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from fusedgrad import _rates, fit_many, losses, optimizers, schedules
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
from fusedgrad.linear_model._many import Together
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from .. import child
from . import minibatch_strategies as strategies
from .test_minibatch import shuffled_within_rows

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

KINDS = {"binary": SGDClassifier, "several": SGDClassifier, "regression": SGDRegressor, "multioutput": SGDRegressor}
STORAGES = (*strategies.STORAGES, "unsorted")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_storage = pytest.mark.parametrize("storage", ["C", "csr32"])
repeatably = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


# ---- random sets of models ----


@dataclass
class Case:
    """What `Together` is given; `params` are those of each model."""

    kind: str
    params: list
    X: object
    y: object
    sample_weights: object = None
    rows: object = None
    storage: str = "C"

    def models(self):
        return [KINDS[self.kind](**copy.deepcopy(params)) for params in self.params]

    def together(self, models, **options):
        X = self.X if self.rows is None or sp.issparse(self.X) else np.ascontiguousarray(self.X)  # is to be checked
        return Together(models, X, self.y, self.sample_weights, rows=self.rows, **options)

    def weight(self, k):
        weights = self.sample_weights
        return weights if weights is None or weights.ndim == 1 else weights[:, k]

    def alone(self, model, k):
        """What a model is after its own fit on the same rows, or the error that it met."""
        rows = slice(None) if self.rows is None else self.rows
        weight = self.weight(k)
        try:
            return model.fit(self.X[rows], self.y[rows], sample_weight=None if weight is None else weight[rows])
        except ValueError as error:
            return error

    def __repr__(self):
        weights = "no weights" if self.sample_weights is None else f"weights {self.sample_weights.shape}"
        rows = "all rows" if self.rows is None else f"{len(self.rows)} rows"
        return f"Case({self.kind}, {self.storage} {self.X.shape} {self.X.dtype}, {weights}, {rows}, {self.params})"


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


def stored(X, storage):
    return shuffled_within_rows(sp.csr_array(X)) if storage == "unsorted" else strategies.stored(X, storage)


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


def assert_as_alone(model, alone):
    assert vars(model).keys() == vars(alone).keys()
    for name in ("coef_", "intercept_", "_standard_coef", "_standard_intercept", "_average_coef", "_average_intercept"):
        if name in vars(alone):
            one, other = vars(model)[name], vars(alone)[name]
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other, err_msg=name)
    for name in ("n_iter_", "stop_reason_", "t_", "n_features_in_", "_y_ndim", "_average_begun"):
        assert vars(model).get(name) == vars(alone).get(name), name
    if "classes_" in vars(alone):
        assert model.classes_.dtype == alone.classes_.dtype
        np.testing.assert_array_equal(model.classes_, alone.classes_)
        assert model.validation_scores_ == alone.validation_scores_
    for name in ("loss_curve_", "validation_loss_curve_", "validation_scores_"):
        one, other = vars(model)[name], vars(alone)[name]
        assert (one is None) == (other is None)
        assert one == other, name
    one, other = vars(model).get("_optimizer_state"), vars(alone).get("_optimizer_state")
    if other is not None:
        assert (one.optimizer, one.step, one.epoch, one.carry) == (
            other.optimizer,
            other.step,
            other.epoch,
            other.carry,
        )
        assert len(one.slots) == len(other.slots)
        for slot, its in zip(one.slots, other.slots, strict=True):
            np.testing.assert_array_equal(slot, its)
        assert len(one.rates) == len(other.rates)
    assert model.get_params().keys() == alone.get_params().keys()


def bits(model):
    """What there is to know of a model, bit by bit."""
    return pickle.dumps({name: value for name, value in vars(model).items() if not callable(value)})


def assert_together_as_alone(case, **options):
    models = case.models()
    together = case.together(models, **options)
    together.run()
    assert together.ended
    together.settle()
    judges = [case.alone(model, k) for k, model in enumerate(case.models())]
    for k, (model, judge) in enumerate(zip(models, judges, strict=True)):
        error = together.errors[k]
        if isinstance(judge, ValueError):
            assert str(error) == f"model {k}: {judge}"
            assert vars(model) == vars(case.models()[k])
        else:
            assert error is None
            assert_as_alone(model, judge)
    return together, judges


@every_kind
def test_every_model_has_the_bits_of_its_own_fit(kind):
    @settings(repeatably, max_examples=80)
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
        settings(repeatably, max_examples=60)(given(cases(kind))(collect))()
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

GOOD = {"batch_size": 16, "random_state": 3, "max_iter": 4, "tol": None, "learning_rate": "constant", "eta0": 0.05}


def data(kind="binary", *, n=120, d=11, storage="C", dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) / np.sqrt(d)
    if storage != "C":
        X = X * (rng.random(X.shape) < 0.3)
    margin = X @ rng.normal(size=(d, 3)) + rng.normal(size=(n, 3)) / 5
    y = {
        "binary": (margin[:, 0] > 0) * 1,
        "several": margin.argmax(axis=1),
        "regression": np.abs(margin[:, 0]),
        "multioutput": np.abs(margin),
    }[kind]
    return stored(X.astype(dtype), storage), y


def various(kind="binary", **changes):
    """Parameters of twelve models, of all ways that training has."""
    if KINDS[kind] is SGDClassifier:
        chosen = ["log_loss", "hinge", "log_loss", "modified_huber"]
        own = [{"class_weight": "balanced"}, {}, {"multi_class": "multinomial"}, {}]
    else:
        chosen = ["squared_error", "huber", "poisson", "absolute_error"]
        own = [{}] * 4
    rules = [
        {},
        {"optimizer": "adam"},
        {"penalty": "l1"},
        {"optimizer": optimizers.SGD(momentum=0.5, clip_norm=0.05)},
        {"average": 3},
        {"optimizer": "ftrl", "penalty": "elasticnet"},
        {"optimizer": optimizers.Adagrad(clip_value=0.01)},
        {"positive": True},
    ]
    return [
        {**GOOD, "loss": chosen[k % 4], "alpha": 10.0 ** -(1 + k % 5), **own[k % 4], **rules[k % 8], **changes}
        for k in range(12)
    ]


def fitted_alone(kind, params, X, y, weights=None, **changes):
    weights = [None] * len(params) if weights is None else list(np.asarray(weights).T)
    return [
        KINDS[kind](**{**each, **changes}).fit(X, y, sample_weight=weight)
        for each, weight in zip(params, weights, strict=True)
    ]


def assert_all_as_alone(models, judges):
    for model, judge in zip(models, judges, strict=True):
        assert_as_alone(model, judge)


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
    models = fit_many([SGDClassifier(**params) for params in various()], frame, labels)
    judges = [SGDClassifier(**params).fit(frame, labels) for params in various()]
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
    models = fit_many([SGDClassifier(**{**GOOD, "tol": 0.1, "max_iter": 1000}), SGDClassifier(**GOOD)], X, y)
    assert [model.stop_reason_ for model in models] == ["converged", "max_iter"]


# ---- some of the rows; epoch by epoch; leaving ----


@every_storage
@every_kind
def test_training_on_some_rows_is_fitting_on_them(kind, storage):
    X, y = data(kind, storage=storage)
    rng = np.random.default_rng(4)
    W = rng.uniform(0.2, 2, (len(y), 12))
    params = various(kind, early_stopping=False)
    for rows in (np.arange(60), np.sort(rng.permutation(len(y))[:77]), rng.permutation(len(y))[:50]):
        for weights in (None, W[:, 0], W):
            case = Case(kind, params, X, y, weights, rows)
            together, judges = assert_together_as_alone(case)
            assert together.passes == [list(range(12))]
            assert not any(isinstance(judge, Exception) for judge in judges)


@every_storage
def test_classes_that_the_rows_lack_are_not_learned(storage):
    X, y = data("several", storage=storage)
    rows = np.flatnonzero(y != 1)
    _, judges = assert_together_as_alone(Case("several", various("several"), X, y, None, rows))
    assert all(judge.classes_.tolist() == [0, 2] for judge in judges)


def test_rows_whose_weights_are_all_zero_have_nothing_to_teach():
    X, y = data()
    rows = np.arange(40)
    for weights in (np.where(np.arange(len(y)) < 40, 0.0, 1.0), np.tile(np.arange(len(y)) >= 40, (2, 1)).T * 1.0):
        case = Case("binary", [GOOD, GOOD], X, y, weights, rows)
        assert "zero for every sample" in str(case.alone(case.models()[0], 0))
        with pytest.raises(ValueError, match="sample_weights.* zero for every sample"):
            case.together(case.models())


@every_kind
def test_epoch_by_epoch_is_all_at_once_and_the_weights_are_those_of_the_moment(kind):
    X, y = data(kind)
    params = [{**each, "max_iter": 2 + k % 4} for k, each in enumerate(various(kind))]
    case = Case(kind, params, X, y)
    models = case.models()
    together = case.together(models)
    epochs = 0
    while not together.ended:
        together.run(1)
        epochs += 1
        for k, each in enumerate(params):
            judge = KINDS[kind](**{**each, "max_iter": min(epochs, each["max_iter"])}).fit(X, y)
            coef, intercept = together.weights(k)
            np.testing.assert_array_equal(coef, np.atleast_2d(judge.coef_))
            np.testing.assert_array_equal(intercept, judge.intercept_)
    assert epochs == 5
    together.run()  # nothing more to do
    together.settle()
    assert_all_as_alone(models, fitted_alone(kind, params, X, y))


@pytest.mark.parametrize("steps", [(1, 1, 1, 1), (3, 1), (2, None)])
@every_storage
def test_runs_add_up(storage, steps):
    X, y = data(storage=storage)
    models = [SGDClassifier(**params) for params in various()]
    together = Together(models, X, y)
    assert not together.ended
    for epochs in steps:
        assert not together.ended
        together.run(epochs)
    assert together.ended
    together.settle()
    assert_all_as_alone(models, fitted_alone("binary", various(), X, y))


@every_storage
@every_kind
def test_who_leaves_keeps_its_weights_and_the_others_do_not_notice(kind, storage):
    X, y = data(kind, storage=storage)
    params = various(kind, max_iter=5)
    models = [KINDS[kind](**each) for each in params]
    together = Together(models, X, y)
    made = {}
    for epoch, gone in enumerate(([1, 4, 5], [], [0, 11], [2, 7]), start=1):
        together.run(1)
        together.drop(gone)
        made.update(dict.fromkeys(gone, epoch))
    together.run()
    assert together.ended
    together.drop([3])  # has ended already
    together.settle()
    for k, (model, each) in enumerate(zip(models, params, strict=True)):
        judge = KINDS[kind](**{**each, "max_iter": made.get(k, 5)}).fit(X, y)
        if k in made:
            assert model.stop_reason_ == "dropped"
            model.stop_reason_ = judge.stop_reason_
        assert_as_alone(model, judge)


def test_estimators_stay_as_they_are_until_they_are_settled():
    X, y = data()
    models = [SGDClassifier(**params) for params in various()]
    before = [dict(vars(model)) for model in models]
    together = Together(models, X, y)
    together.run()
    assert [vars(model) for model in models] == before
    together.settle()
    assert all(hasattr(model, "coef_") for model in models)


# ---- who shares with whom ----


def passes(changes, **options):
    """Of models of the same parameters but for some changes: how they are fitted, and that they are as alone."""
    X, y = data(**options)
    params = [{**GOOD, "alpha": 10.0 ** -(k + 1), **each} for k, each in enumerate(changes)]
    models = fit_many([SGDClassifier(**copy.deepcopy(each)) for each in params], X, y)
    assert_all_as_alone(models, fitted_alone("binary", copy.deepcopy(params), X, y))
    return models


def test_models_of_one_stream_share_a_pass():
    models = passes([{"optimizer": "adam"}, {"loss": "log_loss", "tol": 1e-3}, {"average": True}, {"n_jobs": 2}])
    assert models.passes == [[0, 1, 2, 3]]
    assert models.alone == {}


def test_one_model_has_nobody_to_share_with_which_needs_no_reason():
    models = passes([{}])
    assert models.passes == [[0]]
    assert models.alone == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"batch_size": 17}, "batch_size"),
        ({"batch_size": "full"}, "batch_size"),
        ({"random_state": 4}, "random_state"),
        ({"shuffle": "rows"}, "shuffle"),
        ({"early_stopping": True}, "the rows that early_stopping keeps aside"),
        ({"batch_size": 8, "random_state": 1}, "batch_size and random_state"),
    ],
)
def test_who_differs_in_the_stream_is_alone_and_told_why(change, reason):
    for place in (0, 1, 2):
        changes = [{}, {}]
        changes.insert(place, change)
        models = passes(changes)
        assert sorted(models.passes, key=len) == [[place], sorted({0, 1, 2} - {place})]
        assert list(models.alone) == [place]
        assert f"differs from the others in {reason}" in models.alone[place]


def test_every_stream_of_several_models_is_a_pass():
    models = passes([{}, {"batch_size": 9}, {}, {"batch_size": 9}, {"early_stopping": True}, {"early_stopping": True}])
    assert sorted(models.passes) == [[0, 2], [1, 3], [4, 5]]
    assert models.alone == {}


def test_batches_of_all_rows_are_one_stream_by_whatever_name():
    models = passes([{"batch_size": "full"}, {"batch_size": 120}])
    assert models.passes == [[0, 1]]


def test_one_sample_a_step_cannot_share_and_neither_end_spoils_the_other():
    models = passes([{"batch_size": 1}, {}, {"batch_size": 1, "penalty": "l1"}, {}, {"batch_size": 1}])
    assert models.passes == [[1, 3]]
    assert sorted(models.alone) == [0, 2, 4]
    assert all("batch_size=1" in why for why in models.alone.values())
    # one sample a step of a rule of the mini-batch engine can
    models = passes([{"batch_size": 1, "optimizer": "adam"}, {"batch_size": 1, "optimizer": "lion"}])
    assert models.passes == [[0, 1]]


def test_models_with_callbacks_are_alone():
    callback = pytest.importorskip("sklearn.callback", reason="the protocol came with scikit-learn 1.9")
    X, y = data()
    models = [SGDClassifier(**GOOD), SGDClassifier(**GOOD, alpha=0.1), SGDClassifier(**GOOD, penalty="l1")]
    judges = [clone(model).fit(X, y) for model in models]
    models[1].set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    fitted = fit_many(models, X, y)
    assert fitted.passes == [[0, 2]]
    assert list(fitted.alone) == [1]
    assert "callbacks" in fitted.alone[1]
    for model, judge in zip(fitted, judges, strict=True):
        np.testing.assert_array_equal(model.coef_, judge.coef_)


def test_models_that_leave_the_seed_to_chance_share_and_keep_their_parameter():
    X, y = data()
    models = fit_many([SGDClassifier(**{**GOOD, "random_state": None}) for _ in range(3)], X, y)
    assert models.passes == [[0, 1, 2]]
    assert all(model.random_state is None for model in models)
    assert len({model.coef_.tobytes() for model in models}) == 1
    others = fit_many([SGDClassifier(**{**GOOD, "random_state": None}) for _ in range(3)], X, y)
    assert models[0].coef_.tobytes() != others[0].coef_.tobytes()


def test_generators_are_used_as_by_one_fit_after_the_other():
    X, y = data()

    def models(states):
        return [SGDClassifier(**{**GOOD, "random_state": state}) for state in states]

    equal = fit_many(models([np.random.RandomState(7), np.random.RandomState(7)]), X, y)
    assert equal.passes == [[0, 1]]
    rng = np.random.RandomState(7)
    one_for_all = fit_many(models([rng, rng, 5]), X, y)
    assert sorted(one_for_all.passes) == [[0], [1], [2]]
    rng = np.random.RandomState(7)
    for model, judge in zip(one_for_all, models([rng, rng, 5]), strict=True):
        np.testing.assert_array_equal(model.coef_, judge.fit(X, y).coef_)


# ---- weights that overflow ----


@pytest.mark.parametrize("batch_size", [1, 16])
@every_storage
def test_a_model_that_overflows_is_named_and_nothing_is_updated(storage, batch_size):
    X, y = data("regression", storage=storage)
    models = [SGDRegressor(**{**GOOD, "batch_size": batch_size}, alpha=alpha).fit(X, -y) for alpha in (0.1, 0.01, 1)]
    models[1].set_params(eta0=1e300)
    before = [bits(model) for model in models]
    attributes = [dict(vars(model)) for model in models]
    with pytest.raises(ValueError, match=r"^model 1: Floating-point under-/overflow occurred at epoch #\d+"):
        fit_many(models, X, y)
    assert [bits(model) for model in models] == before
    for model, had in zip(models, attributes, strict=True):
        assert all(vars(model)[name] is value for name, value in had.items())


@every_storage
def test_neighbours_of_a_model_that_overflows_are_as_alone(storage):
    X, y = data("regression", storage=storage)
    params = various("regression")
    for k in (0, 5, 9):
        params[k] = {**GOOD, "eta0": 1e30 if k else 1e4, "max_iter": 100}  # in the first epoch, or later
    case = Case("regression", params, X, y)
    together, judges = assert_together_as_alone(case)
    assert [k for k, judge in enumerate(judges) if isinstance(judge, ValueError)] == [0, 5, 9]
    assert together.passes == [list(range(12))]
    later = Together(case.models(), X, y, names=[f"no. {k + 1}" for k in range(12)])
    later.run()
    assert str(later.errors[5]).startswith("no. 6: Floating-point")


@every_storage
def test_a_retreat_of_automatic_rates_is_nobody_elses_affair(monkeypatch, storage):
    retreats = []
    retreat = _rates.Automatic.retreat
    monkeypatch.setattr(_rates.Automatic, "retreat", lambda self: (retreats.append(self), retreat(self))[1])
    X, y = data("regression", storage=storage)
    params = [
        {**each, "learning_rate": "invscaling" if k % 2 else "constant"} for k, each in enumerate(various("regression"))
    ]
    # steps of about the rate, whatever the gradient: so large that squares overflow
    params[3] = {**GOOD, "optimizer": "adam", "learning_rate": "invscaling", "eta0": 1e155}
    case = Case("regression", params, X, y)
    models = case.models()
    together = case.together(models)
    together.run()
    together.settle()
    count = len(retreats)
    assert count > 0
    assert len(set(map(id, retreats))) == 1
    judges = [case.alone(model, k) for k, model in enumerate(case.models())]
    assert len(retreats) == 2 * count
    assert not any(isinstance(judge, Exception) for judge in judges)
    assert_all_as_alone(models, judges)


# ---- going on ----


@every_storage
@every_kind
def test_a_warm_start_goes_on_as_after_fit(kind, storage):
    X, y = data(kind, storage=storage)
    params = various(kind, warm_start=True, max_iter=2)
    models = fit_many([KINDS[kind](**each) for each in params], X, y)
    judges = fitted_alone(kind, params, X, y)
    models = fit_many(models, X, y)
    assert models.passes == [list(range(12))]
    assert_all_as_alone(models, [judge.fit(X, y) for judge in judges])
    models = [pickle.loads(pickle.dumps(model)).fit(X, y) for model in models]  # each by itself again
    assert_all_as_alone(models, [judge.fit(X, y) for judge in judges])


def test_a_warm_start_and_a_cold_one_do_not_share_as_the_rows_come_in_another_order():
    X, y = data()
    models = [SGDClassifier(**GOOD, warm_start=True), SGDClassifier(**GOOD, warm_start=True), SGDClassifier(**GOOD)]
    judges = [clone(model) for model in models]
    for each in (models, judges):
        each[0].fit(X, y)
        each[2].fit(X, y)
    fitted = fit_many(models, X, y)
    assert sorted(fitted.passes) == [[0], [1, 2]]
    assert "epochs" in fitted.alone[0]
    assert_all_as_alone(models, [judge.fit(X, y) for judge in judges])


@every_storage
@every_kind
def test_partial_fit_goes_on_as_after_fit(kind, storage):
    X, y = data(kind, storage=storage)
    params = various(kind)
    for each in params:
        each.pop("class_weight", None)
    models = fit_many([KINDS[kind](**each) for each in params], X, y)
    judges = fitted_alone(kind, params, X, y)
    for part in (slice(0, 50), slice(30, 120)):
        for model, judge in zip(models, judges, strict=True):
            model.partial_fit(X[part], y[part])
            judge.partial_fit(X[part], y[part])
            np.testing.assert_array_equal(model.coef_, judge.coef_)
            np.testing.assert_array_equal(model.intercept_, judge.intercept_)
            assert len(model.loss_curve_) == len(judge.loss_curve_)


@pytest.mark.parametrize("average", [True, 5, 10**6])
def test_averages_go_on_as_after_fit(average):
    X, y = data("several")
    params = [{**GOOD, "average": average, "warm_start": True, "alpha": alpha} for alpha in (0.1, 0.01)]
    models, judges = fit_many([SGDClassifier(**each) for each in params], X, y), fitted_alone("several", params, X, y)
    for _ in range(2):
        assert_all_as_alone(models, judges)
        fit_many(models, X, y)
        judges = [judge.fit(X, y) for judge in judges]
    assert_all_as_alone(models, judges)


def test_a_second_call_begins_anew_without_warm_start():
    X, y = data("several")
    models = fit_many([SGDClassifier(**params) for params in various("several")], *data())
    fit_many(models, X, y)
    assert_all_as_alone(models, fitted_alone("several", various("several"), X, y))


# ---- what is refused ----

X_GOOD, Y_GOOD = data("several")
N = len(Y_GOOD)


@dataclass
class Refused:
    """A call that must fail: three models and good data, of which something is replaced."""

    message: str
    params: dict = field(default_factory=dict)  # of model 1
    arguments: dict = field(default_factory=dict)
    kind: str = "several"
    error: type = ValueError

    def __str__(self):
        return f"{self.kind}-{'-'.join((*self.params, *self.arguments))}-{self.message[:40]}"


def with_value(array, value, place=(50, 2)):
    array = np.array(array, dtype=float)
    array[place[: array.ndim]] = value
    return array


REFUSED = [
    *(
        Refused(f"Input X contains {said}", params, {"X": storage(with_value(X_GOOD, value))}, kind)
        for value, said in ((np.nan, "NaN"), (np.inf, "infinity"))
        for storage in (np.asarray, sp.csr_array)
        for kind in ("several", "regression")
        for params in ({}, {"early_stopping": True}, {"batch_size": 1})
    ),
    Refused("y contains NaN", arguments={"y": with_value(Y_GOOD, np.nan)}),
    Refused("y contains NaN", arguments={"y": with_value(Y_GOOD, np.nan)}, kind="regression"),
    Refused("y contains infinity", arguments={"y": with_value(Y_GOOD, np.inf)}, kind="regression"),
    Refused("Unknown label type: continuous", arguments={"y": X_GOOD[:, 0]}),
    Refused("number of classes has to be greater than one; got 1", arguments={"y": np.zeros(N)}),
    Refused(r"\[120, 119\]", arguments={"y": Y_GOOD[:-1]}),
    Refused("Expected 2D array", arguments={"X": X_GOOD[:, 0]}),
    Refused("1d array", arguments={"y": np.c_[Y_GOOD, Y_GOOD]}),
    Refused("1d array", {"batch_size": 1}, {"y": X_GOOD[:, :2]}, "regression"),
    Refused("^model 1: y must be >= 0 with loss='poisson'", {"loss": "poisson"}, {"y": X_GOOD[:, 0]}, "regression"),
    Refused("^model 1: y must be > 0 with loss='gamma'", {"loss": "gamma"}, {"y": X_GOOD[:, 0]}, "regression"),
    Refused("^model 1: .*'alpha' parameter of SGDClassifier", {"alpha": -1.0}),
    Refused("^model 1: .*'eta0' parameter of SGDClassifier", {"eta0": 0.0}),
    Refused("^model 1: .*needs loss='log_loss'", {"multi_class": "multinomial", "loss": "hinge"}),
    Refused("^model 1: restore_best_weights=True needs a validation set", {"restore_best_weights": True}),
    Refused("^model 1: .*not in class_weight", {"class_weight": {0: 1.0, 7: 2.0}}),
    Refused("^model 1: The test_size = 1", {"early_stopping": True, "validation_fraction": 1e-9}),
    Refused("^model 1: Floating-point", {"loss": "squared_error", "eta0": 1e300}),
    Refused(r"sample_weights.shape == \(5,\), expected \(120,\)", arguments={"sample_weights": np.ones(5)}),
    Refused(r"sample_weights.shape == \(120, 2\), .*\(120, 3\)", arguments={"sample_weights": np.ones((N, 2))}),
    Refused(r"sample_weights.shape == \(3, 120\), .*\(120, 3\)", arguments={"sample_weights": np.ones((3, N))}),
    Refused("(?i)3 ?-?d|dim", arguments={"sample_weights": np.ones((N, 3, 1))}),
    Refused("sample_weights contains NaN", arguments={"sample_weights": with_value(np.ones(N), np.nan)}),
    Refused("sample_weights contains NaN", arguments={"sample_weights": with_value(np.ones((N, 3)), np.nan)}),
    Refused("sample_weights are zero for every sample", arguments={"sample_weights": np.zeros(N)}),
    Refused("^model 1: .*sample_weights.* zero", arguments={"sample_weights": np.ones((N, 3)) * [1, 0, 1]}),
    Refused("^model 1: .*sample_weights.* zero", {"batch_size": 1}, {"sample_weights": np.ones((N, 3)) * [1, 0, 1]}),
]


@pytest.mark.parametrize("fitted_before", [False, True])
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_bad_input_changes_no_estimator(case, fitted_before):
    y = Y_GOOD if case.kind == "several" else np.abs(X_GOOD[:, 0])
    models = [KINDS[case.kind](**GOOD, n_jobs=1) for _ in range(3)]
    if fitted_before:
        fit_many(models, X_GOOD, Y_GOOD)
    models[1].set_params(**case.params)
    before, attributes = [bits(model) for model in models], [dict(vars(model)) for model in models]
    with pytest.raises(case.error, match=case.message):
        fit_many(models, **{"X": X_GOOD, "y": y, **case.arguments})
    assert [bits(model) for model in models] == before
    for model, had in zip(models, attributes, strict=True):
        assert vars(model).keys() == had.keys()
        assert all(vars(model)[name] is value for name, value in had.items())


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("rule", [name for name, *_ in strategies.RULES])
def test_any_neighbours_notice_x_that_is_not_finite(rule, storage):
    """In a row whose weight is zero too, and whatever becomes of the weights."""
    for loss in losses.names():
        kind = SGDClassifier if loss in SGDClassifier.loss_functions else SGDRegressor
        models = [kind(**{**GOOD, "loss": loss, "optimizer": o, "max_iter": 1}) for o in ("sgd", rule.lower())]
        weights = np.ones((N, 2))
        weights[50] = 0
        with pytest.raises(ValueError, match="Input X contains NaN"):
            fit_many(models, storage(with_value(X_GOOD, np.nan)), Y_GOOD + 1, weights)
        assert not any(hasattr(model, "coef_") for model in models)


@pytest.mark.parametrize(
    "stranger", [None, "hinge", SGDClassifier, SGDOneClassSVM(), sklearn.linear_model.SGDClassifier()], ids=repr
)
def test_what_is_no_linear_estimator_is_named(stranger):
    good = SGDClassifier(**GOOD)
    with pytest.raises(TypeError, match="^model 1 is .*Only SGDClassifier and SGDRegressor"):
        fit_many([good, stranger], X_GOOD, Y_GOOD)
    assert not hasattr(good, "coef_")


def test_lists_that_make_no_sense():
    model, other = SGDClassifier(**GOOD), SGDClassifier(**GOOD)
    with pytest.raises(ValueError, match="no estimators.*empty"):
        fit_many([], X_GOOD, Y_GOOD)
    with pytest.raises(TypeError, match="(?s)^model 2 is SGDRegressor.*model 0 is SGDClassifier"):
        fit_many([model, other, SGDRegressor(**GOOD)], X_GOOD, Y_GOOD)
    with pytest.raises(TypeError, match="(?s)^model 1 is SGDClassifier.*model 0 is SGDRegressor"):
        fit_many([SGDRegressor(**GOOD), model], X_GOOD, Y_GOOD)
    with pytest.raises(ValueError, match=r"twice.*sklearn\.base\.clone"):
        fit_many([model, other, model], X_GOOD, Y_GOOD)
    with pytest.raises(TypeError):
        fit_many(model, X_GOOD, Y_GOOD)
    assert not hasattr(model, "coef_")
    assert not hasattr(other, "coef_")


def test_a_warm_start_from_other_data_is_refused_by_name():
    models = fit_many([SGDClassifier(**GOOD, warm_start=k == 1) for k in range(3)], X_GOOD, Y_GOOD)
    before = [bits(model) for model in models]
    with pytest.raises(ValueError, match=r"^model 1: .*coef_init.*\(3, 11\).*\(3, 5\)"):
        fit_many(models, X_GOOD[:, :5], Y_GOOD)
    assert [bits(model) for model in models] == before


# ---- Ctrl-C ----

INTERRUPT = """
import json, os, signal, sys, threading, time, warnings
import numpy as np
from fusedgrad import SGDClassifier, fit_many

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 50))
y = np.digitize(X @ rng.normal(size=50), [-5, 5])
params = dict(max_iter=3, tol=None, random_state=0, learning_rate="constant", eta0=1e-4, batch_size=int(sys.argv[1]))
models = [SGDClassifier(alpha=alpha, **params) for alpha in (1e-4, 1e-3, 1e-2)]
models[1].fit(X, y)
before = [dict(vars(model)) for model in models]
coef = models[1].coef_.copy()
for model, had in zip(models, before):
    model.max_iter = had["max_iter"] = 10**8

def send():
    global sent
    time.sleep(0.5)
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=send).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        fit_many(models, X, y)
        outcome = "returned"
    except KeyboardInterrupt:
        outcome = "interrupted"
print(json.dumps({
    "outcome": outcome,
    "took": time.monotonic() - sent,
    "warnings": [str(w.message) for w in caught],
    "unchanged": all(
        vars(model).keys() == had.keys() and all(vars(model)[name] is had[name] for name in had)
        for model, had in zip(models, before)
    ) and np.array_equal(models[1].coef_, coef),
}))
"""


@pytest.mark.parametrize("batch_size", [1024, 1])
def test_ctrl_c_ends_the_call_and_changes_no_estimator(batch_size):
    result = child.python(INTERRUPT, str(batch_size))
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report.pop("took") < 1.0  # it is about 0.05; the rest is for busy machines
    assert report == {"outcome": "interrupted", "warnings": [], "unchanged": True}


# ---- what it says ----


def test_lines_of_verbose_name_the_model(capsys):
    X, y = data()
    fit_many([SGDClassifier(**{**GOOD, "max_iter": epochs}, verbose=1) for epochs in (2, 1, 3)], X, y)
    lines = capsys.readouterr().out.splitlines()
    told = [line.split("  objective")[0].split() for line in lines]
    assert [(words[0], words[1], words[-1]) for words in told] == [
        ("model", f"{k}:", str(epoch)) for epoch, left in ((1, (0, 1, 2)), (2, (0, 2)), (3, (2,))) for k in left
    ]


def test_only_those_models_speak_that_are_asked_to(capsys):
    X, y = data()
    fit_many([SGDClassifier(**GOOD, verbose=k == 1) for k in range(3)], X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == GOOD["max_iter"]
    assert all(line.startswith("model 1: Epoch") for line in lines)
    fit_many([SGDClassifier(**GOOD) for k in range(3)], X, y)
    assert capsys.readouterr().out == ""


def test_names_and_verbose_of_whoever_asks_for_the_models(capsys):
    X, y = data()
    names = ["alpha=0.1, fold 2", "alpha=0.2, fold 2"]
    models = [SGDClassifier(**GOOD, verbose=k) for k in (0, 1)]
    Together(models, X, y, names=names, verbose=0).run()
    assert capsys.readouterr().out == ""
    Together(models, X, y, names=names, verbose=1).run(1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{name}: Epoch") for line, name in zip(lines, names, strict=True)] == [True, True]
    with pytest.raises(ValueError, match=r"^alpha=0.2, fold 2: .*'alpha'"):
        Together([models[0], SGDClassifier(**GOOD, alpha=-1)], X, y, names=names)


def test_memory_counts_every_model():
    X, y = data("several")
    few, many = (
        Together([SGDClassifier(**GOOD, optimizer="adam") for _ in range(count)], X, y).memory for count in (2, 6)
    )
    assert few.keys() == {"weights", "optimizer state", "batch"}
    assert all(isinstance(size, Integral) and size > 0 for size in few.values())
    assert many["weights"] == 3 * few["weights"] >= 6 * 3 * 12 * 8
    assert many["optimizer state"] == 3 * few["optimizer state"] >= 2 * many["weights"]
    assert few["batch"] < many["batch"] < 3 * few["batch"]


# ---- every attribute ----


def attributes(model):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


SETS = {
    "losses": [{"loss": loss, "batch_size": 16} for loss in ("squared_error", "huber", "absolute_error")],
    "sizes": [{"batch_size": size} for size in (1, 16, 1, "full", 16)],
    "rules": [{"batch_size": 16, "optimizer": rule, "average": rule != "asgd"} for rule in ("sgd", "adam", "asgd")],
    "stopping": [
        {"batch_size": size, "early_stopping": True, "restore_best_weights": size == 16, "tol": 1e-3, "max_iter": 9}
        for size in (1, 16, 16)
    ],
    "penalties": [{"batch_size": 16, "penalty": penalty, "alpha": 0.1} for penalty in ("l1", "elasticnet", None)],
}


@pytest.mark.parametrize("weights", ["no", "the same", "of each"])
@pytest.mark.parametrize("container", ["array", "frame", "csr"])
@pytest.mark.parametrize("outputs", [1, 2, 3, 5])
@pytest.mark.parametrize("params", SETS)
def test_every_attribute_is_that_of_a_fit(params, outputs, container, weights):
    pandas = pytest.importorskip("pandas")
    X = np.random.default_rng(1).normal(size=(70, 5))
    y = X @ np.random.default_rng(2).normal(size=(5, outputs)) + 1
    params = [{"random_state": 0, "max_iter": 3, "tol": None, "n_jobs": 1, **each} for each in SETS[params]]
    if outputs == 1:
        y = y[:, 0]
    else:
        params = [each for each in params if each["batch_size"] != 1]
    weight = {"no": None, "the same": np.abs(X[:, 0]), "of each": np.abs(X[:, np.arange(len(params)) % 5])}[weights]
    X = {"array": np.asarray, "frame": lambda X: pandas.DataFrame(X, columns=list("abcde")), "csr": sp.csr_array}[
        container
    ](X)
    together = [SGDRegressor(**each, warm_start=k % 2 == 0) for k, each in enumerate(params)]
    for _ in range(2):  # the second time some start warm
        alone = copy.deepcopy(together)
        fit_many(together, X, y, weight)
        for k, model in enumerate(alone):
            model.fit(X, y, sample_weight=weight if weight is None or weight.ndim == 1 else weight[:, k])
        assert [attributes(model) for model in together] == [attributes(model) for model in alone]


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_every_attribute_is_that_of_a_fit_of_classifiers(classes, frame):
    pandas = pytest.importorskip("pandas")
    X = np.random.default_rng(1).normal(size=(90, 5))
    y = np.array(list("abcd"))[(X @ np.random.default_rng(2).normal(size=(5, classes))).argmax(axis=1)]
    X = pandas.DataFrame(X, columns=list("vwxyz")) if frame else X
    weight = np.random.default_rng(3).uniform(size=90)
    shared = {"random_state": 0, "max_iter": 3, "tol": None, "n_jobs": 1}
    params = [
        {"batch_size": 1},
        {"batch_size": 16, "class_weight": "balanced"},
        {"batch_size": 16, "loss": "log_loss", "multi_class": "multinomial"},
        {"batch_size": 16, "loss": "modified_huber", "early_stopping": True},
        {"batch_size": 1, "loss": "log_loss", "class_weight": "balanced", "average": True},
    ]
    together = [SGDClassifier(**shared, **each) for each in params]
    alone = [clone(model).fit(X, y, sample_weight=weight) for model in together]
    fit_many(together, X, y, weight)
    assert [attributes(model) for model in together] == [attributes(model) for model in alone]


@pytest.mark.parametrize("batch_sizes", [(1, 16), (16, 16), (16, 1)])
def test_a_column_of_targets_is_one_target_for_every_model(batch_sizes):
    X, y = data("regression")
    models = [SGDRegressor(batch_size=size, max_iter=2, tol=None, random_state=0) for size in batch_sizes]
    alone = [clone(model).fit(X, y) for model in models]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        fit_many(models, X, y[:, None])
    assert [attributes(model) for model in models] == [attributes(model) for model in alone]


def test_a_model_whose_held_out_rows_weigh_nothing_is_named():
    X, y = data()
    models = [SGDClassifier(**{**GOOD, "early_stopping": True}) for _ in range(2)]
    held = models[0]._held_out(y, None)
    weights = np.ones((len(X), 2))
    weights[held, 1] = 0  # the first model's are fine, and the split is found once for both
    before = [attributes(model) for model in models]
    with pytest.raises(ValueError, match="^model 1: The sample weights for validation set are all zero"):
        fit_many(models, X, y, weights)
    weights[:, 1] = held
    with pytest.raises(ValueError, match="^model 1: The sample weights for training set are all zero"):
        fit_many(models, X, y, weights)
    assert [attributes(model) for model in models] == before
