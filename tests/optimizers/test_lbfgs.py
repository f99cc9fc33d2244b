"""L-BFGS on arrays and as a method of SciPy."""

import copy
import pickle

import numpy as np
import pytest
from fusedgrad.optimizers import LBFGS
from scipy.optimize import minimize, rosen, rosen_der


def trajectory(optimizer, steps, start, gradient):
    w = np.array(start)
    state, points = optimizer.init(w), []
    for _ in range(steps):
        optimizer.step(w, gradient(w), state)
        points.append(w.copy())
    return np.array(points)


def reference(memory, steps, start, gradient):
    """The BFGS matrix of the last pairs, written out."""
    w, pairs, points, last = np.array(start), [], [], None
    for _ in range(steps):
        g = gradient(w)
        if last is not None:
            s, y = w - last[0], g - last[1]
            if s @ y > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y):
                pairs = [*pairs, (s, y)][-memory:]
        if pairs:
            s, y = pairs[-1]
            H = np.eye(len(w)) * (s @ y) / (y @ y)
            for s, y in pairs:
                V = np.eye(len(w)) - np.outer(y, s) / (s @ y)
                H = V.T @ H @ V + np.outer(s, s) / (s @ y)
            to = w - H @ g
        else:
            to = w - min(1, 1 / np.abs(g).sum()) * g
        last, w = (w, g), to
        points.append(w)
    return np.array(points)


def gradient(w):
    return np.linspace(1, 30, len(w)) * w + 0.3 * w**3 + np.sin(w[::-1])


@pytest.mark.parametrize("memory", [1, 3, 10])
@pytest.mark.parametrize("size", [1, 7])
def test_steps_are_those_of_the_matrix(memory, size):
    start = np.random.default_rng(size).normal(size=size)
    found = trajectory(LBFGS(memory), 8, start, gradient)
    np.testing.assert_allclose(found, reference(memory, 8, start, gradient), rtol=1e-6, atol=1e-9)


def test_steps_are_those_of_torch():
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).normal(size=5)
    w = torch.tensor(start, requires_grad=True)
    theirs, points = torch.optim.LBFGS([w], max_iter=1, history_size=4, tolerance_grad=0, tolerance_change=0), []

    def closure():
        w.grad = torch.tensor(gradient(w.detach().numpy()))
        return torch.tensor(0.0)

    for _ in range(8):
        theirs.step(closure)
        points.append(w.detach().numpy().copy())
    np.testing.assert_allclose(trajectory(LBFGS(4), 8, start, gradient), points, rtol=1e-6, atol=1e-9)


def test_going_on_with_a_copy_equals_not_having_stopped():
    layers = [np.ones((3, 2), np.float32), np.ones(2)]
    lbfgs = LBFGS(3)
    state = lbfgs.init(layers)

    def steps(layers, state):
        for _ in range(4):
            lbfgs.step(
                layers, [gradient(layers[0].ravel()).reshape(3, 2).astype(np.float32), gradient(layers[1])], state
            )

    steps(layers, state)
    other, its = pickle.loads(pickle.dumps((layers, state)))
    steps(layers, state)
    steps(other, its)
    assert state.step == 8
    for array, same in zip(layers, other, strict=True):
        np.testing.assert_array_equal(array, same)


def test_errors_change_nothing():
    w = np.ones(3)
    state = LBFGS().init(w)
    for params, grads, given, message in [
        (w, np.ones(2), state, "shapes"),
        (np.ones(2), np.ones(2), state, "state is of 3"),
        (w, np.ones(3), {}, "LBFGSState"),
        ([1.0, 2.0], np.ones(2), state, "params"),
    ]:
        before = copy.deepcopy(state)
        with pytest.raises((ValueError, TypeError), match=message):
            LBFGS().step(params, grads, given)
        assert (state.step, state.size, len(state.pairs)) == (before.step, before.size, len(before.pairs))
    np.testing.assert_array_equal(w, 1)


def test_minimize():
    found = minimize(rosen, [2.0, 2.0], jac=rosen_der, method=LBFGS(), tol=1e-10, options={"maxiter": 200})
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-6)
    bounded = minimize(rosen, [2.0, 2.0], jac=rosen_der, method=LBFGS(3), bounds=[(0, 0.5), (None, None)])
    np.testing.assert_allclose(bounded.x, [0.5, 0.25], atol=1e-5)
