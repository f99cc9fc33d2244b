"""Optimizers as methods of scipy.optimize.minimize."""

import math
import re

import numpy as np
import pytest
from fusedgrad.optimizers import (
    SGD,
    Adam,
    Lion,
)
from scipy.optimize import OptimizeWarning, minimize, rosen, rosen_der

from ..reference.rules import OPTIMIZERS

SCALES = np.array([1.0, 3.0, 0.3, 10.0])


def bowl(x, center=0.0):
    return 0.5 * np.sum(SCALES * (x - center) ** 2)


def bowl_der(x, center=0.0):
    return SCALES * (x - center)


@pytest.mark.parametrize("method", [known.bowl for known in OPTIMIZERS.values()], ids=repr)
def test_every_optimizer_minimises_a_bowl(method):
    result = minimize(bowl, np.full(4, 2.0), args=(1.0,), jac=bowl_der, method=method, options={"gtol": 1e-6})
    assert result.success and result.status == 0, result.message
    assert np.abs(result.jac).max() <= 1e-6
    np.testing.assert_allclose(result.x, 1.0, atol=1e-5)
    assert result.message == "The gradient is small: no entry of it exceeds gtol=1e-06."


def test_rosenbrock():
    options = {"maxiter": 5000, "gtol": 1e-6, "return_all": True}
    result = minimize(rosen, [-1.0, 1.5, 0.5], jac=rosen_der, method=Adam(0.05), options=options)
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-4)
    assert 10 < result.nit < 5000 and result.nfev == result.njev == result.nit + 1
    assert len(result.fun_history) == len(result.x_history) == result.nit + 1
    assert result.fun_history == [rosen(x) for x in result.x_history]
    np.testing.assert_array_equal(result.x_history[0], [-1.0, 1.5, 0.5])
    np.testing.assert_array_equal(result.x_history[-1], result.x)
    assert result.fun == result.fun_history[-1] == rosen(result.x)
    np.testing.assert_array_equal(result.jac, rosen_der(result.x))


def test_iterates_are_those_of_step():
    method, x = Adam(0.1), np.array([3.0, -1.0])
    options = {"maxiter": 7, "return_all": True}
    result = minimize(lambda x: x @ x, x, jac=lambda x: 2 * x, method=method, options=options)
    state = method.init(x)
    for iterate in result.x_history:
        np.testing.assert_array_equal(x, iterate)
        method.step(x, 2 * x, state)


def test_the_end_of_patience():
    result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(1e-3), options={"maxiter": 3})
    assert (result.success, result.status, result.nit) == (False, 1, 3)
    assert result.message == "Maximum number of iterations has been exceeded."
    assert "x_history" not in result
    start = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(1e-3), options={"maxiter": 0})
    assert (start.nit, start.nfev, start.fun_history) == (0, 1, [bowl(np.ones(4))])
    there = minimize(bowl, np.zeros(4), jac=bowl_der, method=SGD(1e-3), options={"maxiter": 0})
    assert there.success


def test_divergence_is_no_success():
    with np.errstate(over="ignore"):
        result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(10.0), options={"maxiter": 5000})
    assert (result.success, result.status) == (False, 3)
    assert re.match(
        r"The (objective is inf|gradient is not finite) after \d+ iterations. Try a smaller", result.message
    )
    nowhere = minimize(lambda x: math.nan, np.ones(4), jac=bowl_der, method=SGD(0.1))
    assert (nowhere.nit, nowhere.success) == (0, False)
    assert nowhere.message == "The objective is nan after 0 iterations. Try another x0."


def test_a_descent_that_drifts_away_has_diverged():
    """A rate a little too large: the objective grows, and stays finite."""
    result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(1.5), options={"maxiter": 60})
    assert (result.success, result.status, result.nit) == (False, 4, 60)
    assert 1e17 < result.fun < math.inf
    message = (
        r"Diverged: the objective grew from [0-9.]+ to [0-9.]+e\+\d+ in 60 iterations. Try a smaller learning_rate"
    )
    assert re.match(message, result.message)


@pytest.mark.parametrize(
    "fun, jac, x0, method",
    [
        (bowl, bowl_der, np.ones(4), SGD(1e-9)),  # far from the end
        (bowl, bowl_der, np.full(4, 1e9), SGD(1e-9)),  # far out, and on its way down
        (lambda x: -x.sum(), lambda x: -np.ones(4), np.ones(4), SGD(1e9)),  # without end, but down
        (bowl, bowl_der, np.full(4, 0.3), Lion(2.0)),  # to and fro about the minimum
    ],
)
def test_a_descent_that_is_not_done_has_not_diverged(fun, jac, x0, method):
    result = minimize(fun, x0, jac=jac, method=method, options={"maxiter": 25})
    assert (result.success, result.status) == (False, 1)
    assert result.message == "Maximum number of iterations has been exceeded."


def test_of_a_saddle_point_is_said_what_is_known():
    result = minimize(lambda x: x[0] ** 2 - x[1] ** 2, [1.0, 0.0], jac=lambda x: 2 * x * [1, -1], method=SGD(0.1))
    assert result.status == 0
    assert result.message == "The gradient is small: no entry of it exceeds gtol=1e-05."


@pytest.mark.parametrize("jac", [None, False, "2-point"])
def test_gradients_by_finite_differences(jac):
    result = minimize(bowl, np.ones(4), jac=jac, method=SGD(0.1, momentum=0.5), options={"gtol": 1e-5})
    assert result.success and result.njev == result.nit + 1
    np.testing.assert_allclose(result.x, 0.0, atol=1e-4)
    assert result.nfev == (result.nit + 1) * 6  # the value, and approx_fprime's five


def test_objectives_that_return_their_gradient():
    calls = []

    def both(x):
        calls.append(x)
        return bowl(x), bowl_der(x)

    through = minimize(both, np.ones(4), jac=True, method=SGD(0.1))
    assert len(calls) == through.nfev
    directly = SGD(0.1)(both, np.ones(4), jac=True)
    np.testing.assert_array_equal(through.x, directly.x)
    assert directly.nfev == directly.njev == through.nfev


def test_callbacks_hear_of_every_iterate():
    seen, results = [], []

    def by_x(xk):
        seen.append(xk)

    def by_result(intermediate_result):
        results.append(intermediate_result)

    for callback in (by_x, by_result):
        options = {"return_all": True, "maxiter": 20}
        result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), callback=callback, options=options)
    np.testing.assert_array_equal(seen, result.x_history[1:])
    np.testing.assert_array_equal([r.x for r in results], result.x_history[1:])
    assert [r.fun for r in results] == result.fun_history[1:]
    minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), callback=[].append)  # tells no signature


def test_callbacks_may_stop():
    def stop(xk):
        if xk[0] < 0.5:
            raise StopIteration

    result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), callback=stop)
    assert (result.success, result.status) == (False, 99)
    assert result.message == "`callback` raised `StopIteration`."
    assert result.x[0] < 0.5 and result.nit == len(result.fun_history) - 1 < 10


def test_functions_cannot_change_the_iterates():
    def rude(x):
        value = bowl(x)
        x[:] = 1e9
        return value

    result = minimize(rude, np.ones(4), jac=lambda x: bowl_der(x.copy()), method=SGD(0.1), callback=rude)
    assert result.success
    np.testing.assert_allclose(result.x, 0, atol=1e-4)


def test_unknown_options_are_warned_of():
    with pytest.warns(OptimizeWarning, match="Unknown solver options: ftol, disp"):
        minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), options={"ftol": 1e-3, "disp": False})


@pytest.mark.parametrize(
    "unused",
    [
        {"bounds": [(0, 1)] * 4},
        {"constraints": {"type": "eq", "fun": bowl}},
        {"hess": lambda x: np.diag(SCALES)},
        {"hessp": lambda x, p: SCALES * p},
    ],
    ids=lambda unused: next(iter(unused)),
)
def test_what_cannot_be_used_is_warned_of(unused):
    with pytest.warns(RuntimeWarning, match=f"Method Adam cannot handle {next(iter(unused))}"):
        minimize(bowl, np.ones(4), jac=bowl_der, method=Adam(0.1), **unused)


def test_tol_is_gtol():
    by_tol = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), tol=0.5)
    by_gtol = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), options={"gtol": 0.5})
    assert by_tol.nit == by_gtol.nit < minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1)).nit


@pytest.mark.parametrize(
    "options, message",
    [
        ({"maxiter": 1.5}, "'maxiter' option must be an int in the range"),
        ({"maxiter": -1}, "'maxiter' option.*Got -1"),
        ({"gtol": -1e-3}, "'gtol' option must be a float in the range"),
        ({"gtol": math.nan}, "'gtol' option"),
        ({"eps": 0.0}, "'eps' option"),
        ({"return_all": "yes"}, "'return_all' option must be one of True, False"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), options=options)


def test_bad_functions():
    with pytest.raises(ValueError, match=r"objective function must return a number. Got an array of shape \(4,\)"):
        minimize(lambda x: x, np.ones(4), jac=bowl_der, method=SGD(0.1))
    with pytest.raises(
        ValueError, match=r"jac must return an array of the shape of x, \(4,\). Got one of shape \(3,\)"
    ):
        minimize(bowl, np.ones(4), jac=lambda x: x[:3], method=SGD(0.1))
    with pytest.raises(ValueError, match="one dimension"):
        SGD(0.1)(bowl, np.ones((2, 2)), jac=bowl_der)


def test_start_points_of_any_kind():
    for x0 in ([1, 2, 3, 4], np.ones(4, np.float32), (1.0,) * 4):
        result = minimize(bowl, x0, jac=bowl_der, method=SGD(0.1))
        assert result.success and result.x.dtype == np.float64
    scalar = minimize(lambda x: x[0] ** 2, 3.0, jac=lambda x: 2 * x, method=SGD(0.1))
    assert scalar.success and scalar.x.shape == (1,)
