"""Two convolutions on images of 28 x 28 x 1, Adam, batches of 128."""

from __future__ import annotations

from collections.abc import Iterator

from fusedgrad.layers import Conv2D, Flatten, MaxPool2D

from bench.network import Network, dense, rows, times

NAME, GROUP = "cnn", "Networks"
SHAPE, BATCH = (28, 28, 1), 128
LAYERS = (
    Conv2D(16, 3, "relu", padding="same"),
    MaxPool2D(2),
    Conv2D(32, 3, "relu", padding="same"),
    MaxPool2D(2),
    Flatten(),
    *dense(64, 10),
)


def cases(scale: float) -> Iterator[Network]:
    """Yield the problem with `scale` times its images and epochs."""
    n = rows(6400, scale, BATCH)
    yield Network(
        description=f"CNN, 28 x 28 x 1, 2 convolutions, Adam, batch {BATCH}, {n:,} images",
        shape=SHAPE,
        layers=LAYERS,
        rows=n,
        batch=BATCH,
        repeats=times(3, scale),
        targets={"torch": 1.8},
    )
