"""What steps and changes of the gradient tell of the curvature."""

import numpy as np
import pytest
from fusedgrad._pairs import Pairs


def test_enough_pairs_are_the_inverse():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(4, 4))
    hessian = A @ A.T + np.eye(4)
    pairs = Pairs(4)
    point = g = np.ones(4)
    for _ in range(4):  # steps that are conjugate, as exact line searches make them
        direction = -pairs.solve(g, lambda q: q.copy())
        to = point - (g @ direction) / (direction @ hessian @ direction) * direction
        pairs.add(to - point, hessian @ (to - point))
        g, point = g + hessian @ (to - point), to
    v = rng.normal(size=4)
    np.testing.assert_allclose(pairs.solve(hessian @ v, lambda q: q.copy()), v, rtol=1e-9)


@pytest.mark.parametrize("size", [1e-100, 1e-150, 1e-160, 1e-200, 1e-310])
def test_pairs_so_small_that_their_products_underflow_do_no_harm(size):
    pairs = Pairs(3)
    pairs.add(np.array([1e5, 2e5]), np.array([size, 2 * size]))
    pairs.add(np.array([size, 0.0]), np.array([size, 0.0]))
    pairs.add(np.array([1.0, size]), np.array([size, 0.0]))
    found = pairs.solve(np.array([1.0, -1.0]), lambda q: 1e-3 * q, 1e6)
    assert np.all(np.isfinite(found))
