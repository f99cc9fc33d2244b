"""A source of the user's own: one class for what is read, one for reading it."""

import numpy as np
import pytest
from fusedgrad.data import Group, Reader, Source

from .blocks import check

X = np.arange(20.0).reshape(10, 2)


class Halves(Source):
    def open(self):
        return HalvesReader()

    @property
    def identity(self):
        return {"kind": "Halves"}


class HalvesReader(Reader):
    groups = [Group(5, 80), Group(5, 80)]

    def find(self, k):
        return X[k * 5 : k * 5 + 5], np.full(5, k), None


def test_a_source_of_one_s_own(tmp_path):
    y = np.repeat([0, 1], 5)
    check(Halves(), X, y, sizes=[5, 5])
    check(Halves().map(np.sqrt).cache(tmp_path / "rows"), np.sqrt(X), y, sizes=[5, 5])
    assert repr(Halves()) == "Halves()"
    assert Halves().open().place(1) == "group 1"


def test_sources_say_what_they_are():
    with pytest.raises(TypeError, match="abstract"):
        Source()
