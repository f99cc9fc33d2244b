"""200 random estimators on random data: each ends in a result or in a documented error, with inputs unchanged, the
estimator unchanged after an error, and the same bits for one and three threads. (`python -m tests.fuzz 0 2000` runs
more.)"""

import pytest

from . import fuzz


@pytest.mark.parametrize("seed", range(200))
def test_a_random_configuration(seed):
    print(fuzz.describe(seed))
    fuzz.run(seed)
