"""Validation, stopping, rates, weights, callbacks, threads and searches with layers of images and sequences."""

import pickle

import numpy as np
import pytest
from fusedgrad import optimizers, schedules
from fusedgrad.layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv2D,
    Dropout,
    GlobalAvgPool2D,
    Masking,
    Residual,
)
from scipy.signal import correlate2d
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .stacks import (
    IMAGES,
    PADDED,
    STACKS,
    N,
    Y,
    assert_same_bits,
    assert_same_weights,
    both,
    each,
    fitted,
    make,
    refuses,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rest(stack):
    """Without dropout, whose noise belongs to the fit."""
    made, X = STACKS[stack]
    return [layer for layer in made if not isinstance(layer, Dropout)], X


@both
@each
def test_validation_rows_are_scored_after_every_epoch(name, stack):
    made, X = STACKS[stack]
    y = Y[name]
    model = make(name, made).fit(X, y, X_val=X[:11], y_val=y[:11])
    prefixes = [make(name, made, max_epochs=k).fit(X, y) for k in (1, 2, 3)]
    np.testing.assert_allclose(model.validation_scores_, [p.score(X[:11], y[:11]) for p in prefixes], rtol=1e-12)
    assert_same_weights(model, prefixes[-1])


@both
@each
def test_early_stopping_keeps_the_best_weights(name, stack):
    made, X = STACKS[stack]
    y = Y[name]
    params = {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-4, "max_epochs": 200, "learning_rate": 0.03}
    model = make(name, made, restore_best_weights=True, **params).fit(X, y, X_val=X[20:], y_val=y[20:])
    assert model.stop_reason_ == "early_stopping"
    assert model.score(X[20:], y[20:]) == pytest.approx(max(model.validation_scores_), rel=1e-12)
    split = make(name, made, validation_fraction=0.3, **params).fit(X, y)
    assert split.stop_reason_ == "early_stopping"
    assert len(split.validation_scores_) == split.n_iter_ < 200


@both
@each
def test_schedules_give_the_rates(name, stack):
    made, X = STACKS[stack]
    constant = make(name, made, learning_rate=0.01).fit(X, Y[name])
    assert_same_bits(make(name, made, learning_rate=lambda step: 0.01).fit(X, Y[name]), constant)
    for rate in (schedules.Cosine(0.05, 12), schedules.ReduceOnPlateau(0.01), "adaptive"):
        model = make(name, made, learning_rate=rate).fit(X, Y[name])
        assert model.n_iter_ == 3
        assert model.loss_curve_ != constant.loss_curve_ or not isinstance(rate, (schedules.Cosine, str))


@each
def test_class_weights_are_weights_of_rows(stack):
    made, X = STACKS[stack]
    y, weights = Y["NeuralClassifier"], {0: 2.0, 1: 0.5, 2: 1.0}
    model = make("NeuralClassifier", made, class_weight=weights).fit(X, y)
    expected = make("NeuralClassifier", made).fit(X, y, sample_weight=np.array([weights[c] for c in y]))
    assert_same_bits(model, expected)
    assert model.loss_curve_ != fitted("NeuralClassifier", stack).loss_curve_


@both
@each
def test_a_weight_of_zero_takes_a_row_out_of_its_batch(name, stack):
    made, X = rest(stack)
    made = [layer for layer in made if not isinstance(layer, BatchNorm)]  # which counts every row
    kept = np.arange(N) % 3 != 1
    weighted = make(name, made, batch_size="full").fit(X, Y[name], sample_weight=kept.astype(float))
    y, params = Y[name][kept], {"batch_size": "full"}
    if "Classifier" in name:  # no row of class 1 is left, but it is known
        expected = make(name, made, **params)
        for _ in range(3):
            expected.partial_fit(X[kept], y, classes=[0, 1, 2])
    else:
        expected = make(name, made, **params).fit(X[kept], y)
    for one, other in zip(weighted.weights_, expected.weights_, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def state_without(model, hidden):
    return {key: pickle.dumps(value) for key, value in vars(model).items() if key not in hidden}


@both
@each
def test_callbacks_hear_of_every_epoch_and_change_nothing(name, stack):
    pytest.importorskip("sklearn.callback")
    from ..test_callbacks import Recorder

    made, X = STACKS[stack]
    listener = Recorder()
    told = make(name, made).set_callbacks(listener).fit(X, Y[name])
    assert_same_bits(told, fitted(name, stack))
    assert [event[:2] for event in listener.events].count(("end", "epoch")) == 3
    for k, shown in enumerate(listener.fitted[:3], 1):
        expected = make(name, made, max_epochs=k).fit(X, Y[name])
        np.testing.assert_array_equal(shown.predict(X), expected.predict(X))
    stopped = make(name, made).set_callbacks(Recorder(stop_at=2)).fit(X, Y[name])
    assert_same_bits(stopped, make(name, made, max_epochs=2).fit(X, Y[name]))
    failing = fitted(name, stack).set_callbacks(Recorder(fail_at=("end", 2), error=RuntimeError("a callback's own")))
    hidden = ("_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown")
    before = state_without(failing, hidden)
    with pytest.raises(RuntimeError, match="a callback's own"):
        failing.fit(X[::-1], Y[name][::-1])
    assert state_without(failing, hidden) == before


@pytest.mark.parametrize("params", [{"learning_rate": 1e308}, {"learning_rate": 1e308, "optimizer": "sgd"}])
@both
@each
def test_divergence_leaves_no_trace(name, stack, params):
    X = STACKS[stack][1]
    with np.errstate(all="ignore"):
        refuses(make(name, STACKS[stack][0], **params), lambda model: model.fit(X, Y[name]), "non-finite")
        refuses(fitted(name, stack).set_params(**params), lambda model: model.fit(X, Y[name]), "non-finite")


@pytest.mark.parametrize("optimizer", optimizers.names())
@each
def test_every_optimizer_trains(stack, optimizer):
    made, X = STACKS[stack]
    model = make("NeuralClassifier", made, optimizer=optimizer, clip_norm=1.0, alpha=1e-3)
    model.fit(X, Y["NeuralClassifier"])
    fresh = make("NeuralClassifier", made, learning_rate=1e-300, max_epochs=1).fit(X, Y["NeuralClassifier"])
    moved = [np.abs(a - b).max() for a, b in zip(model.weights_, fresh.weights_, strict=True)]
    assert np.isfinite(moved).all()
    assert max(moved) > 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each
def test_n_jobs_does_not_change_a_bit(stack, dtype):
    made, X = STACKS[stack]
    X = np.concatenate([X] * 9).astype(dtype)
    y = np.arange(len(X)) % 3
    expected = make("NeuralClassifier", made, batch_size=100, n_jobs=1).fit(X, y)
    for n_jobs in (2, 3):
        model = make("NeuralClassifier", made, batch_size=100, n_jobs=n_jobs).fit(X, y)
        assert_same_bits(model, expected)
        np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@both
@each
def test_predictions_of_a_row_do_not_depend_on_the_others(name, stack):
    X = STACKS[stack][1]
    model = fitted(name, stack)
    predict = model.predict_proba if "Classifier" in name else model.predict
    single = np.concatenate([predict(X[k : k + 1]) for k in range(N)])
    np.testing.assert_allclose(single, predict(X), rtol=0, atol=1e-12)


# ---- in scikit-learn's company ----


@both
def test_pipelines_and_grid_search(name):
    made, X = STACKS["images"]
    flat = X.reshape(N, -1)
    step = name.lower()
    pipeline = make_pipeline(StandardScaler(), make(name, made, input_shape=X.shape[1:]))
    scaled = StandardScaler().fit_transform(flat)
    expected = make(name, made).fit(scaled.reshape(X.shape), Y[name])
    assert_same_bits(pipeline.fit(flat, Y[name])[-1], expected)
    np.testing.assert_array_equal(pipeline.predict(flat), expected.predict(scaled.reshape(X.shape)))
    recurrent = [LSTM(3)]
    grid = [
        {f"{step}__layers": [made], f"{step}__batch_size": [8, 16]},
        {f"{step}__layers": [recurrent, [Masking(), GRU(2)]], f"{step}__input_shape": [(6, 10), (12, 5)]},
        {f"{step}__layers": [made], f"{step}__input_shape": [(5, 6, 2), (10, 6, 1)]},
    ]
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(flat, Y[name])
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    again = clone(search).fit(flat, Y[name])
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).predict(flat), search.predict(flat))


@both
def test_features_for_the_next_step(name):
    made, X = STACKS["codes"]
    features = make(name, made).fit_transform(X, Y[name])
    np.testing.assert_array_equal(features, fitted(name, "codes").transform(X, -2))
    pipeline = make_pipeline(make(name, made), StandardScaler()).fit(X, Y[name])
    assert pipeline.transform(X).shape == (N, 5)


# ---- blocks ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_block_of_convolutions_adds_its_input(dtype):
    X = IMAGES.astype(dtype)
    block = Residual([Conv2D(2, 3, padding="same", bias_init=0.5)], label="block")
    model = make("NeuralRegressor", [block, GlobalAvgPool2D()]).fit(X, Y["NeuralRegressor"])
    kernel, bias = model.weights_[0].reshape(3, 3, 2, 2), model.weights_[1][0]
    expected = X.astype(np.float64)
    for row, image in zip(expected, X, strict=True):
        for f in range(2):
            row[:, :, f] += bias[f]
            row[:, :, f] += sum(correlate2d(image[:, :, c], kernel[:, :, c, f], mode="same") for c in range(2))
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(model.transform(X, "block"), expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(model.transform(X, 1), expected.mean(axis=(1, 2)), rtol=0, atol=tolerance)


@both
def test_blocks_can_hold_recurrent_layers_and_pass_padding_on(name):
    block = Residual([GRU(3, return_sequences=True)])
    model = make(name, [Masking(), block, LSTM(2)]).fit(PADDED, Y[name])
    longer = np.concatenate([PADDED, np.zeros((N, 4, 3))], axis=1)
    again = make(name, [Masking(), block, LSTM(2)]).fit(longer, Y[name])
    for one, other in zip(again.weights_, model.weights_, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
