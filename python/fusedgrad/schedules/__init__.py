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

import re

from ._cycles import Cosine, CosineRestarts, Cyclic, OneCycle
from ._decays import Exponential, InverseScaling, InverseTime, Linear, Optimal, Polynomial
from ._names import CATALOG, as_schedule, get, names
from ._pieces import Constant, MultiStep, Piecewise, Step
from ._plateau import PlateauState, ReduceOnPlateau
from ._rule import learning_rate_rule as learning_rate_rule
from ._schedule import LAST_STEP as LAST_STEP
from ._schedule import Schedule
from ._schedule import rate_at as rate_at
from ._table import table
from ._warmup import Warmup

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "InverseScaling",
    "InverseTime",
    "Linear",
    "MultiStep",
    "OneCycle",
    "Optimal",
    "Piecewise",
    "PlateauState",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "Warmup",
    "as_schedule",
    "get",
    "names",
    "table",
]

for _kind in (
    *(Constant, Step, Piecewise, MultiStep),
    *(Exponential, Polynomial, Linear, InverseTime, InverseScaling, Optimal),
    *(Cosine, CosineRestarts, OneCycle, Cyclic),
    *(Warmup, ReduceOnPlateau),
):
    CATALOG[re.sub(r"(?<!^)(?=[A-Z])", "_", _kind.__name__).lower()] = _kind
