"""The order of rows: each once an epoch, whole batches, the same for all who have the same groups."""

from itertools import chain

import numpy as np
import pytest
from fusedgrad._training.streams import order as module
from fusedgrad._training.streams.order import Order
from fusedgrad.data import Array, Batches
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "BUFFER", 800)


def source_of(rows, group):
    return Array(np.arange(2.0 * rows).reshape(rows, 2), np.arange(rows), group=group)


def blocks_of(source, order, epoch=0, first=0):
    with source.open() as reader:
        return [block.y.astype(int).tolist() for block in order.blocks(reader, epoch, first)]


orders = st.builds(Order, st.integers(1, 40), st.booleans(), st.integers(0, 3), st.just(16.0))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 700), st.integers(1, 90), orders, st.integers(0, 5))
def test_every_row_comes_once_in_blocks_of_whole_batches(rows, group, order, epoch):
    blocks = blocks_of(source_of(rows, group), order, epoch)
    assert sorted(chain(*blocks)) == list(range(rows))
    assert all(len(block) % order.batch == 0 for block in blocks[:-1])
    # A block is as large as the buffer and a batch ask for, and no larger than one more group makes it.
    assert all(len(block) <= max(800 // 16, order.batch) + group + order.batch for block in blocks)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 700), st.integers(1, 90), orders, st.integers(0, 8))
def test_an_epoch_can_begin_in_its_middle(rows, group, order, first):
    source = source_of(rows, group)
    assert blocks_of(source, order, 1, first) == blocks_of(source, order, 1)[first:]


@pytest.mark.parametrize("first", [0, 1, 3])
def test_what_has_no_groups_comes_in_its_order(first):
    pieces = [(np.zeros((n, 2)), np.arange(n) + sum(range(n))) for n in range(1, 40)]
    found = blocks_of(Batches(lambda: iter(pieces)), Order(8, True, 0, 16.0), 0, first)
    expected = blocks_of(Batches(lambda: iter(pieces)), Order(8, False, 1, 16.0))[first:]
    assert list(chain(*found)) == list(chain(*expected))
    assert all(len(block) % 8 == 0 for block in found[:-1])


def test_epochs_and_seeds_differ():
    source = source_of(500, 10)
    found = [blocks_of(source, Order(8, True, seed, 16.0), epoch) for seed in range(3) for epoch in range(3)]
    assert len({str(each) for each in found}) == 9
    assert blocks_of(source, Order(8, True, 1, 16.0), 2) == found[5]
