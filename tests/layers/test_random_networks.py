"""Random networks of every kind of layer equal the reference, and their gradients are those of their losses."""

import numpy as np
from fusedgrad import layers as L
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ..networks import (
    ALL,
    REPEATABLY,
    SMOOTH,
    STORAGES,
    Case,
    Net,
    assert_close,
    assert_gradient,
    assert_slopes,
    cases,
    gradient_of,
)
from ..reference import network
from ..reference.layers import KINDS, SEQUENTIAL, Wish, convolutions, pools, sizes, stacks

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float64, np.float32])
images = st.tuples(st.integers(1, 9), st.integers(1, 9), sizes())
sequences = st.tuples(st.integers(1, 9), sizes())


def takes_sparse_rows(case):
    """A block at the beginning needs its rows dense; they are made so, and a test of its own looks at that."""
    return not isinstance(case.layers[0], L.Residual)


def test_every_kind_of_layer_is_drawn():
    seen = set()

    @settings(max_examples=400, **REPEATABLY)
    @given(case=cases())
    def collect(case):
        def walk(layers):
            for layer in layers:
                seen.add(type(layer))
                walk(getattr(layer, "layers", ()))

        walk(case.layers)

    collect()
    assert seen == set(KINDS)


# ---- the reference ----


@settings(max_examples=150, **REPEATABLY)
@given(data=st.data(), seed=seeds)
def test_the_references_slopes_are_those_of_its_values(data, seed):
    """Of any layer, with weights, rows and sizes of any kind."""
    small = st.integers(1, 5)
    shape = data.draw(st.one_of(st.tuples(small), st.tuples(small, small), st.tuples(small, small, small)))
    layers = data.draw(stacks(shape, Wish(most=12), longest=1))
    assume(not isinstance(layers[0], L.Flatten))
    case = Case(layers, shape, 3, "squared_error", seed)
    judge = case.judge()
    judge.forward(case.X, training=True)
    assume(judge.to_kink() > 1e-3)
    assert_slopes(judge, case.X, np.random.default_rng(seed))


# ---- loss, gradient and predictions ----


@settings(max_examples=400, **REPEATABLY)
@given(case=cases(), storage=st.sampled_from(STORAGES), threads=st.integers(1, 4))
def test_loss_and_gradient_equal_the_references(case, storage, threads):
    judge, *expected = case.judged()
    assume(not judge.rounding_decides())
    assert_gradient(case.training(storage if takes_sparse_rows(case) else "dense", threads), expected, 1e-9, 1e-10)


@settings(max_examples=100, **REPEATABLY)
@given(case=cases(SMOOTH), seed=st.integers(0, 99))
def test_the_gradient_is_that_of_the_loss(case, seed):
    """Along a random direction of each parameter."""
    assume(not any(getattr(layer, "truncate", None) for layer in unpacked(case.layers)))
    task = case.training()
    _, _, gradients = gradient_of(task)
    scratch, rng, h = np.zeros_like(task.flat), np.random.default_rng(seed), 1e-3
    start = sum(task.loss_gradient(scratch))

    def value(part, to):
        part[:] = to
        return sum(task.loss_gradient(scratch)) - start

    largest = max(np.abs(g).max(initial=0) for g in gradients)
    for part, gradient in zip(task.parts, gradients, strict=True):
        kept, along = part.copy(), rng.normal(size=part.shape)
        along /= np.linalg.norm(along)

        def central(h, part=part, kept=kept, along=along):
            return (value(part, kept + h * along) - value(part, kept - h * along)) / (2 * h)

        wide, middle, narrow = central(h), central(h / 2), central(h / 4)
        difference, before = (4 * narrow - middle) / 3, (4 * middle - wide) / 3
        part[:] = kept
        room = 1e-6 * largest + 1e-9 + abs(difference - before)
        assume(room < 1e-3 * largest + 1e-6)  # else the differences say nothing
        assert abs(np.sum(gradient * along) - difference) < room


def unpacked(layers):
    """The layers, and those within blocks."""
    for layer in layers:
        yield layer
        yield from unpacked(getattr(layer, "layers", ()))


@settings(max_examples=80, **REPEATABLY)
@given(case=cases(), threads=st.integers(1, 4))
def test_every_layer_gives_what_the_references_gives(case, threads):
    judge = case.judge()
    for k in range(len(case.layers)):
        found = case.predicted(layer=k, threads=threads)
        expected = network.Network(judge.layers[: k + 1], case.shape).forward(case.X)
        assert found.dtype == np.float64
        assert_close([found], [expected], 1e-11, 1e-12)


def norms_multiply_roundings(judge):
    norms = [layer for layer in judge.all() if isinstance(layer, (network.LayerNorm, network.BatchNorm))]
    return any(layer.variance.min() < 0.05 for layer in norms)


@settings(max_examples=80, **REPEATABLY)
@given(case=cases(), threads=st.integers(1, 4))
def test_in_float32_everything_equals_the_references(case, threads):
    case = case.rounded()
    judge = case.judge()
    expected = judge.forward(case.X)
    assume(not norms_multiply_roundings(judge))
    found = case.predicted(dtype=np.float32, threads=threads)
    assert found.dtype == np.float32
    assert_close([found], [expected], 1e-4, 1e-5)
    judge, *expected = case.judged()
    assume(not norms_multiply_roundings(judge) and not judge.rounding_decides(1e-4))
    assume(all(np.abs(g).max(initial=0) < 1e4 for g in expected[2]))
    found = gradient_of(case.training(threads=threads, dtype=np.float32))
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-4, atol=1e-5)
    largest = max(np.abs(g).max(initial=0) for g in expected[2])
    assert_close(found[2], expected[2], 1e-3, 1e-3 * largest + 1e-6)


@settings(max_examples=100, **REPEATABLY)
@given(case=cases(most=80), dtype=dtypes, data=st.data())
def test_a_prediction_does_not_depend_on_other_rows(case, dtype, data):
    whole = case.predicted(dtype=dtype, threads=2)
    cut = data.draw(st.integers(0, case.rows))
    np.testing.assert_array_equal(whole[cut:], case.predicted(case.X[cut:], dtype))
    some = data.draw(st.lists(st.integers(0, case.rows - 1), min_size=1, max_size=5))
    for i in some:
        np.testing.assert_array_equal(whole[i : i + 1], case.predicted(case.X[i : i + 1], dtype))
    np.testing.assert_array_equal(whole[some], case.predicted(case.X[some], dtype))


@settings(max_examples=100, **REPEATABLY)
@given(case=cases(), dtype=dtypes, storage=st.sampled_from(STORAGES[1:]))
def test_sparse_rows_are_what_dense_ones_are(case, dtype, storage):
    assume(takes_sparse_rows(case))
    case = case.rounded()
    np.testing.assert_array_equal(case.predicted(dtype=dtype, storage=storage), case.predicted(dtype=dtype))
    dense, sparse = gradient_of(case.training(dtype=dtype)), gradient_of(case.training(storage, dtype=dtype))
    assert sparse[:2] == dense[:2]
    for ours, first in zip(sparse[2], dense[2], strict=True):
        np.testing.assert_array_equal(ours, first)


# ---- sizes ----


def of_all_sizes(layers, shape, rows, seed, dtype):
    """Loss, gradient and predictions of a network whose ends may or may not fill a register."""
    case = Case([*layers, L.Flatten(), L.Dense(2)], shape, rows, "squared_error", seed).rounded()
    judge, *expected = case.judged()
    assume(not judge.rounding_decides(1e-9 if dtype == np.float64 else 1e-4))
    rtol = 1e-10 if dtype == np.float64 else 1e-3
    assert_gradient(case.training(dtype=dtype, threads=2), expected, rtol, rtol)
    assert_close([case.predicted(dtype=dtype)], [judge.forward(case.X)], rtol / 10, rtol / 10)


WIDE = Wish(activations=("tanh",), most=67)


@settings(max_examples=250, **REPEATABLY)
@given(data=st.data(), shape=images, seed=seeds, dtype=dtypes)
def test_convolutions_and_pools_of_all_sizes(data, shape, seed, dtype):
    kinds = st.sampled_from([L.MaxPool2D, L.AvgPool2D])
    layer = data.draw(st.one_of(convolutions(shape, WIDE), kinds.flatmap(lambda kind: pools(shape, kind))))
    of_all_sizes([L.Conv2D(shape[2], 1), layer], shape, 3, seed, dtype)


@settings(max_examples=100, **REPEATABLY)
@given(data=st.data(), shape=sequences, masked=st.booleans(), seed=seeds, dtype=dtypes)
def test_layers_of_sequences_of_all_sizes(data, shape, masked, seed, dtype):
    kinds = [*SEQUENTIAL, *[L.Conv1D] * (not masked)]
    layer = data.draw(st.one_of([KINDS[kind].draw(shape, WIDE) for kind in kinds]))
    layers = [*[L.Masking(0.5)] * masked, L.Dense(shape[1]), layer]
    of_all_sizes(layers, shape, data.draw(st.integers(1, 20)), seed, dtype)


@settings(max_examples=100, **REPEATABLY)
@given(data=st.data(), shape=images, activation=st.sampled_from(ALL), seed=seeds, threads=st.integers(1, 3))
def test_whatever_lies_between_a_convolution_and_a_pool(data, shape, activation, seed, threads):
    """An activation may act behind a pool, where it costs less."""
    wish = Wish(activations=(activation,), most=30)
    between = [[], [L.BatchNorm(epsilon=1e-2)], [L.Activation(activation)], [L.Dropout(0.3)]]
    layers = [data.draw(convolutions(shape, wish)), *data.draw(st.sampled_from(between))]
    kind = data.draw(st.sampled_from([L.MaxPool2D, L.AvgPool2D]))
    layers.append(data.draw(pools(layers[0].shape(shape), kind)))
    layers += data.draw(st.sampled_from(between[:3]))
    *_, after = Net(layers, shape).shapes
    layers += [data.draw(convolutions(after, wish)), L.Flatten(), L.Dense(2)]
    case = Case(layers, shape, data.draw(st.integers(1, 20)), "squared_error", seed)
    judge, *expected = case.judged()
    assume(not judge.rounding_decides())
    assert_gradient(case.training(threads=threads), expected, 1e-9, 1e-10)
    judge = case.judge()
    for k in range(len(layers)):
        found = case.predicted(layer=k, threads=threads)
        assert_close([found], [network.Network(judge.layers[: k + 1], shape).forward(case.X)], 1e-11, 1e-12)
