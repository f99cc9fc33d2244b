"""A network of 10-20-30-1 units, SGD on full batches."""

from __future__ import annotations

from collections.abc import Iterator

from fusedgrad.layers import Dense

from bench.network import Network, times

NAME, GROUP = "tiny-network", "Networks"
LAYERS = (Dense(20, "relu"), Dense(30, "relu"), Dense(1, "logistic"))
TARGETS = {32: 30.0, 100: 20.0, 1000: 5.0}  # by rows, beside torch


def cases(scale: float) -> Iterator[Network]:
    """Yield three numbers of rows."""
    for n, target in TARGETS.items():
        yield Network(
            description=f"10-20-30-1, SGD, full batch of {n:,}",
            shape=(10,),
            layers=LAYERS,
            rows=n,
            batch=n,
            repeats=times(3000, scale),
            unit="step",
            targets={"torch": target},
        )
