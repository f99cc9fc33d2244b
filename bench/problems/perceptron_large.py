"""A perceptron of 784-512-512-10 units, Adam, batches of 256."""

from __future__ import annotations

from collections.abc import Iterator

from bench.network import Network, dense, rows, times

NAME, GROUP = "perceptron-large", "Networks"
SHAPE, LAYERS, BATCH = (784,), dense(512, 512, 10), 256


def cases(scale: float) -> Iterator[Network]:
    """Yield the problem with `scale` times its rows."""
    n = rows(60_000, scale, BATCH)
    yield Network(
        description=f"784-512-512-10, Adam, batch {BATCH}, {n:,} rows",
        shape=SHAPE,
        layers=LAYERS,
        rows=n,
        batch=BATCH,
        repeats=times(1, scale),
        targets={"torch": 1.15, "scikit-learn": 1.5},
        share=0.7,
    )
