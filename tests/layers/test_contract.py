"""What every layer keeps, example by example: its slopes, its bits, its way through training and pickles.

The examples are those of `KINDS`; a layer without a row there is a red test.
"""

import pickle

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad import optimizers
from fusedgrad.neural_network import NeuralClassifier, NeuralRegressor

from ..networks import (
    STORAGES,
    Case,
    all_differences,
    assert_close,
    assert_gradient,
    assert_same_way,
    assert_slopes,
    away_from_kinks,
    every_dtype,
    gradient_of,
)
from ..reference import network
from ..reference.layers import EXAMPLES, KINDS, LAYERS, Wish

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def without(*kinds_of_tests):
    """The examples of layers that can take part in these tests."""
    return [
        pytest.param(kind, layers, shape, id=f"{kind.__name__}-{layers!r}-{shape}".replace(" ", ""))
        for kind, layers, shape in EXAMPLES
        if not set(kinds_of_tests) & set(KINDS[kind].without)
    ]


every_example = pytest.mark.parametrize("kind, layers, shape", without())


def whole(layers, shape):
    """A network in which slopes go through the layers to one before, and come from one behind."""
    begin = 0 if KINDS[type(layers[0])].first is None else 1
    after = shape
    for layer in layers[:begin]:
        after = layer.shape(after)
    stack = [*layers[:begin], L.Dense(after[-1]), *layers[begin:]]
    for layer in stack[begin:]:
        after = layer.shape(after)
    return [*stack, *[L.Flatten()] * (len(after) > 1), L.Dense(2)]


def case_of(layers, shape, rows=7, loss="squared_error", seed=0, **more):
    return Case(whole(layers, shape), shape, rows, loss, seed, **more)


# ---- the table ----


def test_every_layer_has_a_row():
    assert set(KINDS) == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS)
def test_rows_are_complete(kind):
    known = KINDS[kind]
    assert issubclass(known.reference, network.Layer)
    assert known.examples
    assert all(any(type(layer) is kind for layer in layers) for layers, _ in known.examples)
    assert (known.first is None) == any(known.draw((4, 3, 2)[:rank], Wish()) is not None for rank in (1, 2, 3))
    assert (known.torch is None) == ("torch" in known.without)
    assert all(len(reason) > 10 for reason in known.without.values())


def test_every_option_of_a_layer_is_among_its_examples():
    """Its label and what its weights begin with are no business of the core."""
    elsewhere = ("label", "init", "recurrent_init", "bias_init", "empty")
    for kind in LAYERS:
        own = [layer for _, layers, _ in EXAMPLES for layer in layers if type(layer) is kind]
        for name in set(KINDS[kind].refused) - set(elsewhere):
            assert len({repr(getattr(layer, name)) for layer in own}) > 1, (kind, name)


# ---- the reference ----


@every_example
def test_the_references_slopes_are_those_of_its_values(kind, layers, shape):
    for seed in range(100):
        case = Case(layers, shape, 4, "squared_error", seed)
        judge = case.judge()
        judge.forward(case.X, training=True)
        if judge.to_kink() > 1e-2:
            break
    assert_slopes(judge, case.X, np.random.default_rng(0), inputs=KINDS[type(layers[0])].first is None)


# ---- the core equals it ----


@every_example
def test_predictions_are_the_references(kind, layers, shape):
    case = case_of(layers, shape, sparse=True).rounded()
    for layer in range(len(case.layers)):
        judge = network.Network(case.judge().layers[: layer + 1], shape)
        assert_close([case.predicted(layer=layer)], [judge.forward(case.X)], 1e-12, 1e-13)
    exact = case.predicted()
    for storage in STORAGES:
        for threads in (1, 3):
            np.testing.assert_array_equal(case.predicted(storage=storage, threads=threads), exact)
    single = case.predicted(dtype=np.float32, storage=storage)
    assert single.dtype == np.float32
    assert_close([single], [exact], 1e-4, 1e-6)
    for i in (0, case.rows - 1):
        np.testing.assert_array_equal(case.predicted(case.X[i : i + 1]), exact[i : i + 1])


@every_example
@every_dtype
def test_gradients_are_the_references(kind, layers, shape, dtype):
    case = case_of(layers, shape, rows=21, weighted=True, l2=0.1).rounded()
    judge, *expected = case.judged()
    assert not judge.rounding_decides(1e-9 if dtype == np.float64 else 1e-5)
    assert max(np.abs(g).max() for g in expected[2]) > 1e-2
    for storage, threads in (("dense", 1), ("csr32", 3)):
        task = case.training(storage, threads, dtype)
        assert_gradient(task, expected, *((1e-11, 1e-12) if dtype == np.float64 else (2e-4, 2e-5)))


@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
@pytest.mark.parametrize("kind, layers, shape", without())
def test_gradients_are_those_of_the_losses(kind, layers, shape, loss):
    """By central differences of every parameter, those of the layers before and behind included."""
    cut = any(getattr(layer, "truncate", None) for layer in layers)
    case = away_from_kinks(whole(layers, shape), shape, 3, loss, 2e-3, weighted=True)
    task = case.training()
    value, _, gradients = gradient_of(task)
    scratch = np.zeros_like(task.flat)
    differences = all_differences(lambda: task.loss_gradient(scratch)[0] - value, task.parts)
    if cut:  # slopes of the past are left out; what comes behind has all of them
        gradients, differences = gradients[-2:], differences[-2:]
    assert_close(gradients, differences, 1e-7, 1e-9)


@every_example
def test_training_goes_the_references_way(kind, layers, shape):
    optimizer = optimizers.AdamW(epsilon=1e-3, weight_decay=0.1)
    case = case_of(layers, shape, rows=23, weighted=True, l2=0.01, seed=1)
    assert_same_way(case, optimizer, batch_size=10, epochs=2, rate=0.01)


@every_example
@every_dtype
def test_training_is_the_same_bits_for_any_number_of_threads(kind, layers, shape, dtype):
    case = case_of(layers, shape, rows=67)
    order = np.random.default_rng(0).permutation(67).astype(np.uint32)

    def trained(threads):
        task = case.training(optimizer=optimizers.Adam(), batch_size=25, clip_norm=0.5, dtype=dtype)
        found = task.engine.train(1, order, np.full(3, 0.01), 1, 1.0, threads)
        return task.flat.tobytes(), task.flat_kept.tobytes(), found[2:4]

    one = trained(1)
    for threads in (2, 3):
        assert trained(threads) == one


# ---- in estimators ----


def estimator(layers, shape, **params):
    """An estimator for quick fits, its rows and targets."""
    case = Case(layers, shape, 30, "squared_error", 0)
    defaults = {"max_epochs": 2, "tol": None, "batch_size": 8, "learning_rate": 0.01, "random_state": 0}
    make, y = (NeuralRegressor, np.sin(np.arange(30))) if len(layers) % 2 else (NeuralClassifier, np.arange(30) % 3)
    return make(layers, input_shape=shape, **{**defaults, **params}), case.X, y


def state(model):
    return [w.tobytes() for w in (*model.weights_, *model.statistics_)], model.loss_curve_


@every_example
def test_pickled_estimators_go_on_with_the_same_bits(kind, layers, shape):
    model, X, y = estimator(layers, shape, average=0.9)
    model.fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert again.layers == layers
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert state(again.partial_fit(X, y)) == state(model.partial_fit(X, y))


@pytest.mark.parametrize("kind, layers, shape", without("epochs"))
def test_partial_fits_are_epochs_of_a_fit(kind, layers, shape):
    model, X, y = estimator(layers, shape, shuffle=False, optimizer=optimizers.NAdam())
    whole_fit = estimator(layers, shape, shuffle=False, optimizer=optimizers.NAdam(), max_epochs=3)[0].fit(X, y)
    model.fit(X, y).partial_fit(X, y)
    assert state(model) == state(whole_fit)
    assert model.summary() == whole_fit.summary()
