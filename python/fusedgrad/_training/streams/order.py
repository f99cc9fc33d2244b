"""The order in which rows of a source are learned: groups in random order, mixed in a buffer of some of them.

It is a function of the seed, the epoch and the sizes of the groups alone; so a file gives the same bits as arrays that
are cut into groups as the file is, and reading can begin in the middle of an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...data import Block, Group, Reader, concatenate

BUFFER = 64 << 20  # bytes of rows that are mixed, about


class Piece(NamedTuple):
    """Rows begin, ..., end - 1 of a group."""

    group: int
    begin: int
    end: int


class Order(NamedTuple):
    """How an epoch is read.

    Attributes
    ----------
    batch : int
        Blocks have a multiple of so many rows, but for the last of an epoch.
    shuffle : bool
        Whether groups come in random order; rows of a block are mixed by the engine.
    seed : int
    row_bytes : float
        About what a row takes.
    """

    batch: int
    shuffle: bool
    seed: int
    row_bytes: float

    def _is_full(self, rows: int) -> bool:
        return rows >= self.batch and rows * self.row_bytes >= BUFFER

    def of_groups(self, count: int, epoch: int) -> Sequence[int]:
        """The groups of an epoch."""
        if not self.shuffle:
            return range(count)
        return [int(k) for k in np.random.default_rng([self.seed, epoch]).permutation(count)]

    def plan(self, groups: Sequence[Group], epoch: int) -> Iterator[list[Piece]]:
        """What each block is made of: groups together until they fill the buffer; rows of no whole batch are left."""
        pieces: list[Piece] = []
        rows = 0
        for k in self.of_groups(len(groups), epoch):
            if groups[k].rows == 0:
                continue
            pieces.append(Piece(k, 0, groups[k].rows))
            rows += groups[k].rows
            if self._is_full(rows):
                rows %= self.batch
                block, pieces = _cut(pieces, rows)
                yield block
        if pieces:
            yield pieces

    def blocks(self, reader: Reader, epoch: int, first: int = 0) -> Iterator[Block]:
        """The blocks of an epoch, beginning with block number `first`."""
        if reader.groups is None:  # what can only be read from its beginning comes as it is
            return (block for k, block in enumerate(self._as_they_come(reader)) if k >= first)
        return self._planned(reader, epoch, first)

    def _planned(self, reader: Reader, epoch: int, first: int) -> Iterator[Block]:
        assert reader.groups is not None
        last: tuple[int, Block] | None = None  # a group that two blocks have rows of
        for number, pieces in enumerate(self.plan(reader.groups, epoch)):
            if number < first:
                continue
            found = []
            for k, begin, end in pieces:
                if last is None or last[0] != k:
                    last = k, reader.group(k)
                found.append(last[1] if end - begin == len(last[1]) else last[1][begin:end])
            block = concatenate(found)
            del found
            if pieces[-1].end == reader.groups[pieces[-1].group].rows:
                last = None
            yield block

    def _as_they_come(self, reader: Reader) -> Iterator[Block]:
        held: list[Block] = []
        rows = 0
        for group in reader:
            held.append(group)
            rows += len(group)
            if self._is_full(rows):
                block = concatenate(held)
                whole = rows - rows % self.batch
                held = [block[whole:]] if whole < rows else []
                rows -= whole
                yield block[:whole]
        if rows:
            yield concatenate(held)


def _cut(pieces: list[Piece], left: int) -> tuple[list[Piece], list[Piece]]:
    """The pieces without their last `left` rows, and these."""
    kept, over = list(pieces), list[Piece]()
    while left:
        piece = kept.pop()
        rows = min(left, piece.end - piece.begin)
        over.insert(0, Piece(piece.group, piece.end - rows, piece.end))
        if rows < piece.end - piece.begin:
            kept.append(Piece(piece.group, piece.begin, piece.end - rows))
        left -= rows
    return kept, over
