"""What one pass over a source tells: how many rows there are, of which classes, and some of them to keep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ... import _core
from ...data import Block, Group, Source, concatenate
from .ahead import Ahead

SAMPLE = 65_536  # rows that are kept
SAMPLE_BYTES = 64 << 20  # bytes that they take, about
MAPPED = 128 << 20  # bytes of targets, up to which rows stay mapped
MAPPED_SHARE = 0.25  # of the machine's memory, that they may take
_SEED = 0x5EED  # of the sample: the same whatever the fit


class Streamed(NamedTuple):
    """A source, and what is known of it."""

    source: Source
    survey: Survey

    def mapped(self, dtype: Any) -> Block | None:
        """All rows, if they are dense numbers of this type that can stay mapped into memory."""
        rows = self.survey.rows
        if not self.source.lasting or rows * 8 > MAPPED or rows * self.survey.row_bytes > MAPPED_SHARE * _memory():
            return None
        whole = self.source.whole()
        dense = whole is not None and not sp.issparse(whole.X) and whole.X.dtype == dtype
        return whole if dense else None


def _memory() -> float:
    """Bytes of the machine."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0.0


@dataclass(frozen=True)
class Survey:
    """What is known of all rows.

    Attributes
    ----------
    rows : int
    names : list of str or None
        Names of the columns.
    groups : list of Group or None
        As the reader has them.
    sample : Block
        Rows drawn at random, in the order of the source: all of them where they are few, and one at least of each
        class.
    labels : ndarray or None
        The classes, sorted; None: not asked for.
    totals : ndarray
        Weight of the rows of each class, or of all rows.
    row_bytes : float
        What the numbers of a row take, on the mean; of sparse rows with indices of 32 bits, whatever they have.
    """

    rows: int
    names: list[str] | None
    groups: list[Group] | None
    sample: Block
    labels: NDArray[Any] | None
    totals: NDArray[np.float64]
    row_bytes: float

    @property
    def is_whole(self) -> bool:
        """Whether the sample is all there is."""
        return len(self.sample) == self.rows


def survey(source: Source, *, classes: bool, threads: int) -> Survey:
    """Read a source once.

    Raises
    ------
    ValueError
        If there are no rows or no targets, if numbers are not finite, or groups do not go together.
    """
    reader = source.open()

    def blocks() -> Iterator[Block]:
        with reader:
            yield from reader

    kept, totals = _Sample(), _Totals(classes)
    with Ahead(blocks) as ahead:
        for k, block in enumerate(each for each in ahead if len(each)):
            _check(block, k, source, threads)
            kept.add(k, block, totals.add(block))
    if not totals.rows:
        raise ValueError(f"{source} has no rows.")
    sample = kept.blocks()
    return Survey(
        rows=totals.rows,
        names=reader.names,
        groups=reader.groups,
        sample=sample,
        labels=totals.labels(),
        totals=totals.weights(),
        row_bytes=totals.numbers * (sample.X.dtype.itemsize + 4 * sp.issparse(sample.X)) / totals.rows,
    )


def _check(block: Block, k: int, source: Source, threads: int) -> None:
    """Whether a group has targets, and finite numbers. (That groups are alike is the reader's to see.)"""
    where = f"group {k} of {source}"
    if block.y is None:
        raise ValueError(f"{where} has no targets. Say which column they are: target='name'.")
    values = block.X.data if sp.issparse(block.X) else block.X
    if not _core.all_finite(values, threads):
        at = np.flatnonzero(~np.isfinite(values).ravel())[0]
        column = int(block.X.indices[at]) if sp.issparse(block.X) else int(at % block.X.shape[1])
        raise ValueError(
            f"Input X contains NaN or infinity: {where}, column {column}. Leave such rows out or fill them in, for "
            "instance by source.map(...)."
        )
    if block.y.dtype.kind == "f" and not np.isfinite(block.y).all():
        raise ValueError(f"Input y contains NaN or infinity: {where}.")
    if block.weight is not None and not (np.isfinite(block.weight).all() and (block.weight >= 0).all()):
        raise ValueError(f"Weights must be finite and at least 0: {where} has others.")


class _Sample:
    """The rows with the smallest random keys, of which those that must be kept have -1."""

    def __init__(self) -> None:
        self.limit, self.level = 0, 1.0
        self.kept: list[tuple[NDArray[np.float64], Block]] = []
        self.rows = 0

    def add(self, k: int, block: Block, first: NDArray[np.intp]) -> None:
        """Consider a group, whose rows `first` must be kept."""
        if not self.limit:
            self.limit = min(SAMPLE, max(1, SAMPLE_BYTES * len(block) // max(block.nbytes, 1)))
        keys = np.random.default_rng([_SEED, k]).random(len(block))
        keys[first] = -1.0
        self._keep(keys, block)
        if self.rows > 2 * self.limit:
            self._thin()

    def _keep(self, keys: NDArray[np.float64], block: Block) -> None:
        some = np.flatnonzero(keys < self.level)
        if len(some):
            self.kept.append((keys[some], block[some]))  # a copy: the block is the reader's
            self.rows += len(some)

    def _thin(self) -> None:
        """Keep no more than `limit`."""
        keys = np.concatenate([each for each, _ in self.kept])
        if len(keys) > self.limit:
            self.level = max(0.0, float(np.partition(keys, self.limit)[self.limit]))
            kept, self.kept, self.rows = self.kept, [], 0
            for each, block in kept:
                self._keep(each, block)

    def blocks(self) -> Block:
        self._thin()
        return concatenate([block for _, block in self.kept])


class _Totals:
    """Rows, and the weight of each class."""

    def __init__(self, classes: bool):
        self.classes, self.rows, self.numbers = classes, 0, 0
        self.found: dict[Any, float] = {}

    def add(self, block: Block) -> NDArray[np.intp]:
        """Count a group; return the first rows of classes that are new."""
        assert block.y is not None
        self.rows += len(block)
        self.numbers += block.X.nnz if sp.issparse(block.X) else block.X.size
        weight = np.ones(len(block)) if block.weight is None else block.weight
        self.classes = self.classes and block.y.ndim == 1  # an indicator matrix has no single label
        if not self.classes:
            self.found[None] = self.found.get(None, 0.0) + float(weight.sum(dtype=np.float64))
            return np.empty(0, np.intp)
        labels, first, codes = np.unique(block.y, return_index=True, return_inverse=True)
        new = np.array([label not in self.found for label in labels])
        for label, total in zip(labels, np.bincount(codes.ravel(), weights=weight), strict=True):
            self.found[label] = self.found.get(label, 0.0) + float(total)
        return first[new]

    def labels(self) -> NDArray[Any] | None:
        """In order; None where nobody asked for them."""
        return None if not self.classes else np.unique(np.array(list(self.found)))

    def weights(self) -> NDArray[np.float64]:
        labels = self.labels()
        return np.array([self.found[label] for label in ([None] if labels is None else labels)])
