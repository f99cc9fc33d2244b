"""The kernels of the core for regression tracking with pytest-benchmark; not part of the test suite."""

import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning

from bench.kernels import KERNELS, way


@pytest.mark.parametrize("name", KERNELS)
def test_kernel(benchmark, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        prepare = way(KERNELS[name].case()).prepare
        benchmark.pedantic(lambda run: run(), setup=lambda: ((prepare(),), {}), rounds=10, warmup_rounds=1)
