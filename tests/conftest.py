import shutil

import pytest
from fusedgrad import _core
from fusedgrad._training import snapshots


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


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Every file that a checkpoint has written, in order."""
    files = []

    def write(path, state, original=snapshots.write):
        original(path, state)
        files.append(shutil.copy(path, tmp_path / f"{len(files)}.copy"))

    monkeypatch.setattr(snapshots, "write", write)
    return files
