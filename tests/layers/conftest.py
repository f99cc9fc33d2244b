import pytest


@pytest.fixture
def one_torch_thread():
    """Batches this small are slower with several."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
