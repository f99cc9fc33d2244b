"""Rows that do not fit in memory, as training sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ...data import Block, Source, fetch
from .ahead import Ahead
from .order import Order
from .survey import Survey

DEPTH = 1  # blocks that are read before they are needed

Made = TypeVar("Made", covariant=True)


class Encoded(NamedTuple):
    """A block in the dtypes that the core takes."""

    X: csr_array  # or an array in C order
    y: NDArray[np.float32 | np.float64]
    weight: NDArray[np.float32 | np.float64] | None
    rows: NDArray[np.uint32] | None = None  # the block's, of arrays that have more

    @property
    def n(self) -> int:
        """Rows of the block."""
        return int(self.X.shape[0] if self.rows is None else len(self.rows))


def cast(block: Block, dtype: Any) -> Block:
    """A block whose numbers and weights have the dtype of a model."""
    X = block.X.astype(dtype, copy=False) if sp.issparse(block.X) else np.ascontiguousarray(block.X, dtype)
    weight = None if block.weight is None else np.ascontiguousarray(block.weight, dtype)
    return replace(block, X=X, weight=weight)


class Stream(NamedTuple):
    """A source, what one pass has told of it, and how its blocks become those of the core.

    Attributes
    ----------
    source : Source
    survey : Survey
    encode : callable
        Of a block.
    whole : Encoded or None
        All rows, of a source that maps them into memory: blocks are then the numbers of some of them, and no row moves.
    """

    source: Source
    survey: Survey
    encode: Callable[[Block], Encoded]
    whole: Encoded | None = None

    def blocks(self, order: Order, epoch: int, first: int, before: int) -> Ahead[Encoded]:
        """As `read`."""
        if self.whole is None:
            return read(self, order, epoch, first, before)
        return Ahead(lambda: self._listed(order, epoch, first), DEPTH)

    def _listed(self, order: Order, epoch: int, first: int) -> Iterator[Encoded]:
        groups = self.survey.groups
        assert self.whole is not None and groups is not None
        starts = np.cumsum([0, *(group.rows for group in groups)])
        for number, pieces in enumerate(order.plan(groups, epoch)):
            if number < first:
                continue
            ranges = [(int(starts[k]) + begin, int(starts[k]) + end) for k, begin, end in pieces]
            for begin, end in ranges:
                fetch(self.whole.X[begin:end])
            rows = np.concatenate([np.arange(begin, end, dtype=np.uint32) for begin, end in ranges])
            yield self.whole._replace(rows=rows)


class Encodes(Protocol[Made]):
    """A source, what is known of it, and what becomes of its blocks."""

    @property
    def source(self) -> Source: ...
    @property
    def survey(self) -> Survey: ...
    @property
    def encode(self) -> Callable[[Block], Made]: ...


def read(stream: Encodes[Made], order: Order, epoch: int, first: int = 0, before: int = 0) -> Ahead[Made]:
    """The blocks of an epoch, read ahead, beginning with number `first`; `before` rows come before it.

    Raises
    ------
    ValueError
        While they are read, if there are not as many rows as the survey has found.
    """

    reader = stream.source.open()  # here: what a thread allocates, others cannot use again when it is freed

    def blocks() -> Iterator[Made]:
        rows = before
        with reader:
            for block in order.blocks(reader, epoch, first):
                rows += len(block)
                yield stream.encode(block)
        if rows != stream.survey.rows:
            raise ValueError(
                f"{stream.source} had {stream.survey.rows} rows when it was first read, and {rows} in epoch "
                f"{epoch + 1}. It must stay as it is while it is read."
            )

    return Ahead(blocks, DEPTH)
