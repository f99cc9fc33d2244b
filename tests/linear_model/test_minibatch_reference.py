"""The judge of the mini-batch engine is right itself: closed forms, finite differences, optimality, torch."""

import numpy as np
import pytest
from fusedgrad.optimizers import SGD, Adam

from ..reference import minibatch
from ..reference.losses import LOSSES, coded
from ..reference.rules import OPTIMIZERS, VARIANTS, suited

N, D, K = 24, 5, 3
every_rule = pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
STEADY = {"momentum", "dampening", "nesterov"}  # options with which a falling rate leads to the same place
every_converging_rule = pytest.mark.parametrize(
    "optimizer",
    [
        optimizer
        for kind, known in OPTIMIZERS.items()
        for optimizer in [known.bowl, *(kind(**fields) for fields in known.examples[1:] if set(fields) <= STEADY)]
        if "optimum at a constant rate" not in known.without
    ],
    ids=repr,
)


def data(loss, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) / 2
    Y = X @ rng.normal(size=(D, K)) + 0.3 + rng.normal(size=(N, K)) / 5
    if loss == "softmax":
        return X, np.eye(K)[Y.argmax(axis=1)]
    return X, coded(loss, Y - 0.3 if loss not in ("squared_error", "huber") else Y)


def full_batch(optimizer, loss, epochs, **params):
    X, Y = data(loss)
    rate = suited(optimizer)
    return minibatch.train(
        X,
        Y,
        loss=loss,
        rule=optimizer.rule,
        rates=lambda step: rate,
        batch_size="full",
        orders=[range(N)] * epochs,
        **params,
    )


def test_least_squares_by_gradient_descent_has_a_closed_form():
    X, Y = data("squared_error")
    l2, rate, steps = 0.1, suited(SGD()), 100
    model = full_batch(SGD(), "squared_error", steps, l2=l2)
    Z = np.column_stack([X, np.ones(N)])
    H = Z.T @ Z / N + l2 * np.diag([1.0] * D + [0.0])
    best = np.linalg.solve(H, Z.T @ Y / N)
    left = np.linalg.matrix_power(np.eye(D + 1) - rate * H, steps)
    np.testing.assert_allclose(np.column_stack([model.coef, model.intercept]).T, best - left @ best, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [*LOSSES, "softmax"])
def test_the_gradient_is_that_of_the_objective(loss, weighted):
    X, Y = data(loss)
    rng = np.random.default_rng(1)
    W, b = rng.normal(size=(K, D)), rng.normal(size=K)
    weight = rng.uniform(0.2, 3, N if loss == "softmax" else (N, K)) if weighted else None
    share = minibatch.relative(weight, Y)
    g, g_b = minibatch.gradient(X, Y, W, b, loss=loss, weight=share)
    outputs = 1 if loss == "softmax" else K  # the objective is a mean over outputs, each of which has its own gradient

    def value(coef, intercept):
        return outputs * minibatch.objective(X, Y, coef, intercept, loss=loss, weight=weight)

    h = 1e-6
    for k in range(K):
        one = np.eye(K)[k]
        np.testing.assert_allclose(g_b[k], (value(W, b + h * one) - value(W, b - h * one)) / (2 * h), atol=1e-8)
        for j in range(D):
            step = h * np.outer(one, np.eye(D)[j])
            np.testing.assert_allclose(g[k, j], (value(W + step, b) - value(W - step, b)) / (2 * h), atol=1e-8)


@every_rule
def test_the_loss_curve_of_full_batches_is_the_objective_before_each_step(optimizer):
    X, Y = data("huber")
    weight = np.random.default_rng(2).uniform(0, 2, N)
    params = {"l1": 0.02, "l2": 0.05, "weight": weight}
    model = full_batch(optimizer, "huber", 4, **params)
    for epoch in range(4):
        past = full_batch(optimizer, "huber", epoch, **params)
        expected = minibatch.objective(X, Y, past.coef, past.intercept, loss="huber", **params)
        np.testing.assert_allclose(model.loss_curve[epoch], expected, rtol=1e-12)


@every_converging_rule
@pytest.mark.parametrize("l1, l2", [(0.05, 0.0), (0.03, 0.05)])
def test_full_batches_end_at_the_optimum_of_the_objective(optimizer, l1, l2):
    X, Y = data("softmax")
    known = OPTIMIZERS[type(optimizer)]
    model = minibatch.train(
        X,
        Y,
        loss="softmax",
        rule=optimizer.rule,
        rates=lambda step: known.optimum * (1 - step / 1500) ** 2,
        batch_size="full",
        orders=[range(N)] * 1500,
        l1=l1,
        l2=l2,
    )
    W = model.coef
    g, g_b = minibatch.gradient(X, Y, W, model.intercept, loss="softmax", weight=np.ones_like(Y))
    g = g + l2 * W
    violation = np.where(W != 0, np.abs(g + l1 * np.sign(W)), np.maximum(0, np.abs(g) - l1))
    assert violation.max() < 5e-3
    assert np.abs(g_b).max() < 5e-3
    if l1:
        assert (W == 0).any()
        assert (W != 0).any()


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.8), Adam()], ids=repr)
@pytest.mark.parametrize("weight_decay, clip", [(0.0, None), (0.1, None), (0.0, 0.2)])
@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
def test_torch_takes_the_same_path(optimizer, loss, weight_decay, clip):
    torch = pytest.importorskip("torch")
    rate = suited(optimizer)
    X, Y = data(loss)
    rng = np.random.default_rng(3)
    orders = [rng.permutation(N) for _ in range(3)]
    ours = minibatch.train(
        X,
        Y,
        loss=loss,
        rule=optimizer.rule,
        rates=lambda step: rate,
        batch_size=7,
        orders=orders,
        weight_decay=weight_decay,
        clip_norm=clip,
    )
    layer = torch.nn.Linear(D, K, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    groups = [{"params": [layer.weight], "weight_decay": weight_decay}, {"params": [layer.bias]}]
    theirs = (
        torch.optim.Adam(groups, lr=rate) if optimizer == Adam() else torch.optim.SGD(groups, lr=rate, momentum=0.8)
    )
    for rows in (rows for order in orders for rows in minibatch.batches(order, 7)):
        x, y = torch.tensor(X[rows]), torch.tensor(Y[rows])
        p = layer(x)
        squares = ((p - y) ** 2).sum() / 2 / len(rows)
        cost = torch.nn.functional.cross_entropy(p, y) if loss == "softmax" else squares
        theirs.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), clip or np.inf)
        theirs.step()
    np.testing.assert_allclose(ours.coef, layer.weight.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.intercept, layer.bias.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("average", [1, 4, 9, 100])
def test_the_average_is_the_mean_of_the_weights_after_each_step_from_there_on(average):
    model = full_batch(SGD(momentum=0.8), "squared_error", 9, average=average)
    path = [full_batch(SGD(momentum=0.8), "squared_error", steps) for steps in range(1, 10)]
    if average > 9:
        assert model.average_coef is None
    else:
        expected = np.mean([past.coef for past in path[average - 1 :]], axis=0)
        np.testing.assert_allclose(model.average_coef, expected, rtol=1e-12)


@every_rule
def test_going_on_is_not_having_stopped(optimizer):
    X, Y = data("squared_error")
    orders = [np.random.default_rng(seed).permutation(N) for seed in range(4)]

    def train(orders, start=None):
        return minibatch.train(
            X,
            Y,
            loss="huber",
            rule=optimizer.rule,
            rates=lambda step: suited(optimizer) / (1 + step),
            batch_size=7,
            orders=orders,
            l1=0.01,
            l2=0.01,
            average=5,
            start=start,
        )

    whole, first = train(orders), train(orders[:2])
    for _ in range(2):  # the start is not changed
        rest = train(orders[2:], start=first)
        np.testing.assert_array_equal(rest.coef, whole.coef)
        for averaged in (False, True):
            np.testing.assert_array_equal(rest.answer(averaged=averaged)[0], whole.answer(averaged=averaged)[0])
        assert rest.loss_curve == whole.loss_curve


def test_a_short_last_batch_is_a_mean_over_its_own_rows():
    X, Y = data("squared_error")
    params = {"loss": "squared_error", "rule": ("sgd", {}), "rates": lambda step: 0.3}
    model = minibatch.train(X, Y, batch_size=23, orders=[range(N)], **params)
    first = minibatch.train(X[:23], Y[:23], batch_size="full", orders=[range(23)], **params)
    both = minibatch.train(X[23:], Y[23:], batch_size=1, orders=[range(1)], start=first, **params)
    np.testing.assert_allclose(model.coef, both.coef, rtol=1e-12)
