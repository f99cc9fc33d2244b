import pytest


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    """scikit-learn's fixture of this name, which its own tests ask for."""
    return request.param
