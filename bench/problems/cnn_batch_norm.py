"""Three convolutions with batch norm on images of 32 x 32 x 3, Adam, batches of 128."""

from __future__ import annotations

from collections.abc import Iterator

from fusedgrad.layers import Activation, BatchNorm, Conv2D, Dense, Flatten, MaxPool2D

from bench.network import Network, rows, times

NAME, GROUP = "cnn-batch-norm", "Networks"
SHAPE, BATCH = (32, 32, 3), 128
BLOCKS = (
    (Conv2D(filters, 3, padding="same", bias=False), BatchNorm(), Activation("relu"), MaxPool2D(2))
    for filters in (32, 64, 128)
)
LAYERS = (*(layer for block in BLOCKS for layer in block), Flatten(), Dense(10))


def cases(scale: float) -> Iterator[Network]:
    """Yield the problem with `scale` times its images and epochs."""
    n = rows(1280, scale, BATCH)
    yield Network(
        description=f"CNN, 32 x 32 x 3, 3 convolutions with batch norm, Adam, batch {BATCH}, {n:,} images",
        shape=SHAPE,
        layers=LAYERS,
        rows=n,
        batch=BATCH,
        repeats=max(times(5, scale), 3),
        targets={"torch": 1.2},
    )
