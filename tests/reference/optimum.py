"""The optimum of a linear model's objective, by Newton's method in float64 on losses whose kinks are rounded off.

Rounded off over a way d, a loss is its mean over [p - d, p + d]. Its slope there is a difference of values and its
second derivative one of slopes, so any loss of `losses` will do. The way is made shorter until it is a thousandth of
what predictions reach; where the minimum then lies, the true objective is within about that of its own.
"""

import numpy as np

from .losses import LOSSES
from .minibatch import objective

NODES, SHARES = np.polynomial.legendre.leggauss(16)


def rounded(loss, y, p, way, fields):
    """Mean value, slope and second derivative."""
    (high, up), (low, down) = LOSSES[loss](y, p + way, **fields), LOSSES[loss](y, p - way, **fields)
    points = p[..., None] + way * NODES
    value = LOSSES[loss](np.broadcast_to(y[..., None], points.shape), points, **fields)[0] @ SHARES / 2
    return value, (high - low) / (2 * way), (up - down) / (2 * way)


def of_one(X, y, weight, *, loss, l2, fields, base, scale):
    """Weights and intercept of one output, for y coded as the loss wants it."""
    centre, spread = X.mean(axis=0), X.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    Z = np.c_[(X - centre) / spread, np.ones(len(X))]
    ridge = np.append(l2 / spread**2, 0.0)
    w = np.append(np.zeros(X.shape[1]), base)
    for way in scale * np.geomspace(1.0, 1e-3, 7):
        for _ in range(100):
            value, slope, curvature = rounded(loss, y, Z @ w, way, fields)
            at = weight @ value + 0.5 * ridge @ w**2
            g = Z.T @ (weight * slope) + ridge * w
            H = Z.T @ ((weight * curvature)[:, None] * Z) + np.diag(ridge)
            diagonal = np.trace(H) / len(H)
            step = np.linalg.lstsq(H + 1e-10 * diagonal * np.eye(len(H)), g, rcond=None)[0]
            t = 1.0
            with np.errstate(over="ignore", invalid="ignore"):
                while t > 1e-12:
                    to = w - t * step
                    new = weight @ rounded(loss, y, Z @ to, way, fields)[0] + 0.5 * ridge @ to**2
                    if new <= at - 1e-4 * t * (g @ step):
                        break
                    t /= 2
            if not t > 1e-12 or g @ step <= 1e-12 * abs(at):
                break
            w = to
    coef = w[:-1] / spread
    return coef, w[-1] - coef @ centre


def optimum(X, Y, *, loss, l2, weight=None, fields=None):
    """The least objective that is found for targets Y (n, n_outputs), without softmax."""
    fields = fields or {}
    shares = np.ones(len(X)) if weight is None else np.asarray(weight, dtype=float)
    shares = shares / shares.sum()
    coefs, intercepts = [], []
    for y in Y.T:
        link = loss in ("poisson", "gamma")
        base = np.log(shares @ y) if link else shares @ y
        scale = 1.0 if link else max(np.sqrt(shares @ (y - shares @ y) ** 2), 1e-300)
        coef, intercept = of_one(X, y, shares, loss=loss, l2=l2, fields=fields, base=base, scale=scale)
        coefs.append(coef)
        intercepts.append(intercept)
    return objective(X, Y, np.array(coefs), np.array(intercepts), loss=loss, weight=weight, l2=l2, fields=fields)
