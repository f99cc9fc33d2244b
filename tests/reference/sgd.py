"""Stochastic gradient descent as scikit-learn 1.9 does it, one sample a step, without any trick of speed.

The order of operations within a step decides the last digits, so it is kept: predict, rate, objective, decay of the
weights, gradient step, intercept, average, L1 truncation. Where scikit-learn 1.9 errs (norms of sparse data in the
objective), this file is right.
"""

import inspect
from dataclasses import dataclass, field

import numpy as np

from .losses import LEAST, LOSSES

MAX_INT = np.iinfo(np.int32).max
LARGEST_SLOPE = 1e12
SMALLEST_SCALE = 1e-9


def binary_seed(random_state):
    """The seed of the shuffle in a two-class fit: the second number that is drawn."""
    rng = np.random.RandomState(random_state)
    rng.randint(1, MAX_INT)
    return rng.randint(MAX_INT)


def regression_seed(random_state):
    """The seed of the shuffle in a regression or a one-class fit: the first number that is drawn."""
    return np.random.RandomState(random_state).randint(0, MAX_INT)


def shuffled(order, seed):
    """Fisher-Yates from the front with Marsaglia's xorshift32 (13, 17, 5), of which the low 31 bits count."""
    order, state, n = list(order), seed or 1, len(order)
    for i in range(n - 1):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        j = i + (state & 0x7FFFFFFF) % (n - i)
        order[i], order[j] = order[j], order[i]
    return order


@dataclass
class Model:
    """The weights, their average, and what happened on the way."""

    coef: np.ndarray
    intercept: float
    average_coef: np.ndarray
    average_intercept: float
    t: float = 1.0
    objectives: list = field(default_factory=list)


def train(
    X,
    y,
    *,
    loss,
    learning_rate,
    penalty="l2",
    alpha=0.0001,
    l1_ratio=0.15,
    eta0=0.01,
    power_t=0.5,
    epsilon=0.1,
    quantile=0.5,
    fit_intercept=True,
    max_iter=5,
    tol=None,
    n_iter_no_change=5,
    shuffle=True,
    seed=0,
    sample_weight=None,
    side_weights=(1.0, 1.0),
    average=False,
    sparse=False,
    offset_rate=0.0,
    start=None,
):
    """Train on X and targets y (as the loss codes them); parameters are named as in the estimators.

    `side_weights` belong to targets <= 0 and > 0. `sparse` says that X was stored sparsely: L1 then reaches only the
    non-zeros of a row, and the intercept learns at a hundredth of the rate. `offset_rate` is the one-class machine's
    nu. `start` is a `Model` to go on from, as `partial_fit` does.
    """
    n, d = X.shape
    ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": l1_ratio, None: 0.0}[penalty]
    l2, l1 = (0.0, 0.0) if penalty is None else (alpha * (1 - ratio), alpha * ratio)
    given = {"epsilon": epsilon, "quantile": quantile}
    fields = {name: value for name, value in given.items() if name in inspect.signature(LOSSES[loss]).parameters}
    intercept_decay = 0.01 if sparse else 1.0
    passive = learning_rate in ("pa1", "pa2")
    weights = np.ones(n) if sample_weight is None else sample_weight

    if start is None:
        start = Model(np.zeros(d), 0.0, np.zeros(d), 0.0)
    w, b = start.coef.copy(), start.intercept
    mean_w, mean_b, t = start.average_coef.copy(), start.average_intercept, start.t

    eta = eta0
    q, u = np.zeros(d), 0.0  # L1 that each coordinate has received, and should have received (Tsuruoka et al., 2009)
    scale, pull = 1.0, 0.0
    objectives, best, idle = [], np.inf, 0
    order = range(n)

    for _ in range(max_iter):
        if shuffle:
            order = shuffled(order, seed)
        objective = 0.0
        for i in order:
            x, target = X[i], y[i]
            p = w @ x + b
            value, slope = LOSSES[loss](target, p, **fields)
            if learning_rate == "optimal":
                eta = 1 / (alpha * (alpha**-0.75 + t - 1))  # Bottou's t0, for slopes that are <= 0 at the start
            elif learning_rate == "invscaling":
                eta = eta0 / t**power_t

            objective += value
            if not passive:
                objective += l2 / 2 * (w @ w) + l1 * np.abs(w).sum() + offset_rate * b

            if learning_rate == "pa1":
                if x @ x == 0:
                    continue  # an empty row is no step, t included
                update = -np.sign(slope) * min(eta0, value / (x @ x))
            elif learning_rate == "pa2":
                update = -np.sign(slope) * value / (x @ x + 0.5 / eta0)
            else:
                update = -eta * np.clip(slope, -LARGEST_SLOPE, LARGEST_SLOPE)
            update *= side_weights[int(target > 0)] * weights[i]
            if loss in LEAST and slope != 0:
                # Asi & Duchi (2019), the truncated model: no step goes beyond the least loss of its sample
                most = max(0, value - LEAST[loss](target)) / (slope**2 * (x @ x + intercept_decay * fit_intercept))
                update = -slope * min(eta * side_weights[int(target > 0)] * weights[i], most)

            decay = max(0, 1 - l2 * eta)
            w = decay * w + update * x
            if fit_intercept:
                b += (update - eta * offset_rate) * intercept_decay

            if average and average <= t:
                steps = t - average + 1
                mean_w += (w - mean_w) / steps
                mean_b += (b - mean_b) / steps

            if l1:
                u += l1 * eta
                z = w.copy()
                touched = (x != 0) | (not sparse)
                w[touched & (z > 0)] = np.maximum(0, z - (u + q))[touched & (z > 0)]
                w[touched & (z < 0)] = np.minimum(0, z + (u - q))[touched & (z < 0)]
                q += w - z

            # A surprise that is kept: scikit-learn's average is a_k w + (a vector), with a_k the mean of the scales so
            # far over the scale of now. Truncation changes w alone, so it moves the whole average back in time.
            scale *= decay
            if scale < SMALLEST_SCALE:
                scale, pull = 1.0, 0.0
            elif decay > 0:
                pull /= decay
            if average and average <= t:
                pull += (1 - pull) / steps
            if l1:
                mean_w += pull * (w - z)
            t += 1

        objectives.append(objective / n)
        idle = idle + 1 if tol is not None and objectives[-1] > best - tol else 0
        best = min(best, objectives[-1])
        if idle >= n_iter_no_change:
            if learning_rate == "adaptive" and eta > 1e-6:
                eta, idle = eta / 5, 0
            else:
                break

    # t counts every row once an epoch, also those of which PA-I makes no step
    return Model(w, b, mean_w, mean_b, start.t + len(objectives) * n, objectives)
