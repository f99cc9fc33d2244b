"""predict_proba of one row: a perceptron, a CNN and a GRU."""

from __future__ import annotations

from collections.abc import Iterator

from bench.network import Network, times

from . import cnn, gru, perceptron_small

NAME, GROUP = "network-rows", "One row"
REMARKS = {
    "torch": "it is called with a tensor, and checks nothing",
    **dict.fromkeys(("NumPy float32", "NumPy float64", "JAX"), "no checks of the input"),
}
NETWORKS = (
    (perceptron_small, "784-100-10, predict_proba of one row", "scikit-learn"),
    (cnn, "CNN, 28 x 28 x 1, 2 convolutions, predict_proba of one image", "torch"),
    (gru, "GRU(64), 28 steps of 28 numbers, predict_proba of one sequence", "torch"),
)


def cases(scale: float) -> Iterator[Network]:
    """Yield the networks with `scale` times the calls."""
    for network, description, peer in NETWORKS:
        yield Network(
            description=description,
            shape=network.SHAPE,
            layers=network.LAYERS,
            rows=2000,
            batch=network.BATCH,
            repeats=times(2000, scale),
            unit="call",
            targets={peer: 3.0},
            remarks=REMARKS,
        )
