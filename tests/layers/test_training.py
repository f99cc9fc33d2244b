"""Training goes the reference's way, with any rule and loss; statistics follow the batches."""

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad import optimizers

from ..child import forked
from ..networks import LOSSES, Case, all_differences, assert_close, assert_same_way, every_loss, gradient_of
from ..reference.rules import VARIANTS, suited

SMALL = [
    L.Dense(4, "tanh"),
    L.Dropout(0.2),
    L.Residual([L.BatchNorm(), L.Dense(3, "mish"), L.LayerNorm(), L.Residual([L.Activation("silu")]), L.Dense(4)]),
    L.LayerNorm(affine=False),
    L.BatchNorm(affine=False, epsilon=0.1),
    L.Dense(2),
]


@every_loss
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_the_references_gradient_is_that_of_its_loss(loss, smoothing, shape):
    case = Case(SMALL, shape, 5, loss, 0, smoothing=smoothing, weighted=True, l2=0.1, l2_of_batch=True)
    judge, loss_value, penalty, gradients = case.judged()
    options = {"loss": loss, "smoothing": smoothing, "weight": case.weight, "fields": LOSSES[loss]}

    def value():
        return sum(judge.loss_gradient(case.X, case.y, **options, **case.options)[:2]) - scale

    scale = loss_value + penalty
    # The penalty is reported over the weight of the rows, too.
    per_row = {id(w): case.options["l2"] / case.weight.sum() for w in judge.matrices()}
    assert_close(gradients, all_differences(value, judge.weights), 1e-7, 1e-8)
    expected = sum(per_row[id(w)] / 2 * np.sum(w**2) for w in judge.matrices())
    assert penalty == pytest.approx(expected)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_every_loss_has_its_gradient(loss, smoothing, weighted):
    case = Case(SMALL, (3,), 6, loss, 1, smoothing=smoothing, weighted=weighted, l2=0.05)
    task = case.training()
    loss_value, penalty, gradients = gradient_of(task)
    _, *expected = case.judged()
    np.testing.assert_allclose([loss_value, penalty], expected[:2], rtol=1e-12)
    assert penalty > 0
    scratch = np.zeros_like(task.flat)
    differences = all_differences(lambda: sum(task.loss_gradient(scratch)) - loss_value, task.parts)
    assert_close(gradients, differences, 1e-7, 1e-8)


BLOCKS = """
import numpy as np
from fusedgrad import layers as L
from tests.networks import Case, assert_gradient
for first in [], [L.BatchNorm()]:
    layers = [L.Residual([*first, L.Dense(6, "tanh"), L.Dense(5)]), L.Dense(3)]
    case = Case(layers, (5,), 30, "softmax", 0, sparse=True)
    for storage in ("csr32", "csr64"):
        np.testing.assert_array_equal(case.predicted(storage=storage), case.predicted())
        assert_gradient(case.training(storage), case.judged()[1:], 1e-9, 1e-12)
"""


def test_a_block_at_the_beginning_takes_sparse_rows():
    done = forked(BLOCKS)  # which might be killed
    assert done.returncode == 0, done.stderr


def test_a_pass_over_all_rows_leaves_weights_as_they_are():
    case = Case(SMALL, (3,), 6, "squared_error", 1)
    task = case.training()
    first = gradient_of(task)
    for part, weight in zip(task.parts, case.weights, strict=True):
        np.testing.assert_array_equal(part, weight)
    second = gradient_of(task)
    assert first[:2] == second[:2]
    for ours, again in zip(first[2], second[2], strict=True):
        np.testing.assert_array_equal(ours, again)


PLAIN = [L.Dense(9, "tanh"), L.BatchNorm(), L.Dropout(0.3), L.LayerNorm(), L.Dense(6, "gelu"), L.Dropout(0.2)]


BLOCK = [L.Dense(8, "silu"), L.Residual([L.BatchNorm(momentum=0.3), L.Dense(5, "tanh"), L.Dense(8)]), L.Flatten()]


SCHEME = {"batch_size": 10, "epochs": 4}


def of_networks(layers, shape, loss, **more):
    return Case([*layers, L.Dense(3)], shape, 47, loss, 3, weighted=True, l2=0.02, **more)


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
@pytest.mark.parametrize("layers, shape", [(PLAIN, (5,)), (BLOCK, (3, 4))], ids=["plain", "block"])
def test_every_rule_goes_the_references_way(layers, shape, optimizer):
    if hasattr(optimizer, "epsilon"):  # against slopes that are nothing but rounding
        optimizer = optimizer.set_params(epsilon=max(optimizer.epsilon, 1e-4))
    if not isinstance(optimizer, optimizers.Lion):  # whose steps follow the sign of rounding
        assert_same_way(
            of_networks(layers, shape, "softmax", smoothing=0.1), optimizer, **SCHEME, rate=suited(optimizer)
        )


@every_loss
@pytest.mark.parametrize("layers, shape", [(PLAIN, (5,)), (BLOCK, (3, 4))], ids=["plain", "block"])
def test_every_loss_goes_the_references_way(layers, shape, loss, smoothing):
    optimizer = optimizers.AdamW(epsilon=1e-4, weight_decay=0.1)
    assert_same_way(of_networks(layers, shape, loss, smoothing=smoothing), optimizer, **SCHEME, rate=0.01)


@pytest.mark.parametrize("shape", [(6,), (4, 3)])
@pytest.mark.parametrize("momentum", [0.1, 0.25, 1.0])
def test_running_statistics_follow_those_of_the_batches(shape, momentum):
    n, batch_size = 45, 11  # the last batch has one row
    case = Case([L.BatchNorm(momentum=momentum), L.Flatten(), L.Dense(1)], shape, n, "squared_error", 0)
    task = case.training(batch_size=batch_size)
    task.engine.train(2, None, np.zeros(10), 1, 1.0, 1)
    mean, variance = case.kept[0][0].copy(), case.kept[1][0].copy()
    for _ in range(2):
        for begin in range(0, n, batch_size):
            x = case.X[begin : begin + batch_size].reshape(-1, shape[-1])
            if len(x) > 1:  # a single number has no variance
                mean += momentum * (x.mean(axis=0) - mean)
                variance += momentum * (x.var(axis=0, ddof=1) - variance)
    np.testing.assert_allclose(task.kept_parts[0][0], mean, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(task.kept_parts[1][0], variance, rtol=1e-11, atol=1e-13)


def test_far_from_zero_the_variance_of_a_batch_keeps_its_digits():
    case = Case([L.BatchNorm(momentum=1.0), L.Dense(1)], (5,), 60, "squared_error", 0)
    case.X += 1e6
    task = case.training()
    task.engine.train(1, None, np.zeros(1), 1, 1.0, 1)
    np.testing.assert_allclose(task.kept_parts[1][0], case.X.var(axis=0, ddof=1), rtol=1e-8)
