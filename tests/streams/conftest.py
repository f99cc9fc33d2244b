"""Sources so small that they would be read whole, were they not taken for large."""

import pytest
from fusedgrad import _sources
from fusedgrad._training.streams import order

BUFFER = 20_000


@pytest.fixture
def large(monkeypatch):
    """Every source is larger than what may be read into memory, and a block has 20 kB."""
    monkeypatch.setattr(_sources, "LIMIT", 0)
    monkeypatch.setattr(order, "BUFFER", BUFFER)
