"""A perceptron of 784-100-10 units, Adam, batches of 200."""

from __future__ import annotations

from collections.abc import Iterator

from bench.network import Network, dense, rows, times

NAME, GROUP = "perceptron-small", "Networks"
SHAPE, LAYERS, BATCH = (784,), dense(100, 10), 200


def cases(scale: float) -> Iterator[Network]:
    """Yield the problem with `scale` times its rows and epochs."""
    n = rows(60_000, scale, BATCH)
    yield Network(
        description=f"784-100-10, Adam, batch {BATCH}, {n:,} rows",
        shape=SHAPE,
        layers=LAYERS,
        rows=n,
        batch=BATCH,
        repeats=times(3, scale),
        targets={"torch": 1.8, "scikit-learn": 1.8},
    )
