"""Gated recurrent units go on with a noisy wave, and read digits row by row, in well under a minute.

python examples/sequences_gru.py              # draws examples/sequences_gru.png
python examples/sequences_gru.py OTHER.png
python examples/sequences_gru.py --quick      # few rows and epochs, to see that it runs

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
from fusedgrad.layers import GRU, Dense, Masking
from fusedgrad.neural_network import NeuralClassifier, NeuralRegressor
from fusedgrad.schedules import OneCycle
from sklearn.datasets import load_digits

BATCH, RATE, UNITS = 64, 1e-2, 64
PAST, AHEAD, NOISE = 80, 40, 0.2  # steps seen, steps forecast, standard deviation
UNREAD = -1.0  # pixels are 0 to 1


def fitted(kind, layers, X, y, epochs):
    """Fit an estimator; its rate rises and falls again, once, in all the steps."""
    rate = OneCycle(RATE, epochs * math.ceil(len(X) / BATCH))
    settings = {"batch_size": BATCH, "clip_norm": 1.0, "tol": None, "random_state": 0}
    return kind(layers, learning_rate=rate, max_epochs=epochs, **settings).fit(X, y)


# ---- A noisy wave ----


def wave(steps):
    """Return a sum of two sines, and the same with noise."""
    t = np.arange(steps)
    clean = np.sin(2 * np.pi * t / 25) + 0.5 * np.sin(2 * np.pi * t / 63)
    return clean, clean + NOISE * np.random.default_rng(0).standard_normal(steps)


def windows(series):
    """Return all stretches of the series, (n, PAST, 1), and what comes after each, (n, AHEAD)."""
    cut = np.lib.stride_tricks.sliding_window_view(series.astype(np.float32), PAST + AHEAD)
    return cut[:, :PAST, None].copy(), cut[:, PAST:].copy()


def forecast(epochs, steps):
    """Learn from a series; return its last, unseen part, as it is and with noise, and the forecasts of it."""
    new = PAST + 5 * AHEAD
    clean, noisy = wave(steps + new)
    X, y = windows(noisy[:steps])
    net = fitted(NeuralRegressor, [GRU(UNITS)], X, y, epochs)
    clean, noisy = clean[steps:], noisy[steps:]
    return clean, noisy, net.predict(windows(noisy)[0][::AHEAD])


def draw_forecast(clean, noisy, forecasts, panel):
    t = np.arange(len(clean))
    panel.plot(t, noisy, ".", color="#9dbfe6", markersize=4, label="what the network sees")
    panel.plot(t, clean, color="0.6", linewidth=1.2, label="the wave without noise")
    for k, values in enumerate(forecasts):
        start = PAST + k * AHEAD
        label = f"forecasts of {AHEAD} steps, from the {PAST} before" if k == 0 else None
        panel.plot(t[start : start + AHEAD], values, color="#c0392b", linewidth=1.8, label=label)
        panel.axvline(start - 0.5, color="0.85", linewidth=0.8, zorder=0)
    panel.set(xlabel="step", ylabel="value", title="A noisy wave goes on", xlim=(0, len(clean) - 1), ylim=(None, 2.9))
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="upper center", ncols=3)


# ---- Digits, row by row ----


def digits():
    """Return images (n, height, width) of numbers from 0 to 1, and which digits they are."""
    folder = Path(os.environ.get("FUSEDGRAD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    try:
        images, labels = (
            gzip.decompress((folder / f"mnist10k-{name}-ubyte.gz").read_bytes())
            for name in ("images-idx3", "labels-idx1")
        )
    except FileNotFoundError:
        found = load_digits()
        return (found.images / 16).astype(np.float32), found.target
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28) / np.float32(255)
    return X, np.frombuffer(labels, np.uint8, offset=8).astype(int)


def read_until(X, rows):
    """Return images of which only the first rows (a number, or one for each image) are read."""
    unread = np.arange(X.shape[1]) >= np.reshape(rows, (-1, 1))
    return np.where(unread[..., None], np.float32(UNREAD), X)


def reader(X, y, epochs):
    """Fit a classifier to each image twice: as it is, and read until some row."""
    some = read_until(X, np.random.default_rng(0).integers(1, X.shape[1] + 1, len(X)))
    layers = [Masking(UNREAD), GRU(UNITS), Dense(10)]
    return fitted(NeuralClassifier, layers, np.concatenate([X, some]), np.concatenate([y, y]), epochs)


def draw_reading(image, probabilities, truth, picture, panel):
    """An image beside the probability of each digit, after each row."""
    rows = len(image)
    picture.imshow(image, cmap="Greys", aspect="auto", extent=(0, image.shape[1], rows, 0))
    picture.set(title=f"The digit {truth} ...", ylabel="rows read", xticks=[])
    shown = panel.imshow(probabilities, cmap="Reds", vmin=0, vmax=1, aspect="auto", extent=(-0.5, 9.5, rows, 0))
    panel.figure.colorbar(shown, ax=panel, label="probability")
    panel.set(title="... and what it is taken for", xlabel="digit", xticks=range(10))
    panel.tick_params(labelleft=False)


def draw_accuracy(accuracy, panel):
    rows = range(1, len(accuracy) + 1)
    panel.plot(rows, accuracy, color="#1f4e8c", marker="o", markersize=4)
    panel.annotate(f"{accuracy[-1]:.1%}", (rows[-1], accuracy[-1]), (0, -16), textcoords="offset points", ha="right")
    panel.set(xlabel="rows read", ylabel="test accuracy", title="Digits, read row by row", ylim=(0, 1.03))
    panel.grid(color="0.9")
    panel.spines[["top", "right"]].set_visible(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", nargs="?", type=Path, default=Path("examples/sequences_gru.png"), help="the picture")
    parser.add_argument("--quick", action="store_true", help="few rows and epochs")
    given = parser.parse_args()

    start = time.perf_counter()
    clean, noisy, forecasts = forecast(*((6, 600) if given.quick else (20, 2000)))
    error = np.sqrt(np.mean((forecasts.ravel() - clean[PAST:]) ** 2))
    print(f"wave: forecasts are {error:.3f} off (RMS), its noise {NOISE}; {time.perf_counter() - start:.1f} s")

    start = time.perf_counter()
    X, y = digits()
    if given.quick:
        X, y = X[:1500], y[:1500]
    test = len(X) // 5
    (X, X_test), (y, y_test) = (np.split(part, [len(part) - test]) for part in (X, y))
    net = reader(X, y, 4 if given.quick else 8 if len(X) > 2000 else 40)
    rows = range(1, X.shape[1] + 1)
    probabilities = np.stack([net.predict_proba(read_until(X_test, k)) for k in rows])  # (rows, images, digits)
    accuracy = (probabilities.argmax(axis=2) == y_test).mean(axis=1)
    print(f"digits: test accuracy {accuracy[-1]:.4f}; {time.perf_counter() - start:.1f} s")

    figure = plt.figure(figsize=(12, 8), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.1], hspace=0.03)
    draw_forecast(clean, noisy, forecasts, above.subplots())
    picture, reading, panel = below.subplots(1, 3, width_ratios=[1.1, 1.6, 2])
    changes = (np.diff(probabilities.argmax(axis=2), axis=0) != 0).sum(axis=0)  # of mind
    sure = probabilities[-1, np.arange(test), y_test]  # of the truth, in the end
    chosen = np.where(sure > 0.9 * sure.max(), changes, -1).argmax()
    draw_reading(X_test[chosen], probabilities[:, chosen], y_test[chosen], picture, reading)
    draw_accuracy(accuracy, panel)
    given.path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.path, dpi=110)


if __name__ == "__main__":
    main()
