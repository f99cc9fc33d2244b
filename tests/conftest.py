import pytest
from fusedgrad import _core


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
