"""partial_fit, warm starts and copies go on; divergence and errors on the way leave no trace."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import optimizers
from fusedgrad.layers import Dense
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .small import (
    CLASSIFIERS,
    CODES,
    LABELS,
    MLPS,
    NAMES,
    REGRESSORS,
    THREE,
    N,
    X,
    Y,
    assert_same_bits,
    fitted,
    make,
    rich,
    state,
    weights_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- partial_fit ----


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "classes must be passed on the first call"),
        ({"y": THREE * 5, "classes": [0, 1, 2]}, r"`y` has classes not in `self.classes_`.*\[0 1 2\].*10"),
        ({"classes": [0, 1]}, r"`y` has classes not in `self.classes_`"),
        ({"classes": [0.0, 1.0, 2.0, np.nan]}, "classes contains NaN"),
    ],
)
def test_the_first_partial_fit(name, arguments, message):
    model = make(name)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(**{"X": X, "y": THREE, **arguments})
    assert vars(model) == before


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": THREE * 5}, r"`y` has classes not in `self.classes_`"),
        ({"y": np.array(["a", "b", "c"])[THREE]}, r"`y` has classes not in `self.classes_`"),
        ({"classes": [0, 1]}, r"`classes=\[0, 1\]` is not the same as on last call to partial_fit, was: .*0, 1, 2"),
        ({"y": LABELS}, r"y has shape \(40, 3\), but the model was made for one label a row"),
        ({"X": X[:, :2]}, "X has 2 features, but .* is expecting 3"),
        ({"X": sp.csr_array(X[:, :2])}, "X has 2 features, but .* is expecting 3"),
        ({"y": THREE[:-1]}, r"\[40, 39\]"),
        ({"sample_weight": np.ones(3)}, r"sample_weight.shape == \(3,\), expected \(40,\)"),
    ],
)
def test_later_partial_fits(name, arguments, message):
    model = fitted(name)
    before, objects = state(model), dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(**{"X": X, "y": THREE, **arguments})
    assert state(model) == before
    assert all(vars(model)[key] is value for key, value in objects.items())


@pytest.mark.parametrize("name", REGRESSORS)
def test_partial_fits_with_other_targets(name):
    model = fitted(name)
    before = state(model)
    with pytest.raises(ValueError, match="y has 2 targets a row, but the model was made for 1"):
        model.partial_fit(X, X[:, :2])
    assert state(model) == before


@pytest.mark.parametrize("name", NAMES)
def test_warm_starts_with_other_data(name):
    model = fitted(name, warm_start=True)
    before = state(model)
    with pytest.raises(ValueError, match="X has 2 features, but .* is expecting 3"):
        model.fit(X[:, :2], Y[name])
    with pytest.raises(ValueError, match="same classes.*Previously got" if "Cl" in name else "y has 2 targets a row"):
        model.fit(X, CODES if "Cl" in name else X[:, :2])
    assert state(model) == before


# ---- divergence, and errors on the way ----


def explode(step):
    return 1e300 if step >= 4 else 1e-3


def explode_late(step):
    return 1e300 if step >= 10 else 1e-3


def nothing(step):
    return float("nan") if step >= 5 else 1e-3


def fall_over(step):
    if step >= 5:
        raise RuntimeError("a schedule's own")
    return 1e-3


PLAIN = {"rule": optimizers.SGD()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("params", [{"rate": 1e200}, {"rate": explode}], ids=["rate", "schedule"])
def test_divergence_is_an_error_that_leaves_no_trace(name, params):
    message = r"non-finite parameter weights.*learning rate was too large \(1e\+.*clip_norm"
    fresh = make(name, **PLAIN, **params)
    before = dict(vars(fresh))
    with pytest.raises(ValueError, match=message):
        fresh.fit(X, Y[name])
    assert vars(fresh) == before
    model = make(name, **PLAIN, epochs=1).fit(X, Y[name]).set_params(**make(name, **PLAIN, **params).get_params())
    before, objects = state(model), dict(vars(model))
    for method in ("fit", "partial_fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(X, Y[name])
        assert state(model) == before
        assert all(vars(model)[key] is value for key, value in objects.items())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", ["given", "split"])
def test_divergence_with_a_validation_set_keeps_the_best_weights(name, rows):
    given = {"X_val": X, "y_val": Y[name]} if rows == "given" else {}
    params = {"early_stopping": True, "restore_best_weights": True, "epochs": 30}
    model = make(name, **PLAIN, rate=explode_late, **params)
    with pytest.warns(ConvergenceWarning, match="diverged after [0-9]+ epochs: .* best validation score are kept"):
        model.fit(X, Y[name], **given)
    assert model.stop_reason_ == "diverged"
    assert 2 <= model.n_iter_ < 30
    assert len(model.loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert np.isnan(model.loss_curve_[-1])
    best = 1 + int(np.nanargmax(model.validation_scores_))
    expected = make(name, **PLAIN, rate=1e-3, **{**params, "epochs": best}).fit(X, Y[name], **given)
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rate", "kind", "message"),
    [(nothing, ValueError, "Got nan at step 5"), (fall_over, RuntimeError, "a schedule's own")],
)
def test_a_schedule_that_fails_leaves_no_trace(name, rate, kind, message):
    params = {"learning_rate": rate, "warm_start": True}
    fresh = make(name, **params)
    before = dict(vars(fresh))
    with pytest.raises(kind, match=message):
        fresh.fit(X, Y[name])
    assert vars(fresh) == before
    own = {"solver" if "MLP" in name else "optimizer": optimizers.SGD(rate)}
    model = fitted(name, **own)
    before = state(model)
    with pytest.raises(kind, match=message):
        model.fit(X, Y[name])
    assert state(model) == before


@pytest.mark.parametrize("name", MLPS)
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_lbfgs_that_overflows_is_an_error_that_leaves_no_trace(name, activation):
    model = fitted(name, solver="lbfgs", activation=activation)
    before = state(model)
    with pytest.raises(ValueError, match="large values"):
        model.fit(X * 1e300, Y[name])
    assert state(model) == before


# ---- copies ----


COPIES = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "deepcopy": copy.deepcopy, "joblib": None}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_predict_and_go_on_with_the_same_bits(name, way, dtype, tmp_path):
    rows = X.astype(dtype)
    model = rich(name, warm_start=True).fit(rows, Y[name]).partial_fit(rows, Y[name])
    if way == "joblib":
        joblib.dump(model, tmp_path / "model")
        copied = joblib.load(tmp_path / "model")
    else:
        copied = COPIES[way](model)
    np.testing.assert_array_equal(copied.predict(rows), model.predict(rows))
    np.testing.assert_array_equal(copied.transform(rows), model.transform(rows))
    assert_same_bits(copied, model)
    for method in ("partial_fit", "fit", "partial_fit"):
        getattr(model, method)(rows, Y[name])
        getattr(copied, method)(rows, Y[name])
        assert_same_bits(copied, model)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_independent(name):
    model = rich(name).fit(X, Y[name])
    copied = copy.deepcopy(model)
    before = state(copied)
    model.partial_fit(X, Y[name])
    assert state(copied) == before


@pytest.mark.parametrize("name", NAMES)
def test_training_does_not_change_arrays_that_were_handed_out(name):
    model = rich(name).fit(X, Y[name])
    arrays = weights_of(model)
    copies = [array.copy() for array in arrays]
    curve, length = model.loss_curve_, len(model.loss_curve_)
    model.partial_fit(X, Y[name])
    for array, copied in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copied)
    assert len(curve) == length
    assert any(not np.array_equal(a, b) for a, b in zip(weights_of(model), copies, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_clones_have_the_parameters_and_nothing_else(name):
    model = rich(name).fit(X, Y[name])
    copied = clone(model)
    assert vars(copied).keys() == model.get_params(deep=False).keys()
    assert repr(copied.get_params()) == repr(model.get_params())
    assert_same_bits(copied.fit(X, Y[name]), model)
    other = clone(model).set_params(random_state=1).fit(X, Y[name])
    assert not np.array_equal(weights_of(other)[0], weights_of(model)[0])


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_kept_as_they_were_given(name):
    model = make(name)
    for parameter, value in model.get_params(deep=False).items():
        assert getattr(model.set_params(**{parameter: value}), parameter) is value
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        model.set_params(colour="red")
    given = model.get_params(deep=False)
    model.fit(X, Y[name])
    assert all(model.get_params(deep=False)[key] is value for key, value in given.items())


@pytest.mark.parametrize("name", NAMES)
def test_parameters_set_after_a_fit_change_nothing_before_the_next(name):
    model = rich(name).fit(X, Y[name])
    predicted, features = model.predict(X), model.transform(X)
    summary = model.summary() if "Neural" in name else None
    if "MLP" in name:
        model.set_params(hidden_layer_sizes=(9, 9, 9), batch_norm=False, dropout=0.0, activation="tanh")
    else:
        model.set_params(layers=[Dense(9)], input_shape=(1, 3))
    for one in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(one.predict(X), predicted)
        np.testing.assert_array_equal(one.transform(X), features)
        assert summary is None or one.summary() == summary


@pytest.mark.parametrize("name", MLPS)
def test_batches_larger_than_the_data_are_told(name):
    with pytest.warns(UserWarning, match="`batch_size`.*larger than sample size. It is going to be clipped"):
        model = make(name, batch_size=N + 1).fit(X, Y[name])
    assert_same_bits(model, make(name, batch_size=N).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_after_a_fit_goes_on_with_the_optimizer(name):
    """A fit of one epoch and k calls of partial_fit are a fit of k + 1 epochs where rows are not shuffled."""
    params = {"shuffle": False, "rule": optimizers.NAdam(), "rate": 0.01}
    expected = make(name, epochs=5, **params).fit(X, Y[name])
    model = make(name, epochs=1, **params).fit(X, Y[name])
    for _ in range(4):
        model.partial_fit(X, Y[name])
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("name", NAMES)
def test_warm_starts_go_on_with_the_optimizer(name):
    params = {"shuffle": False, "rule": optimizers.NAdam(), "rate": 0.01}
    expected = make(name, epochs=6, **params).fit(X, Y[name])
    model = make(name, epochs=2, warm_start=True, **params)
    for _ in range(3):
        model.fit(X, Y[name])
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)


# ---- in scikit-learn's company ----


@pytest.mark.parametrize("name", NAMES)
def test_grid_search_and_pipelines(name):
    grid = {"alpha": [0.0, 0.1]}
    grid |= {"hidden_layer_sizes": [(3,), ()]} if "MLP" in name else {"layers": [[Dense(3, "tanh")], []]}
    search = GridSearchCV(make(name), grid, cv=2).fit(X, Y[name])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert_same_bits(search.best_estimator_, make(name, **search.best_params_).fit(X, Y[name]))
    pipeline = make_pipeline(StandardScaler(), make(name)).fit(X, Y[name])
    alone = make(name).fit(StandardScaler().fit_transform(X), Y[name])
    np.testing.assert_array_equal(pipeline.predict(X), alone.predict(StandardScaler().fit_transform(X)))


@pytest.mark.parametrize("name", NAMES)
def test_features_of_a_pipeline(name):
    end = LogisticRegression() if "Classifier" in name else Ridge()
    pipeline = make_pipeline(make(name), end).fit(X, Y[name])
    features = make(name).fit(X, Y[name]).transform(X)
    assert features.shape == (N, 6)
    np.testing.assert_allclose(pipeline.predict(X), clone(end).fit(features, Y[name]).predict(features))


@pytest.mark.parametrize("name", NAMES)
def test_names_of_columns(name):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = make(name, early_stopping=True).fit(frame, Y[name], X_val=frame, y_val=Y[name])
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_same_bits(model, make(name, early_stopping=True).fit(X, Y[name], X_val=X, y_val=Y[name]))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c"]])
