"""The size of the team: it changes no bit, stays within what is allowed, and never hangs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, _threads
from fusedgrad.layers import GRU, BatchNorm, Conv2D, Dense, Flatten
from fusedgrad.linear_model import SGDClassifier, SGDRegressor, fit_many
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier
from fusedgrad.optimizers import Adam
from sklearn.exceptions import ConvergenceWarning

from . import child

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


@pytest.fixture
def policy():
    """Sets the policy, and takes it back."""
    before = _core.team_policy()
    yield _core.set_team_policy
    _core.set_team_policy(before)


RNG = np.random.default_rng(0)
X = RNG.standard_normal((4_000, 40)).astype(np.float32)
Y = (X[:, 0] + 0.3 * RNG.standard_normal(4_000) > 0).astype(int)
CODES = RNG.integers(5, size=4_000)
SPARSE = sp.random(4_000, 3_000, 0.01, "csr", dtype=np.float64, random_state=0)
IMAGES = RNG.standard_normal((300, 10, 10, 2)).astype(np.float32)
STEPS = RNG.standard_normal((300, 12, 6)).astype(np.float32)


def linear(n_jobs, X=X, y=Y, model=SGDClassifier, **options):
    settings = {"batch_size": 512, "max_iter": 4, "tol": None, "random_state": 0, "n_jobs": n_jobs} | options
    fitted = model(**settings).fit(X, y)
    return [fitted.coef_, fitted.intercept_, fitted.loss_curve_]


def grid(n_jobs):
    models = [
        SGDClassifier("log_loss", alpha=a, batch_size=512, max_iter=3, tol=None, random_state=0, n_jobs=n_jobs)
        for a in np.logspace(-5, -1, 6)
    ]
    return [each for model in fit_many(models, X, Y) for each in (model.coef_, model.intercept_)]


def network(n_jobs, layers, X, batch_size=100):
    y = CODES[: X.shape[0]]
    net = NeuralClassifier(layers, max_epochs=3, tol=None, batch_size=batch_size, random_state=0, n_jobs=n_jobs)
    net.fit(X, y)
    return [*net.weights_, net.loss_curve_, net.predict_proba(X)]


def perceptron(n_jobs):
    fitted = MLPClassifier((60, 30), max_iter=3, random_state=0, n_jobs=n_jobs).fit(X, CODES)
    return [*fitted.coefs_, fitted.loss_curve_]


def steps(n_jobs):
    w, g = np.linspace(-1, 1, 300_000, dtype=np.float32), np.linspace(0, 3, 300_000, dtype=np.float32) ** 2
    rule = Adam(clip_norm=1.0)
    state = rule.init(w)
    for _ in range(5):
        rule.step(w, g, state, n_jobs=n_jobs)
    return [w]


ENGINES = {
    "linear": linear,
    "five classes": lambda n_jobs: linear(n_jobs, y=CODES, loss="log_loss"),
    "clipped": lambda n_jobs: linear(n_jobs, optimizer=Adam(clip_norm=0.1)),
    "regression": lambda n_jobs: linear(n_jobs, y=X[:, 1], model=SGDRegressor, average=True),
    "sparse, direct": lambda n_jobs: linear(n_jobs, X=SPARSE),
    "sparse, swept": lambda n_jobs: linear(n_jobs, X=SPARSE, optimizer=Adam()),
    "sparse, waiting": lambda n_jobs: linear(n_jobs, X=SPARSE, batch_size=20, optimizer="adagrad"),
    "one sample a step": lambda n_jobs: linear(n_jobs, y=CODES, batch_size=1),
    "grid": grid,
    "perceptron": perceptron,
    "sparse network": lambda n_jobs: network(n_jobs, [Dense(50, "relu")], SPARSE[:600]),
    "images": lambda n_jobs: network(n_jobs, [Conv2D(8, 3), BatchNorm(), Flatten()], IMAGES),
    "sequences": lambda n_jobs: network(n_jobs, [GRU(16)], STEPS),
    "steps of arrays": steps,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_teams_that_change_between_steps_change_no_bit(engine, policy):
    expected = ENGINES[engine](1)
    for how in ("random", "whole", "measured"):
        policy(how)
        for n_jobs in (2, 3, 8):
            for mine, alone in zip(ENGINES[engine](n_jobs), expected, strict=True):
                np.testing.assert_array_equal(mine, alone, err_msg=f"{how}, n_jobs={n_jobs}")


def groups(root: Path, lines: str, files: dict[str, str]) -> Path:
    """A root folder with /proc/self/cgroup, and files under /sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": lines, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 1.5),
        ("0::/host/path\n", {"cpu.max": "50000 100000\n"}, 0.5),
        (
            "3:cpu,cpuacct:/x\n0::/\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("3:cpu,cpuacct:/docker/0\n", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ("2:cpuset:/\n5:memory:/\n", {}, None),
        ("0::/\n", {"unified/cpu.max": "100000 100000\n"}, 1.0),
    ],
)
def test_quotas_of_control_groups(lines, files, expected, tmp_path):
    assert _threads.quota(groups(tmp_path, lines, files)) == expected


def test_no_control_groups(tmp_path):
    assert _threads.quota(tmp_path) is None


def test_a_quota_of_one_processor_means_one_thread(monkeypatch):
    monkeypatch.setattr(_threads, "quota", lambda: 1.0)
    monkeypatch.setattr(_threads, "_looked_at", -np.inf)
    assert _threads.threads_for(None, None, 1e9) == 1
    assert _threads.threads_for(-1, None, 1e9) == 1
    assert _threads.threads_for(3, None, 1e9) == 3  # who asks for three gets up to three
    assert _threads.explained().startswith("1 (") and "quota of 1 processors: 1" in _threads.explained()
    monkeypatch.undo()
    monkeypatch.setattr(_threads, "_looked_at", -np.inf)
    _threads.allowed()


ASKED = """
import os, sys
if len(sys.argv) > 1:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np
from fusedgrad import SGDClassifier, _threads
X = np.ones((20_000, 60), np.float32)
before = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
SGDClassifier(batch_size=1024, max_iter=20, tol=None).fit(X, np.arange(20_000) % 2)
after = len(os.listdir("/proc/self/task")) if before else 0
print(after - before, _threads.threads_for(None, None, 1e9), _threads.explained())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_one_processor_means_one_thread():
    shown = child.forked(ASKED, "one").stdout
    assert shown.startswith("0 1 1 (processors: 1"), shown


def test_the_environment_limits_threads():
    shown = child.python(ASKED, OMP_NUM_THREADS="1").stdout
    assert shown.startswith("0 1 1 (") and "OMP_NUM_THREADS=1: 1" in shown, shown
