"""A small convolutional network reads handwritten digits: 99 % of those it has not seen, in half a minute or less.

python examples/digits_cnn.py              # draws examples/digits_cnn.png
python examples/digits_cnn.py OTHER.png
python examples/digits_cnn.py --quick      # few images and epochs, to see that it runs

The digits are MNIST's, from ../shared/data or the folder that FUSEDGRAD_DATA names; where they are missing,
scikit-learn's of 8 x 8 pixels.
"""

import argparse
import gzip
import math
import os
import time
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from fusedgrad.layers import Activation, BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D
from fusedgrad.neural_network import NeuralClassifier
from fusedgrad.schedules import OneCycle
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix

BATCH, RATE = 64, 3e-3


def digits():
    """Return images (n, height, width, 1) of numbers from 0 to 1, and which digits they are."""
    folder = Path(os.environ.get("FUSEDGRAD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    try:
        images, labels = (
            gzip.decompress((folder / f"mnist10k-{name}-ubyte.gz").read_bytes())
            for name in ("images-idx3", "labels-idx1")
        )
    except FileNotFoundError:
        found = load_digits()
        return (found.images[..., None] / 16).astype(np.float32), found.target
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1) / np.float32(255)
    return X, np.frombuffer(labels, np.uint8, offset=8).astype(int)


def train(X, y, X_val, y_val, epochs):
    """Fit the network, and return it. The rate rises and falls again, once, in all the steps."""
    layers = [
        Conv2D(16, 5, padding="same", bias=False),
        BatchNorm(),
        Activation("relu"),
        MaxPool2D(2),
        Conv2D(32, 3, padding="same", bias=False),
        BatchNorm(),
        Activation("relu"),
        MaxPool2D(2),
        Flatten(),
        Dropout(0.3),
        Dense(64, "relu"),
        Dropout(0.3),
    ]
    rate = OneCycle(RATE, epochs * math.ceil(len(X) / BATCH))
    net = NeuralClassifier(layers, learning_rate=rate, batch_size=BATCH, max_epochs=epochs, tol=None, random_state=0)
    return net.fit(X, y, X_val=X_val, y_val=y_val)


def draw_curves(net, panel):
    """The loss of training and validation rows, and the share of the latter that is read wrongly."""
    epochs = range(1, len(net.loss_curve_) + 1)
    panel.plot(epochs, net.loss_curve_, color="#9dbfe6", marker="o", label="loss in training (with dropout)")
    panel.plot(epochs, net.validation_loss_curve_, color="#1f4e8c", marker="o", label="validation loss")
    wrong = 1 - np.array(net.validation_scores_)
    panel.plot(epochs, wrong, color="#c0392b", marker="o", label="validation errors (share)")
    panel.set(xlabel="epoch", ylabel="loss, share", title="Learning", yscale="log")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(color="0.9")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)


def draw_confusion(counts, panel):
    """How often each digit (row) is read as each other (column); colours leave out what is right."""
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    panel.imshow(wrong, cmap="Reds", vmin=0, vmax=max(2 * wrong.max(), 1))
    for truth, guess in np.argwhere(counts):
        right = truth == guess
        panel.text(guess, truth, counts[truth, guess], ha="center", va="center", color="0.6" if right else "0.1")
    ticks = range(len(counts))
    panel.set(xlabel="read as", ylabel="digit", title=f"Test: {wrong.sum()} of {counts.sum():,} wrong")
    panel.set(xticks=ticks, yticks=ticks)
    panel.tick_params(length=0)
    panel.spines[:].set_color("0.8")


def draw_filters(weights, panel):
    """The windows (height, width, filters) of a layer side by side, white where a weight is 0."""
    height, width, filters = weights.shape
    across = math.ceil(math.sqrt(filters))
    down = math.ceil(filters / across)
    picture = np.full((down * (height + 1) - 1, across * (width + 1) - 1), np.nan)
    for k in range(filters):
        top, left = k // across * (height + 1), k % across * (width + 1)
        picture[top : top + height, left : left + width] = weights[..., k]
    largest = np.abs(weights).max()
    shown = panel.imshow(picture, cmap="RdBu", vmin=-largest, vmax=largest)
    panel.figure.colorbar(shown, ax=panel, shrink=0.7, label="weight")
    panel.set(title=f"The first layer's {filters} filters, {height} x {width} pixels", xticks=[], yticks=[])
    panel.spines[:].set_visible(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", nargs="?", type=Path, default=Path("examples/digits_cnn.png"), help="the picture")
    parser.add_argument("--quick", action="store_true", help="few images and epochs")
    given = parser.parse_args()

    X, y = digits()
    if given.quick:
        X, y = X[:1500], y[:1500]
    test, epochs = len(X) // 5, 4 if given.quick else 8 if len(X) > 2000 else 40
    validation = test // 2
    (X_val, X, X_test), (y_val, y, y_test) = (np.split(part, [validation, len(part) - test]) for part in (X, y))

    start = time.perf_counter()
    net = train(X, y, X_val, y_val, epochs)
    seconds = time.perf_counter() - start
    print(net.summary())
    counts = confusion_matrix(y_test, net.predict(X_test))
    accuracy = counts.trace() / counts.sum()
    print(f"{len(X):,} images, {epochs} epochs, {seconds:.1f} s; test accuracy {accuracy:.4f}")

    figure, panels = plt.subplots(1, 3, figsize=(15, 5), layout="constrained")
    figure.get_layout_engine().set(wspace=0.05)
    draw_curves(net, panels[0])
    draw_confusion(counts, panels[1])
    draw_filters(net.weights_[0].reshape(5, 5, -1), panels[2])
    given.path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.path, dpi=110)


if __name__ == "__main__":
    main()
