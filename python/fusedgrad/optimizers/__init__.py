"""Optimizers: how weights move, given their gradient.

An optimizer is a small immutable description, which is used in three ways: in an estimator, where a `learning_rate` of
its own takes precedence over the estimator's; on NumPy arrays, in place and in one pass over memory; and as a method of
``scipy.optimize.minimize``. Formulas and defaults are those of ``torch.optim`` where torch has the rule, so that a
trajectory equals torch's to rounding. Solvers, `Auto` and `LBFGS`, take the place of an optimizer in linear models:
they look at all rows at each step, and need no rate.

>>> import numpy as np
>>> from fusedgrad import optimizers
>>> w = np.array([1.0, -2.0])
>>> adam = optimizers.Adam(0.1)
>>> state = adam.init(w)
>>> for _ in range(3):
...     adam.step(w, 2 * w, state)  # the gradient of w @ w
>>> w.round(4)
array([ 0.7016, -1.7006])

>>> from scipy.optimize import minimize, rosen, rosen_der
>>> minimize(rosen, [2.0, 2.0], jac=rosen_der, method=optimizers.Adam(0.05)).x.round(3)
array([1., 1.])
"""

# ruff: noqa: F403
from . import _adagrad, _adam, _lion, _sgd, _solvers
from ._adagrad import *
from ._adam import *
from ._catalog import get, names, solver_names
from ._lion import *
from ._optimizer import Optimizer, State
from ._sgd import *
from ._solvers import *
from ._solvers import Solver

# A class of a family enters by the `__all__` of its file.
__all__ = ["Optimizer", "Solver", "State", "get", "names", "solver_names"]
__all__ += _sgd.__all__
__all__ += _adagrad.__all__
__all__ += _adam.__all__
__all__ += _lion.__all__
__all__ += _solvers.__all__
