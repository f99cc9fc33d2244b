"""What the options of networks do: threads, optima, rules, initialisation, dropout."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import layers, optimizers, schedules
from fusedgrad.layers import Activation, BatchNorm, Dense, Dropout, Residual
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr, softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from .small import (
    CODES,
    LABELS,
    MLPS,
    NAMES,
    NEURALS,
    SCORE,
    THREE,
    N,
    X,
    Y,
    assert_all_close,
    assert_same_bits,
    make,
    rich,
    weights_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


repeatably = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


# ---- threads ----


THREADS = {
    "plain": {},
    "rich": {"rich": True},
    "sparse": {"sparse": True},
    "rich_sparse": {"rich": True, "sparse": True},
    "float32": {"dtype": np.float32, "rich": True},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", THREADS)
def test_n_jobs_does_not_change_a_bit(name, what):
    options = THREADS[what]
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(700, 37)).astype(options.get("dtype", np.float64))
    rows[rng.random(rows.shape) < 0.5] = 0
    y = np.digitize(rows.sum(axis=1), [-2, 2]) if "Classifier" in name else rows[:, :3].astype(float)
    given = sp.csr_array(rows) if options.get("sparse") else rows
    params = {"batch_size": 301, "epochs": 3}
    made = rich(name, **params) if options.get("rich") else make(name, **params)
    weight = rng.uniform(0.1, 2.0, 700)
    models = [clone(made).set_params(n_jobs=n).fit(given, y, weight) for n in (1, 2, 4, None, -1)]
    for other in models[1:]:
        assert_same_bits(models[0], other)
        np.testing.assert_array_equal(models[0].predict(given), other.predict(given))
        np.testing.assert_array_equal(models[0].transform(given), other.transform(given))


@pytest.mark.parametrize("name", MLPS)
def test_n_jobs_does_not_change_a_bit_of_lbfgs(name):
    rows = np.random.default_rng(0).normal(size=(600, 20))
    y = (rows[:, 0] > 0).astype(int)
    models = [make(name, solver="lbfgs", n_jobs=n, epochs=8).fit(rows, y) for n in (1, 2, 4)]
    for other in models[1:]:
        assert_same_bits(models[0], other)


@repeatably
@given(
    name=st.sampled_from(NAMES),
    n=st.integers(2, 90),
    d=st.integers(1, 20),
    batch=st.integers(1, 100),
    units=st.integers(1, 40),
    n_jobs=st.integers(2, 5),
    sparse=st.booleans(),
    single=st.booleans(),
)
def test_any_shape_gives_the_same_bits_with_any_threads(name, n, d, batch, units, n_jobs, sparse, single):
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, d)).astype(np.float32 if single else np.float64)
    given_rows = sp.csr_array(rows) if sparse else rows
    y = np.arange(n) % 3 if "Classifier" in name else rows[:, 0]
    hidden = {"hidden_layer_sizes": (units,)} if "MLP" in name else {"layers": [Dense(units, "tanh"), BatchNorm()]}
    made = make(name, batch_size=min(batch, n), epochs=2, **hidden)
    one, other = (clone(made).set_params(n_jobs=k).fit(given_rows, y) for k in (1, n_jobs))
    assert_same_bits(one, other)
    np.testing.assert_array_equal(one.predict(given_rows), other.predict(given_rows))
    assert np.isfinite(one.loss_curve_).all()


# ---- optima ----


def gradient(raw, y, smoothing=0.0):
    """Of the mean cross-entropy by raw predictions, times n."""
    if raw.shape[1] > 1 and y.ndim == 1:
        k = raw.shape[1]
        return softmax(raw, axis=1) - (np.eye(k)[y] * (1 - smoothing) + smoothing / k)
    return expit(raw) - (y.reshape(len(y), -1) * (1 - smoothing) + smoothing / 2)


@pytest.mark.parametrize("y", [CODES, THREE, LABELS], ids=["two", "three", "labels"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_hidden_layers_lbfgs_ends_where_the_gradient_is_zero(y, smoothing):
    model = make(
        "MLPClassifier",
        hidden_layer_sizes=(),
        solver="lbfgs",
        alpha=1.0,
        tol=1e-8,
        epochs=5000,
        label_smoothing=smoothing,
    ).fit(X, y)
    (coef,), (intercept,) = model.coefs_, model.intercepts_
    slope = gradient(X @ coef + intercept, y, smoothing)
    assert np.abs(X.T @ slope + coef).max() / N < 1e-5
    assert np.abs(slope.sum(axis=0)).max() / N < 1e-5
    if smoothing == 0 and y.ndim == 1:
        linear = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X), linear.predict_proba(X), rtol=0, atol=1e-4)


def test_without_hidden_layers_lbfgs_is_ridge_regression():
    y = np.c_[SCORE, X[:, 0] ** 2]
    model = make("MLPRegressor", hidden_layer_sizes=(), solver="lbfgs", alpha=2.0, tol=1e-10, epochs=5000).fit(X, y)
    ridge = Ridge(alpha=2.0, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0].T, ridge.coef_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.intercepts_[0], ridge.intercept_, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_steps_end_where_the_gradient_is_zero(name):
    """Full batches, no hidden layer: a smooth convex problem."""
    hidden = {"hidden_layer_sizes": ()} if "MLP" in name else {"layers": []}
    strength = N * 0.1 if "MLP" in name else 0.1  # divided by n there
    params = {"rule": optimizers.SGD(momentum=0.9), "rate": 0.1, "batch_size": "full", "epochs": 3000}
    params["n_iter_no_change"] = 3000  # momentum climbs on its way
    model = make(name, **hidden, **params, alpha=strength).fit(X, Y[name])
    coef, intercept = weights_of(model)
    raw = X @ coef + intercept
    slope = gradient(raw, THREE) if "Cl" in name else raw - SCORE[:, None]
    assert np.abs(X.T @ slope / N + 0.1 * coef).max() < 1e-8
    assert np.abs(slope.mean(axis=0)).max() < 1e-8


# ---- options of the networks ----


def test_an_activation_a_layer():
    sizes, names = (5, 4, 6), ["tanh", "relu", "logistic"]
    model = make("MLPClassifier", hidden_layer_sizes=sizes, activation=names).fit(X, THREE)
    a = X
    functions = {"tanh": np.tanh, "relu": lambda v: np.maximum(v, 0), "logistic": expit}
    for k, name in enumerate(names):
        a = functions[name](a @ model.coefs_[k] + model.intercepts_[k])
        np.testing.assert_allclose(model.transform(X, k), a, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(model.transform(X, k), model.transform(X, k - 4))
    a = a @ model.coefs_[3] + model.intercepts_[3]
    np.testing.assert_allclose(model.transform(X, -1), a, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(model.predict_proba(X), softmax(a, axis=1), rtol=1e-10)
    same = make("MLPClassifier", hidden_layer_sizes=sizes, activation=["tanh"] * 3).fit(X, THREE)
    assert_same_bits(same, make("MLPClassifier", hidden_layer_sizes=sizes, activation="tanh").fit(X, THREE))


@pytest.mark.parametrize("activation", layers.activations())
@pytest.mark.parametrize("name", NAMES)
def test_every_activation_trains(name, activation):
    hidden = (
        {"hidden_layer_sizes": (6,), "activation": activation} if "MLP" in name else {"layers": [Dense(6, activation)]}
    )
    model = make(name, **hidden, epochs=40, rate=0.01).fit(X, Y[name])
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]


@pytest.mark.filterwarnings("ignore:.*has no effect:UserWarning")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", optimizers.names())
def test_optimizers_by_name_and_by_object(name, rule):
    if "MLP" in name and rule in ("sgd", "adam"):  # there in scikit-learn's form
        by_name = make(name, rule=rule, rate=0.01).fit(X, Y[name])
        kind = (
            optimizers.SGD(momentum=0.9, nesterov=True, rate_inside=True)
            if rule == "sgd"
            else optimizers.Adam(epsilon_hat=True)
        )
    else:
        by_name, kind = make(name, rule=rule, rate=0.01).fit(X, Y[name]), optimizers.get(rule)
    assert_same_bits(by_name, make(name, rule=kind, rate=0.01).fit(X, Y[name]))
    own = type(kind)(**{**{f: getattr(kind, f) for f in kind.__getstate__()}, "learning_rate": 0.01})
    with pytest.warns(UserWarning, match="=0.7 has no effect, because the optimizer has a learning_rate of its own"):
        assert_same_bits(by_name, make(name, rule=own, rate=0.7).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_schedules_and_callables(name):
    constant = make(name, rate=0.01).fit(X, Y[name])
    for rate in (schedules.Constant(0.01), lambda step: 0.01):
        assert_same_bits(make(name, learning_rate=rate).fit(X, Y[name]), constant)
    seen = []

    def note(step):
        seen.append(step)
        return 0.01 / (1 + step)

    model = make(name, learning_rate=note, epochs=3).fit(X, Y[name])
    assert sorted(set(seen)) == list(range(9))  # three batches an epoch
    model.partial_fit(X, Y[name])
    assert max(seen) == 11
    cosine = schedules.Cosine(0.05, steps=12)
    own = make(name, rule=optimizers.RMSprop(cosine)).fit(X, Y[name])
    assert_same_bits(own, make(name, rule="rmsprop", learning_rate=cosine).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_a_plateau_makes_the_rate_smaller(name):
    plateau = schedules.ReduceOnPlateau(0.5, factor=0.1, patience=1)
    model = make(name, rule=optimizers.SGD(), learning_rate=plateau, epochs=60).fit(X, Y[name])
    assert model._optimizer.learning_rate < 0.5
    assert_same_bits(pickle.loads(pickle.dumps(model)).partial_fit(X, Y[name]), model.partial_fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_shrinks_weights_and_nothing_else(name):
    rate, decay = 0.01, 3.0
    params = {"rule": optimizers.SGD(), "rate": rate, "batch_size": "full", "epochs": 1, "alpha": 0.0}
    still = make(name, **{**params, "rate": 1e-300}).fit(X, Y[name])
    plain, decayed = (make(name, **params, weight_decay=d).fit(X, Y[name]) for d in (0.0, decay))
    for start, without, shrunk in zip(*map(weights_of, (still, plain, decayed)), strict=True):
        bias = start.ndim == 1 or start.shape[0] == 1
        np.testing.assert_allclose(without - shrunk, 0 if bias else rate * decay * start, rtol=0, atol=1e-15)
    own = optimizers.AdamW(weight_decay=decay)
    by_rule = make(name, rule=own, rate=rate).fit(X, Y[name])
    by_estimator = make(name, rule=optimizers.Adam(), rate=rate, weight_decay=decay).fit(X, Y[name])
    assert_all_close(by_rule, by_estimator, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_clip_norm_limits_the_step(name):
    params = {"rule": optimizers.SGD(), "rate": 1.0, "batch_size": "full", "epochs": 1, "alpha": 0.0}
    still = make(name, **{**params, "rate": 1e-300}).fit(X, Y[name])
    clipped = make(name, **params, clip_norm=1e-3).fit(X, Y[name])
    moved = [a - b for a, b in zip(weights_of(clipped), weights_of(still), strict=True)]
    assert np.sqrt(sum((m**2).sum() for m in moved)) == pytest.approx(1e-3, rel=1e-4)
    own = make(name, **{**params, "rule": optimizers.SGD(clip_norm=1e-3)}).fit(X, Y[name])
    assert_same_bits(own, clipped)


@pytest.mark.parametrize("name", MLPS)
def test_mlp_s_keywords_are_layers(name):
    """`dropout` and `batch_norm` make the network that the same layers make."""
    mlp = make(name, hidden_layer_sizes=(6, 5), activation="gelu", batch_norm=True, init="he_normal", alpha=0.0)
    stack = [
        Dense(6, init="he_normal"), BatchNorm(), Activation("gelu"),
        Dense(5, init="he_normal"), BatchNorm(), Activation("gelu"), Dense(3 if "Cl" in name else 1, init=0.1),
    ]  # fmt: skip
    mlp.fit(X, Y[name])
    net = make(name.replace("MLP", "Neural"), layers=stack).fit(X, Y[name])
    assert [c.shape for c in mlp.coefs_] == [w.shape for w in net.weights_[::4]]
    assert [sorted(norm) for norm in mlp.norms_] == [["mean", "scale", "shift", "variance"]] * 2
    assert mlp.transform(X, 0).shape == (N, 6)
    assert mlp.transform(X).shape == (N, 5)
    a = X
    for k, norm in enumerate(mlp.norms_):
        a = a @ mlp.coefs_[k] + mlp.intercepts_[k]
        a = norm["scale"] * (a - norm["mean"]) / np.sqrt(norm["variance"] + 1e-5) + norm["shift"]
        a = a * ndtr(a)  # gelu
        np.testing.assert_allclose(mlp.transform(X, k), a, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MLPS)
def test_dropout_is_for_training_alone(name):
    model = make(name, dropout=0.5, hidden_layer_sizes=(30,)).fit(X, Y[name])
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    np.testing.assert_allclose(model.transform(X), hidden, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert not np.array_equal(model.coefs_[0], make(name, hidden_layer_sizes=(30,)).fit(X, Y[name]).coefs_[0])
    assert_same_bits(model, make(name, dropout=0.5, hidden_layer_sizes=(30,)).fit(X, Y[name]))


@pytest.mark.parametrize("name", MLPS)
@pytest.mark.parametrize("init", [i for i in layers.initializers() if i != "auto"])
def test_initial_weights(name, init):
    model = make(name, hidden_layer_sizes=(50, 40), init=init, rule=optimizers.SGD(), rate=1e-300, epochs=1)
    model.fit(X, Y[name])
    assert all(np.abs(b).max() < 1e-200 for b in model.intercepts_)
    if init == "zeros":
        assert all(np.abs(w).max() < 1e-200 for w in model.coefs_)
        return
    if init == "orthogonal":
        np.testing.assert_allclose(model.coefs_[1].T @ model.coefs_[1], np.eye(40), atol=1e-12)
        return
    fan_in, fan_out = 50, 40
    variance = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}[init.partition("_")[0]]
    assert model.coefs_[1].var() == pytest.approx(variance, rel=0.15)  # of 2000 draws
    bound = np.sqrt(3 * variance)
    assert (np.abs(model.coefs_[1]).max() <= bound) == init.endswith("uniform")


@pytest.mark.parametrize("layer", [-4, 3, 1.0, True, None, "last"])
@pytest.mark.parametrize("name", NAMES)
def test_transform_needs_a_layer_that_is_there(name, layer):
    params = {"hidden_layer_sizes": (4, 4)} if "MLP" in name else {"layers": [Dense(4), Dense(4)]}
    model = make(name, **params).fit(X, Y[name])
    wanted = "No layer has the label" if isinstance(layer, str) else "layer must be a whole number from -3 to 2.*Got"
    with pytest.raises(ValueError, match=f"{wanted} {layer!r}"):
        model.transform(X, layer)


@pytest.mark.parametrize("name", NEURALS)
def test_the_summary_counts_parameters(name):
    outputs = 3 if "Cl" in name else 1
    stack = [Dense(6, "relu"), BatchNorm(), Dropout(0.1), Residual([Dense(4), Dense(6)])]
    model = make(name, layers=stack, batch_size=16, rule="adam", average=0.9).fit(X.astype(np.float32), Y[name])
    lines = model.summary().splitlines()
    assert lines[0].split() == ["layer", "shape", "parameters"]
    counts = [int(line.split()[-1].replace(",", "")) for line in lines[1:-1]]
    assert counts == [0, 24, 12, 0, 28 + 30, 7 * outputs]
    assert [line.split("  ")[0] for line in lines[2:-1]] == [*map(repr, stack), f"output: Dense({outputs})"]
    assert len({len(line) for line in lines[:-1]}) == 1  # a table
    total = sum(counts)
    assert sum(w.size for w in model.weights_) == total
    # Adam keeps two numbers a parameter; the mean one
    assert f"{total:,} parameters, {4 * total:,} bytes; with optimizer state {16 * total:,} bytes" in lines[-1]
    assert "one batch of 16 rows" in lines[-1]


@pytest.mark.parametrize("name", NEURALS)
def test_the_output_layer_is_added_or_given(name):
    outputs = 3 if "Cl" in name else 1
    added = make(name, layers=[Dense(4, "relu")]).fit(X, Y[name])
    given_too = make(name, layers=[Dense(4, "relu"), Dense(outputs, init="glorot_uniform")]).fit(X, Y[name])
    assert_same_bits(added, given_too)
    assert [w.shape for w in added.weights_] == [(3, 4), (1, 4), (4, outputs), (1, outputs)]


@pytest.mark.parametrize("name", NEURALS)
def test_an_average_is_what_predicts(name):
    decay, params = 0.8, {"rule": optimizers.SGD(), "rate": 0.05, "batch_size": "full"}
    path = [make(name, **params, epochs=k).fit(X, Y[name]) for k in range(1, 6)]
    averaged = make(name, **params, epochs=5, average=decay).fit(X, Y[name])
    mean = weights_of(path[0])  # it begins with the weights after the first step
    for model in path[1:]:
        mean = [decay * m + (1 - decay) * w for m, w in zip(mean, weights_of(model), strict=True)]
    for ours, expected in zip(weights_of(averaged), mean, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-13)
