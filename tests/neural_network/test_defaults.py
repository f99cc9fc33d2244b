"""Networks with nothing set: right on raw data, in any units, and without a warning."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import optimizers, schedules
from fusedgrad.layers import Conv2D, Dense, Embedding, Flatten, Masking, SimpleRNN
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor, _defaults
from sklearn import datasets
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .small import CODES, LABELS, SCORE, THREE, X

AUTO = {"random_state": 0, "learning_rate": "auto"}
REGRESSORS = {
    "Neural": NeuralRegressor(random_state=0),
    "MLP": MLPRegressor(hidden_layer_sizes=(10,), max_iter=60, **AUTO),
}
CLASSIFIERS = {"Neural": NeuralClassifier(random_state=0), "MLP": MLPClassifier(max_iter=60, **AUTO)}
FAMILIES = pytest.mark.parametrize("family", ["Neural", "MLP"])


@pytest.fixture(autouse=True)
def silence():
    """No fit here may warn, unless a test expects it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def fresh(family, y=THREE):
    """A copy of an estimator with nothing set."""
    return pickle.loads(pickle.dumps((REGRESSORS if y is SCORE else CLASSIFIERS)[family]))


def same(a, b):
    return all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))


# ---- nothing set ----


@FAMILIES
@pytest.mark.parametrize("load", [datasets.load_breast_cancer, datasets.load_wine, datasets.load_digits])
def test_raw_rows_are_classified_as_well_as_a_scaled_linear_model_does(family, load):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y)
    wrong = [round(len(y_test) * (1 - m.score(X_test, y_test))) for m in (fresh(family).fit(X, y), linear)]
    assert wrong[0] <= wrong[1] + 3 * np.sqrt(max(1, wrong[1]))  # within the noise of so many test rows


@FAMILIES
@pytest.mark.parametrize("unit", [1e-5, 1.0, 1e5])
def test_raw_rows_and_targets_are_regressed_as_well_as_a_scaled_linear_model_does(family, unit):
    X, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    X, X_test, y, y_test = train_test_split(X, unit * y, random_state=0)
    assert fresh(family, SCORE).fit(X, y).score(X_test, y_test) > Ridge().fit(X, y).score(X_test, y_test) - 0.1


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_learns_with_nothing_else_set(name):
    assert name in _defaults._PEAKS
    X, y = datasets.load_digits(return_X_y=True)
    net = NeuralClassifier(optimizer=name, random_state=0).fit(X[:1000], y[:1000])
    assert net.score(X[1000:], y[1000:]) > 0.9
    x = np.linspace(-3, 3, 600)[:, None]
    assert (
        NeuralRegressor(optimizer=name, random_state=0).fit(x, 7 * np.sin(x[:, 0])).score(x, 7 * np.sin(x[:, 0])) > 0.9
    )


def test_what_auto_stands_for():
    X, y = datasets.load_wine(return_X_y=True)
    net = NeuralClassifier(random_state=0).fit(X, y)
    steps = -(-len(X) // 16) * net.n_iter_
    same_net = NeuralClassifier(
        [Dense(32, "relu")],
        optimizer=optimizers.Adam(schedules.OneCycle(5e-3, steps)),
        batch_size=16,
        max_epochs=100,
        alpha=5 / len(X),
        tol=None,
        random_state=0,
    ).fit(X, y)
    assert net.n_iter_ == 100
    assert same(net.weights_, same_net.weights_)
    assert net.stop_reason_ == "max_iter"


def test_images_and_several_targets_need_no_layers_either():
    X, y = datasets.load_digits(return_X_y=True)
    net = NeuralClassifier(random_state=0).fit(X[:1000].reshape(-1, 8, 8, 1), y[:1000])
    assert net.score(X[1000:], y[1000:]) > 0.9
    assert net.input_scale_.shape == (1,)
    x = np.linspace(-3, 3, 600)[:, None]
    Y = np.c_[np.sin(x), 1e6 * np.cos(x)]
    assert NeuralRegressor(random_state=0).fit(x, Y).score(x, Y) > 0.95  # the mean of both R²
    many = NeuralClassifier(random_state=0).fit(np.tile(X, (1, 1)), np.c_[y > 4, y % 2])
    assert many.score(X, np.c_[y > 4, y % 2]) > 0.9


def test_partial_fit_needs_nothing_set():
    X, y = datasets.load_digits(return_X_y=True)
    net = NeuralClassifier(random_state=0)
    for _ in range(10):
        for part in np.array_split(np.arange(1000), 5):
            net.partial_fit(X[part], y[part], classes=np.arange(10))
    assert net.score(X[1000:], y[1000:]) > 0.9


# ---- units ----


@FAMILIES
def test_units_of_inputs_and_targets_do_not_matter(family):
    """Powers of two change no bit; the minus changes no size."""
    units = 2.0 ** np.array([40, -30, 7])
    a, b = fresh(family, SCORE).fit(X, SCORE), fresh(family, SCORE).fit(X * units, 2.0**20 * SCORE)
    np.testing.assert_array_equal(b.predict(X * units), 2.0**20 * a.predict(X))
    assert a.loss_curve_ == b.loss_curve_
    shifted = fresh(family, SCORE).fit(X + 1000.0, SCORE - 500.0)
    np.testing.assert_allclose(shifted.predict(X + 1000.0), a.predict(X) - 500.0, rtol=1e-6)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson", "gamma"])
def test_units_of_targets_do_not_matter_to_other_losses(loss):
    y = np.exp(SCORE / 3)
    a, b = (NeuralRegressor(loss=loss, random_state=0).fit(X, unit * y) for unit in (1.0, 2.0**20))
    np.testing.assert_allclose(b.predict(X), 2.0**20 * a.predict(X), rtol=1e-12)
    assert a.loss_curve_ == b.loss_curve_
    assert np.corrcoef(y, a.predict(X))[0, 1] > 0.9


@FAMILIES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_that_are_constant_huge_or_tiny_do_no_harm(family, dtype):
    with np.errstate(under="ignore"):
        odd = [np.full(len(X), 7.0), np.zeros(len(X)), X[:, 0] * dtype(1e-30), X[:, 1] * dtype(1e30)]
    if dtype is np.float64:
        odd += [X[:, 0] * 1e200, X[:, 1] * 1e-200, np.full(len(X), 1e200)]
    rows = np.c_[X, np.transpose(odd)].astype(dtype)
    net = fresh(family).fit(rows, CODES)
    assert net.score(rows, CODES) > 0.85
    before = net.predict_proba(rows)
    rows[:, 3], rows[:, 4] = -1e3, 1e3
    np.testing.assert_array_equal(net.predict_proba(rows), before)


def test_standardize_false_takes_rows_and_targets_as_they_are():
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    mean, deviation = SCORE.mean(), SCORE.std()
    by_hand = NeuralRegressor(standardize=False, random_state=0).fit(scaled, (SCORE - mean) / deviation)
    inside = NeuralRegressor(random_state=0).fit(X, SCORE)
    assert by_hand.input_mean_ is by_hand.input_scale_ is None
    np.testing.assert_allclose(inside.predict(X), by_hand.predict(scaled) * deviation + mean, rtol=1e-6)
    np.testing.assert_allclose(inside.loss_curve_, by_hand.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(inside.input_mean_, X.mean(axis=0))
    np.testing.assert_allclose(inside.input_scale_, X.std(axis=0))
    np.testing.assert_allclose([*inside.target_mean_, *inside.target_scale_], [mean, deviation])
    np.testing.assert_allclose(inside.transform(X), by_hand.transform(scaled), rtol=1e-5, atol=1e-9)


def test_a_rare_value_does_not_become_huge():
    rare = np.zeros((1000, 1))
    rare[0] = 1.0
    net = NeuralClassifier(random_state=0, max_epochs=1).fit(np.c_[rare, np.arange(1000)], np.arange(1000) % 2)
    z = (rare[:, 0] - net.input_mean_[0]) / net.input_scale_[0]
    assert np.abs(z).max() == pytest.approx(8)


def test_sparse_columns_keep_their_zeros():
    rng = np.random.default_rng(0)
    dense = X * (rng.random(X.shape) < 0.5)
    units, y = 2.0 ** np.array([40, -30, 7]), dense @ [1.0, -2.0, 0.5] > 0
    a, b = (NeuralClassifier(random_state=0).fit(sp.csr_array(dense * unit), y) for unit in (1.0, units))
    np.testing.assert_array_equal(a.input_mean_, 0)
    squares = [np.sqrt(np.mean(column[column != 0] ** 2)) for column in dense.T]
    np.testing.assert_allclose(a.input_scale_, squares)
    np.testing.assert_array_equal(a.predict_proba(sp.csr_array(dense)), b.predict_proba(sp.csr_array(dense * units)))
    np.testing.assert_array_equal(a.predict_proba(sp.csr_array(dense)), a.predict_proba(dense))
    assert a.score(sp.csr_array(dense), y) > 0.9


def test_codes_and_padding_stay_as_they_are():
    codes = np.random.default_rng(0).integers(5, size=(40, 6))
    for first in (Embedding(5, 3), Masking(0.0)):
        rows = codes if isinstance(first, Embedding) else 1.0 + codes.reshape(40, 3, 2)
        net = NeuralRegressor([first, SimpleRNN(4)], random_state=0, max_epochs=2).fit(rows, SCORE)
        assert net.input_scale_ is None
        assert net.target_scale_ == pytest.approx(SCORE.std())


def test_channels_of_images_have_a_unit_each():
    images = np.random.default_rng(0).normal([5, -300], [1, 100], size=(40, 4, 4, 2))
    net = NeuralClassifier([Conv2D(3, 3), Flatten()], random_state=0, max_epochs=2).fit(images, CODES)
    np.testing.assert_allclose(net.input_mean_, images.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(net.input_scale_, images.std(axis=(0, 1, 2)))


@FAMILIES
def test_rows_without_weight_have_no_part_in_units(family):
    rows = np.r_[X, np.full((1, 3), 1e6)]
    y, weight = np.r_[SCORE, 1e9], np.r_[np.ones(len(X)), 0]
    net = fresh(family, SCORE).fit(rows, y, weight)
    np.testing.assert_allclose(net.input_scale_, X.std(axis=0))
    np.testing.assert_allclose(net.target_scale_, SCORE.std())


@pytest.mark.parametrize("activation", ["logistic", "softplus"])
def test_targets_of_outputs_with_an_activation_stay_as_they_are(activation):
    """Which has a range: standardised targets would lie outside of it."""
    y = 0.5 + 0.3 * np.sin(X[:, 0])
    net = NeuralRegressor([Dense(16, "relu"), Dense(1, activation)], random_state=0, alpha=0.0).fit(X, y)
    assert net.target_scale_ is None
    assert net.score(X, y) > 0.8
    hidden = NeuralRegressor([Dense(16, activation)], random_state=0, max_epochs=2).fit(X, y)
    np.testing.assert_allclose(hidden.target_scale_, y.std())


@FAMILIES
def test_units_outlive_a_call(family):
    net = fresh(family, SCORE).fit(X, SCORE)
    units = net.input_mean_, net.input_scale_, net.target_mean_, net.target_scale_

    def of(model):
        return model.input_mean_, model.input_scale_, model.target_mean_, model.target_scale_

    stored = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(stored.predict(X), net.predict(X))
    stored.set_params(warm_start=True).fit(9 * X, 9 * SCORE)
    assert same(of(stored), units)
    stored.partial_fit(9 * X, 9 * SCORE)
    assert same(of(stored), units)
    stored.set_params(warm_start=False).fit(2.0 * X, 4.0 * SCORE)
    assert same(of(stored), [2 * units[0], 2 * units[1], 4 * units[2], 4 * units[3]])


def test_a_first_part_of_one_row_makes_no_column_vanish():
    net = NeuralRegressor(random_state=0).partial_fit(X[:1], SCORE[:1])
    assert np.isfinite(net.input_scale_).all()
    for _ in range(200):
        net.partial_fit(X, SCORE)
    assert net.score(X, SCORE) > 0.8


@FAMILIES
def test_losses_of_validation_are_in_the_units_of_training(family):
    net = fresh(family, SCORE).fit(X, 1e4 * SCORE, X_val=X, y_val=1e4 * SCORE)
    error = (net.predict(X) - 1e4 * SCORE) / net.target_scale_
    np.testing.assert_allclose(net.validation_loss_curve_[-1], np.mean(error**2) / 2, rtol=1e-9)
    np.testing.assert_allclose(net.validation_scores_[-1], net.score(X, 1e4 * SCORE), rtol=1e-9)
    early = fresh(family, SCORE).set_params(early_stopping=True).fit(X, 1e4 * SCORE)
    assert early.stop_reason_ in ("early_stopping", "max_iter")
    several = fresh(family).fit(X, LABELS, X_val=X, y_val=LABELS)
    assert several.validation_scores_[-1] == several.score(X, LABELS)


# ---- scikit-learn's by default ----


@pytest.mark.parametrize("kind, y", [(MLPClassifier, THREE), (MLPRegressor, SCORE)])
def test_perceptrons_leave_data_as_they_are_unless_asked(kind, y):
    small = {"hidden_layer_sizes": (5,), "random_state": 0}
    net = kind(**small, max_iter=500, tol=1e-2, n_iter_no_change=2).fit(X, y)
    assert net.input_scale_ is None
    with pytest.warns(UserWarning, match="learning_rate_init=0.5 has no effect"):
        kind(**small, max_iter=2, learning_rate="auto", learning_rate_init=0.5).fit(X, y)
    with pytest.warns(UserWarning, match="tol=0.5 has no effect, because learning_rate='auto' goes to the end"):
        kind(**small, max_iter=2, learning_rate="auto", tol=0.5).fit(X, y)
