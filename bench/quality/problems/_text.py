"""Synthetic text: documents of topics over a vocabulary that Zipf's law rules, tf-idf, rows of unit norm; CSR float64.

A topic tilts the frequencies of the words; a twentieth of the labels are drawn at random.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench.quality.recipes import recipes

FORM = "Synthetic text, CSR float64, 18,000 x 100,000, about 110 non-zeros a row"
RECIPES = recipes((16, 64, 256), sgd=(3.0, 10.0, 30.0), nesterov=(1.0, 3.0), adagrad=(0.1, 0.3), adam=(0.003, 0.01))
ROWS, WORDS, TOPICS = 18_000, 100_000, 20
LENGTH = 150  # of a document, about
WRONG = 0.05  # share of labels


def data(scale: float) -> tuple[sp.csr_array, NDArray[np.int64]]:
    """Return X with `scale` times the rows and words, and topics."""
    rng = np.random.default_rng(8)
    rows, words = round(ROWS * scale), round(WORDS * scale)
    topics = rng.integers(TOPICS, size=rows)
    frequencies = (0.7 + 0.3 * rng.gamma(0.3, 1 / 0.3, size=(TOPICS, words))) / (np.arange(words) + 10.0) ** 1.05
    which, drawn = [], []
    for topic, each in enumerate(frequencies):
        members = np.flatnonzero(topics == topic)
        lengths = rng.poisson(LENGTH * rng.lognormal(0, 0.7, len(members))) + 5
        bounds = np.cumsum(each) / each.sum()
        drawn.append(np.searchsorted(bounds, rng.random(lengths.sum())).clip(0, words - 1))
        which.append(np.repeat(members, lengths))
    places = np.concatenate(which).astype(np.int32), np.concatenate(drawn).astype(np.int32)
    X = sp.csr_array((np.ones(len(places[0])), places), shape=(rows, words))
    X.sum_duplicates()
    inverse = np.log((1 + rows) / (1 + np.bincount(X.indices, minlength=words))) + 1
    X.data = (1 + np.log(X.data)) * inverse[X.indices]
    X.data /= np.repeat(np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1])), np.diff(X.indptr))
    wrong = rng.random(rows) < WRONG
    topics[wrong] = rng.integers(TOPICS, size=wrong.sum())
    return X, topics
