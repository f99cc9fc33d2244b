"""A GRU of 64 units on 28 steps of 28 numbers, Adam, batches of 128."""

from __future__ import annotations

from collections.abc import Iterator

from fusedgrad.layers import GRU, Dense

from bench.network import Network, rows, times

NAME, GROUP = "gru", "Networks"
SHAPE, LAYERS, BATCH = (28, 28), (GRU(64), Dense(10)), 128


def cases(scale: float) -> Iterator[Network]:
    """Yield the problem with `scale` times its rows and epochs."""
    n = rows(12_800, scale, BATCH)
    yield Network(
        description=f"GRU(64), 28 steps of 28 numbers, Adam, batch {BATCH}, {n:,} rows",
        shape=SHAPE,
        layers=LAYERS,
        rows=n,
        batch=BATCH,
        repeats=times(3, scale),
        targets={"torch": 1.5},
    )
