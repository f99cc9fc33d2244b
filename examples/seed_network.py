"""Three dense layers, 10-20-30-1, and 5,000 epochs of plain SGD: well under a second.

python examples/seed_network.py              # draws examples/seed_network.png
python examples/seed_network.py OTHER.png
"""

import sys
import time
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from fusedgrad.layers import Dense
from fusedgrad.neural_network import NeuralRegressor

ROWS, EPOCHS = 200, 5000


def train():
    """Fit the network to a function of ten numbers, with noise; return its losses, and the seconds that it took."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 10), dtype=np.float32)
    y = 0.5 + 0.3 * np.sin(X[:, 0] + X[:, 1] * X[:, 2]) + 0.08 * rng.standard_normal(ROWS)
    layers = [Dense(20, "relu"), Dense(30, "relu"), Dense(1, "logistic")]
    settings = {"optimizer": "sgd", "learning_rate": 1.0, "alpha": 0.0, "batch_size": 20, "max_epochs": EPOCHS}
    start = time.perf_counter()
    net = NeuralRegressor(layers, **settings, tol=None, random_state=0).fit(X, y)
    return 2 * np.array(net.loss_curve_), time.perf_counter() - start  # squared_error is half of the squared error


def smoothed(values, share):
    """The exponential running mean, in which the newest value has this share."""
    means = [values[0]]
    for value in values[1:]:
        means.append(means[-1] + share * (value - means[-1]))
    return means


def draw(losses, path):
    """Save the picture of the loss."""
    figure, panel = plt.subplots(figsize=(8, 4.5), layout="constrained")
    epochs = range(1, len(losses) + 1)
    panel.semilogy(epochs, losses, color="#9dbfe6", linewidth=0.8, label="epoch by epoch")
    panel.semilogy(epochs, smoothed(losses, 0.05), color="#c0392b", linewidth=1.8, label="smoothed")
    panel.set(xlabel="epoch", ylabel="mean squared error", title="10-20-30-1 network, SGD", xlim=(0, len(losses)))
    panel.grid(color="0.9")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    losses, seconds = train()
    print(f"mean squared error {losses[0]:.2e} in epoch 1, {losses[-1]:.2e} in epoch {EPOCHS:,}; {seconds:.2f} s")
    draw(losses, Path(sys.argv[1] if len(sys.argv) > 1 else "examples/seed_network.png"))
