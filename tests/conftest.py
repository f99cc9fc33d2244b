import shutil

import pytest
from fusedgrad import _core
from fusedgrad._training import snapshots
from threadpoolctl import threadpool_limits


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    """scikit-learn's fixture of this name, which its own tests ask for."""
    return request.param


@pytest.fixture(scope="session", autouse=True)
def teams_of_all_sizes():
    """Teams change their size at random between steps: no result may depend on it."""
    _core.set_team_policy("random")
    yield
    _core.set_team_policy("measured")


@pytest.fixture(scope="session", autouse=True)
def one_thread_of_blas():
    """The references' products are small, and xdist's workers as many as the processors: more threads would spin."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Every file that a checkpoint has written, in order."""
    files = []

    def write(path, state, original=snapshots.write):
        original(path, state)
        files.append(shutil.copy(path, tmp_path / f"{len(files)}.copy"))

    monkeypatch.setattr(snapshots, "write", write)
    return files
