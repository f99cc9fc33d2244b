"""Small cases for regression tracking with pytest-benchmark; not part of the test suite."""

import pytest

from bench import discover
from bench.solvers import fusedgrad

PROBLEMS = discover("problems")
SCALES = {
    "dense-float32-cache": 1.0,
    "csr-float64": 0.02,
    "partial-fit-row": 0.1,
    "predict-row": 0.1,
    "mini-batch-dense": 0.1,
    "mini-batch-rows": 0.1,
    "mini-batch-ten-classes": 0.1,
    "mini-batch-csr": 0.02,
}


@pytest.mark.parametrize("name", SCALES)
def test_kernel(benchmark, name):
    case = PROBLEMS[name].make(SCALES[name]).each()[-1].for_subject()
    benchmark.pedantic(lambda run: run(), setup=lambda: ((fusedgrad.prepare(case),), {}), rounds=20, warmup_rounds=2)
