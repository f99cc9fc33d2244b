"""Value and slope of every loss, from its formula. Slopes are with respect to the prediction p.

At a kink the slope is that of scikit-learn's one-sided choice: the hinges take the steep side, the
epsilon-insensitive loss the flat one; absolute error and quantile take 0.
"""

import numpy as np
from scipy.special import expit, xlogy


def hinge(y, p):
    return np.maximum(0, 1 - y * p), np.where(y * p <= 1, -y, 0)


def perceptron(y, p):
    return np.maximum(0, -y * p), np.where(y * p <= 0, -y, 0)


def squared_hinge(y, p):
    gap = np.maximum(0, 1 - y * p)
    return gap**2, -2 * y * gap


def log_loss(y, p):
    value = y * np.logaddexp(0, -p) + (1 - y) * np.logaddexp(0, p)
    return value, (1 - y) * expit(p) - y * expit(-p)


def modified_huber(y, p):
    z = y * p
    gap = np.maximum(0, 1 - z)
    return np.where(z < -1, -4 * z, gap**2), np.where(z < -1, -4 * y, -2 * y * gap)


def squared_error(y, p):
    return (p - y) ** 2 / 2, p - y


def huber(y, p, epsilon=0.1):
    r = p - y
    linear = epsilon * (np.abs(r) - epsilon / 2)
    return np.where(np.abs(r) <= epsilon, r**2 / 2, linear), np.clip(r, -epsilon, epsilon)


def epsilon_insensitive(y, p, epsilon=0.1):
    excess = np.abs(p - y) - epsilon
    return np.maximum(0, excess), np.where(excess > 0, np.sign(p - y), 0)


def squared_epsilon_insensitive(y, p, epsilon=0.1):
    excess = np.maximum(0, np.abs(p - y) - epsilon)
    return excess**2, 2 * excess * np.sign(p - y)


def absolute_error(y, p):
    return np.abs(p - y), np.sign(p - y)


def quantile(y, p, quantile=0.5):
    r = p - y
    return np.where(r < 0, -quantile * r, (1 - quantile) * r), np.where(r < 0, -quantile, (r > 0) * (1 - quantile))


def poisson(y, p):
    mean = np.exp(np.clip(p, -708, 708))
    return mean - y * p, mean - y


def gamma(y, p):
    with np.errstate(over="ignore"):
        relative = y * np.exp(-np.clip(p, -708, 708))
    return relative + p, 1 - relative


LOSSES = {
    function.__name__: function
    for function in (
        hinge,
        perceptron,
        squared_hinge,
        log_loss,
        modified_huber,
        squared_error,
        huber,
        epsilon_insensitive,
        squared_epsilon_insensitive,
        absolute_error,
        quantile,
        poisson,
        gamma,
    )
}

# The predictions at which the formula changes, for target y.
KINKS = {
    "hinge": lambda y: [y],
    "perceptron": lambda y: [0.0],
    "squared_hinge": lambda y: [y],
    "log_loss": lambda y: [],
    "modified_huber": lambda y: [y, -y],
    "squared_error": lambda y: [],
    "huber": lambda y, epsilon=0.1: [y - epsilon, y + epsilon],
    "epsilon_insensitive": lambda y, epsilon=0.1: [y - epsilon, y + epsilon],
    "squared_epsilon_insensitive": lambda y, epsilon=0.1: [y - epsilon, y + epsilon],
    "absolute_error": lambda y: [y],
    "quantile": lambda y, quantile=0.5: [y],
    "poisson": lambda y: [],
    "gamma": lambda y: [],
}

# The least that a loss whose curvature has no bound can be, for target y.
LEAST = {"poisson": lambda y: y - xlogy(y, y), "gamma": lambda y: 1 + np.log(y)}
