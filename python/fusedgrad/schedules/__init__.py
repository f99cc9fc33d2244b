"""Learning-rate schedules: small immutable functions of the step.

A schedule is called with the number of mini-batch steps made so far (0 at the first step), or with an array of
such numbers, and returns the rate of that step. It does not count epochs: an epoch has
``ceil(n_samples / batch_size)`` steps. Wherever a schedule is accepted, so are a number and any callable
``step -> rate``; estimators and optimizers also take the name of a schedule, see `as_schedule`.

>>> from fusedgrad import schedules
>>> schedule = schedules.Warmup(schedules.Cosine(0.1, steps=4), steps=2, start_factor=0.5)
>>> schedule
Warmup(schedule=Cosine(rate=0.1, steps=4, end_rate=0.0), steps=2, start_factor=0.5)
>>> schedule(0), schedule(2), schedule(6)
(0.05, 0.1, 0.0)
>>> schedule([0, 1, 2, 4, 6])
array([0.05 , 0.075, 0.1  , 0.05 , 0.   ])
"""

# ruff: noqa: F403
import re

from . import _cycles, _decays, _pieces, _plateau, _warmup
from ._cycles import *
from ._decays import *
from ._names import CATALOG, as_schedule, get, names
from ._pieces import *
from ._plateau import *
from ._plateau import PlateauState
from ._rule import learning_rate_rule as learning_rate_rule
from ._schedule import LAST_STEP as LAST_STEP
from ._schedule import Schedule
from ._schedule import rate_at as rate_at
from ._table import table
from ._warmup import *

# A class of a family enters by the `__all__` of its file.
__all__ = ["PlateauState", "Schedule", "as_schedule", "get", "names", "table"]
__all__ += _pieces.__all__
__all__ += _decays.__all__
__all__ += _cycles.__all__
__all__ += _warmup.__all__
__all__ += _plateau.__all__

for _family in (_pieces, _decays, _cycles, _warmup, _plateau):
    for _name, _kind in vars(_family).items():  # in the order of their definition
        if _name in _family.__all__:
            CATALOG[re.sub(r"(?<!^)(?=[A-Z])", "_", _name).lower()] = _kind
