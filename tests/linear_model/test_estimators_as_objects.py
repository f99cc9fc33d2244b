"""Estimators as objects: copies, metadata routing, random states, what they print."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.linear_model
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .rows import KINDS, D, N, assert_same, data, estimator, every_kind, scikit_learn_1_9, sparse_data, target

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


# ---- estimators as objects ----


@every_kind
@pytest.mark.parametrize("average", [False, 10])
def test_pickle_and_deepcopy_continue_the_same(kind, average):
    X, margin = data()
    y = target(kind, margin)
    model = estimator(kind, average=average).fit(X, y)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same(twin, model)
        assert_same(twin.partial_fit(X, y), copy.deepcopy(model).partial_fit(X, y))
        assert twin.loss_curve_[:-1] == model.loss_curve_  # and the original's history did not grow


@every_kind
def test_clone_has_the_parameters_and_nothing_else(kind):
    X, margin = data()
    model = estimator(kind, average=3, intercept_decay=0.5).fit(X, target(kind, margin))
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "coef_")


@scikit_learn_1_9
@every_kind
def test_constructor_is_scikit_learns_and_then_keyword_only(kind):
    theirs = inspect.signature(getattr(sklearn.linear_model, kind.__name__)).parameters
    ours = inspect.signature(kind).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default, name
        assert ours[name].kind == parameter.kind, name
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in set(ours) - set(theirs))


@every_kind
def test_warm_start_is_coef_init(kind):
    X, margin = data()
    y = target(kind, margin)
    first = estimator(kind).fit(X, y)
    name = "offset" if kind is SGDOneClassSVM else "intercept"
    start = {"coef_init": first.coef_.copy(), f"{name}_init": getattr(first, f"{name}_").copy()}
    explicit = estimator(kind).fit(X, y, **start)
    warm = estimator(kind, warm_start=True).fit(X, y).fit(X, y)
    assert_same(warm, explicit)
    assert warm.t_ == explicit.t_ == first.t_
    assert np.abs(explicit.coef_ - first.coef_).max() > 1e-6
    # what is given wins over what was learnt
    zero = {key: np.zeros_like(value) for key, value in start.items()}
    assert_same(estimator(kind, warm_start=True).fit(X, y).fit(X, y, **zero), first)


@every_kind
def test_one_sample_weight_for_all(kind):
    X, margin = data()
    y = target(kind, margin)
    assert_same(estimator(kind).fit(X, y, sample_weight=0.5), estimator(kind).fit(X, y, sample_weight=[0.5] * N))


def test_shapes_of_coef_init():
    X, margin = data()
    start = np.arange(D) / D
    expected = estimator(SGDClassifier).fit(X, margin > 0, coef_init=start, intercept_init=[0.5])
    assert_same(estimator(SGDClassifier).fit(X, margin > 0, coef_init=start[None], intercept_init=0.5), expected)
    assert_same(estimator(SGDClassifier).fit(X, margin > 0, coef_init=start.tolist(), intercept_init=[0.5]), expected)
    sparse = sp.csr_matrix(start[None])
    assert_same(estimator(SGDClassifier).fit(X, margin > 0, coef_init=sparse, intercept_init=0.5), expected)


@every_kind
@pytest.mark.parametrize("average", [False, True, 20, 75, 1000])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_partial_fit_goes_on_as_if_it_had_not_stopped(kind, average, storage):
    # in order, with a schedule that follows the step: three epochs at once or one by one
    X, margin = data()
    y = target(kind, margin)
    params = {"shuffle": False, "average": average, "penalty": "l2", "alpha": 0.01}
    if kind is SGDOneClassSVM:
        del params["penalty"], params["alpha"]
    at_once = estimator(kind, **params).fit(storage(X), y)
    model = estimator(kind, **params)
    for _ in range(3):
        model.partial_fit(storage(X), y, **({"classes": [0, 1, 2]} if kind is SGDClassifier else {}))
    assert_same(model, at_once, rtol=1e-10)
    assert model.t_ == at_once.t_
    in_pieces = estimator(kind, **params)
    for _ in range(3):
        for rows in (slice(0, 17), slice(17, 50)):
            piece = storage(X[rows]), None if y is None else y[rows]
            in_pieces.partial_fit(*piece, **({"classes": [0, 1, 2]} if kind is SGDClassifier else {}))
    assert_same(in_pieces, at_once, rtol=1e-10)


@scikit_learn_1_9
def test_the_intercept_of_an_averaged_classifier_goes_on():
    # scikit-learn's two-class partial_fit(average=True) begins each call with the intercept of the first
    X, margin = data()
    y = margin + 0.5 > 0
    params = {"average": True, "random_state": 0, "learning_rate": "constant", "eta0": 0.1}
    theirs = sklearn.linear_model.SGDClassifier(**params)
    ours = SGDClassifier(**params)
    for _ in range(3):
        theirs.partial_fit(X, y, classes=[False, True])
        ours.partial_fit(X, y, classes=[False, True])
    assert theirs._standard_intercept == 0
    assert ours._standard_intercept > 0.01


@pytest.mark.parametrize("kind", [SGDClassifier, SGDRegressor])
@pytest.mark.parametrize("switch_on", [True, 60])
def test_an_average_that_begins_later_is_one_of_later_weights(kind, switch_on):
    X, margin = data()
    y = target(kind, margin)
    start = np.ones((3, D) if kind is SGDClassifier else D)
    model = estimator(kind, learning_rate="constant", eta0=1e-9).fit(X, y, coef_init=start)
    model.set_params(average=switch_on).partial_fit(X, y)
    # the weights hardly move, so any mean of them is 1
    np.testing.assert_allclose(model.coef_, 1, rtol=1e-4)


@every_kind
@pytest.mark.parametrize("average", [False, True])
def test_sparsify_and_densify(kind, average):
    X, margin = data()
    y = target(kind, margin)
    params = {"average": average} | ({} if kind is SGDOneClassSVM else {"penalty": "l1", "alpha": 0.05})
    dense = estimator(kind, **params).fit(X, y)
    model = copy.deepcopy(dense)
    assert model.sparsify() is model
    assert sp.issparse(model.coef_)
    np.testing.assert_allclose(model.predict(X), dense.predict(X))
    np.testing.assert_allclose(model.predict(sp.csr_array(X)), dense.predict(X))
    assert_same(copy.deepcopy(model).densify(), dense)
    assert pickle.loads(pickle.dumps(model)).sparsify().coef_.nnz == np.count_nonzero(dense.coef_)
    # training goes on from sparse weights too
    assert_same(model.partial_fit(X, y), copy.deepcopy(dense).partial_fit(X, y))
    assert isinstance(model.coef_, np.ndarray)
    model.set_params(warm_start=True)
    assert_same(copy.deepcopy(model).sparsify().fit(X, y), model.fit(X, y))


def test_partial_fit_keeps_the_array():
    # scikit-learn's promise to those who hold a view of coef_, where there is no average
    X, margin = data()
    model = estimator(SGDRegressor).fit(X, margin)
    coef = model.coef_
    model.partial_fit(X, margin)
    assert model.coef_ is coef


# ---- metadata routing ----


def test_sample_weight_is_routed_and_validation_rows_are_not():
    X, margin = data()
    y, weight = margin > 0, np.where(np.arange(N) < 10, 5.0, 0.5)
    plain = estimator(SGDClassifier).fit(StandardScaler().fit_transform(X), y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        asks = estimator(SGDClassifier).set_fit_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asks)
        pipe.fit(X, y, sample_weight=weight)
        assert_same(pipe[-1], plain)
        asks.set_score_request(sample_weight=True)
        search = GridSearchCV(asks, {"alpha": [1e-3, 1e-2]}, cv=3).fit(X, y, sample_weight=weight)
        assert search.best_score_ > 0.5
        with pytest.raises((UnsetMetadataPassedError, TypeError), match="X_val"):
            pipe.fit(X, y, sample_weight=weight, X_val=X, y_val=y)
        asks.set_fit_request(sample_weight=True, X_val=True, y_val=True)
        watched = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asks)
        watched.fit(X, y, sample_weight=weight, X_val=X, y_val=y)
        assert len(watched[-1].validation_scores_) == 3


@every_kind
def test_grid_search_and_pipelines(kind):
    X, margin = data(90)
    y = target(kind, margin)
    grid = {"average": [False, True], "eta0": [0.01, 0.1]}
    scoring = (lambda model, X, y=None: 0.0) if kind is SGDOneClassSVM else None
    search = GridSearchCV(estimator(kind), grid, cv=2, scoring=scoring).fit(X, y)
    best = clone(search.best_estimator_).fit(X, y)
    assert_same(search.best_estimator_, best)


# ---- random states ----


@scikit_learn_1_9
def test_numpys_global_generator_is_left_alone():
    # scikit-learn's one-class SVM draws from it even with a random_state
    X, margin = data()
    for kind in KINDS:
        np.random.seed(5)  # noqa: NPY002
        before = pickle.dumps(np.random.get_state())  # noqa: NPY002
        model = estimator(kind).fit(X, target(kind, margin))
        model.partial_fit(X, target(kind, margin))
        assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002
    sklearn.linear_model.SGDOneClassSVM(random_state=0).fit(X)
    assert pickle.dumps(np.random.get_state()) != before  # noqa: NPY002


@every_kind
def test_random_state(kind):
    X, margin = data()
    y = target(kind, margin)
    assert_same(estimator(kind, random_state=3).fit(X, y), estimator(kind, random_state=3).fit(X, y))
    other = estimator(kind, random_state=4).fit(X, y)
    assert np.abs(estimator(kind, random_state=3).fit(X, y).coef_ - other.coef_).max() > 1e-9
    models = []
    for _ in range(2):
        np.random.seed(5)  # noqa: NPY002
        models.append(estimator(kind, random_state=None).fit(X, y))
    assert_same(*models)  # None: numpy's global generator


# ---- verbose ----


@scikit_learn_1_9
@every_kind
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_verbose_prints_what_scikit_learn_prints(kind, storage, capsys):
    X, margin = sparse_data()
    y = margin > 0 if kind is SGDClassifier else target(kind, margin)
    params = {"verbose": 1, "alpha": 0.01, "tol": None, "max_iter": 3, "random_state": 0}
    if kind is SGDOneClassSVM:
        del params["alpha"]
    model = kind(**params).fit(storage(X), y)
    ours = capsys.readouterr().out.splitlines()
    getattr(sklearn.linear_model, kind.__name__)(**params).fit(storage(X), y)
    theirs = capsys.readouterr().out.splitlines()
    assert [line for line in ours if "Epoch" in line] == [f"-- Epoch {k}" for k in (1, 2, 3)]
    numbers = [line for line in ours if line.startswith("Norm")]
    assert len(numbers) == 3
    assert f"Norm: {np.linalg.norm(model.coef_):.2f}, NNZs: {np.count_nonzero(model.coef_)}" in numbers[-1]
    assert f"Objective: {model.loss_curve_[-1]:f}" in numbers[-1]
    if storage is np.asarray:  # scikit-learn's norm of sparse data is wrong
        assert numbers == [line for line in theirs if line.startswith("Norm")]


def test_verbose_names_the_class_and_the_validation_score(capsys):
    X, margin = data()
    y = np.array(["a", "b", "c"])[target(SGDClassifier, margin)]
    estimator(SGDClassifier, verbose=1, early_stopping=True, n_jobs=1).fit(X, y)
    out = capsys.readouterr().out
    assert all(out.count(f"(class {name})") == 3 for name in "abc")
    assert out.count("Validation score: ") == 9


@every_kind
def test_silence(kind, capfd):
    X, margin = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator(kind).fit(X, target(kind, margin)).predict(X)
    assert capfd.readouterr() == ("", "")
