"""Mini-batch gradient descent on linear models, one batch at a time, in float64 and without any trick of speed.

The objective is ``sum_i s_i loss(y_i, x_i w + b) / sum_i s_i + penalty(w)`` with
``penalty(w) = l2 / 2 ||w||² + l1 ||w||_1``. What happens in a step, and in which order, is all there is to decide:

    gradient of the batch's mean loss, with weights relative to their mean over all rows
    clip_value, then clip_norm (as torch: over all weights and intercepts together)
    coupled L2 and weight decay enter the gradient, decoupled decay shrinks the weights
    the update rule
    L1 as a proximal step over the rate that the coordinate feels (some rules have a way of their own: `Rule`)
    positive weights

Intercepts see no penalty and no sign constraint.
"""

import copy
import inspect
from dataclasses import dataclass, field

import numpy as np
from scipy.special import logsumexp, softmax

from . import rules
from .losses import LOSSES

MOMENTS = 16  # starts of batches in an epoch at which the penalty is sampled for the loss curve


@dataclass
class Model:
    """Weights (outputs, features), intercepts (outputs,), their averages, and what happened on the way."""

    coef: np.ndarray
    intercept: np.ndarray
    average_coef: np.ndarray | None = None  # None before the first step that is averaged
    average_intercept: np.ndarray | None = None
    steps: int = 0
    loss_curve: list = field(default_factory=list)
    rules: tuple = ()  # of weights and of intercepts, with their state

    def answer(self, *, averaged):
        """The weights and intercepts to use: the mean once there is one, a rule's own mean, or the last."""
        if averaged and self.average_coef is not None:
            return self.average_coef, self.average_intercept
        return self.rules[0].answer(self.coef), self.rules[1].answer(self.intercept)


def points(loss, Y, P, **fields):
    """Values (rows, outputs) and slopes (rows, outputs) at targets Y and predictions P.

    Y is coded as the loss wants it; for 'softmax' it is one where the class is and zero elsewhere, and all outputs
    together have one value, which stands in each of them.
    """
    if loss == "softmax":
        value = logsumexp(P, axis=1) - np.sum(Y * P, axis=1)
        return np.repeat(value[:, None], Y.shape[1], axis=1), softmax(P, axis=1) - Y
    return LOSSES[loss](Y, P, **fields)


def relative(weight, Y):
    """Sample weights over their mean, as (rows, outputs)."""
    weight = np.ones(len(Y)) if weight is None else np.asarray(weight, dtype=float)
    weight = np.broadcast_to(weight.reshape(len(Y), -1), Y.shape)
    return weight / weight.mean(axis=0)


def penalty(W, l1, l2):
    """Of each output."""
    return l2 / 2 * np.sum(W**2, axis=1) + l1 * np.sum(np.abs(W), axis=1)


def objective(X, Y, coef, intercept, *, loss, weight=None, l1=0.0, l2=0.0, fields=None):
    """What is minimised: the mean over the outputs of one-vs-rest and regression, the whole of a softmax."""
    value, _ = points(loss, Y, X @ coef.T + intercept, **(fields or {}))
    losses = np.mean(relative(weight, Y) * value, axis=0)
    penalties = penalty(coef, l1, l2)
    return losses[0] + penalties.sum() if loss == "softmax" else np.mean(losses + penalties)


def gradient(X, Y, coef, intercept, *, loss, weight, fields=None):
    """Of the mean loss of these rows; `weight` (rows, outputs) is relative to its mean already."""
    _, slope = points(loss, Y, X @ coef.T + intercept, **(fields or {}))
    slope = weight * slope / len(X)
    return slope.T @ X, slope.sum(axis=0)


def clipped(g, g_b, clip_value, clip_norm):
    if clip_value is not None:
        g, g_b = np.clip(g, -clip_value, clip_value), np.clip(g_b, -clip_value, clip_value)
    if clip_norm is not None:
        factor = min(1, clip_norm / (np.sqrt(np.sum(g**2) + np.sum(g_b**2)) + 1e-6))
        g, g_b = factor * g, factor * g_b
    return g, g_b


def soft(w, threshold):
    return np.sign(w) * np.maximum(0, np.abs(w) - threshold)


def flow(w, time, l1, l2):
    """Where dw/dt = -(l2 w + l1 sign(w)), which ends at zero, has come to."""
    if l2 == 0:
        return soft(w, l1 * time)
    return np.sign(w) * np.maximum(0, (np.abs(w) + l1 / l2) * np.exp(-l2 * time) - l1 / l2)


class Rule:
    """An update rule of `rules`, its memory, and its way with a penalty."""

    def __init__(self, name, *, of_intercepts=False, **fields):
        defaults = list(inspect.signature(rules.RULES[name]).parameters.values())[5:]
        self.name, self.fields = name, {**{field.name: field.default for field in defaults}, **fields}
        self.t, self.memory = 0, {}
        self.decays = self.name == "asgd" and not of_intercepts
        if of_intercepts and self.name == "ftrl":  # the rule's own penalties do not touch intercepts
            self.fields |= {"l1": 0.0, "l2": 0.0}

    def step(self, w, g, rate, *, l1=0.0, l2=0.0, weight_decay=0.0, decay=0.0, unit=1.0, pull=1.0):
        """In units the rule sees unit * w and pull * g; the penalties stay those of w."""
        self.t += 1
        g = g + weight_decay * w
        way = rules.ROWS[self.name].penalty
        if way == "own":
            return self.ftrl((1 - rate * decay) * w, g, rate, l1, l2, unit, pull)
        if way != "flow":
            g = g + l2 * w
        if way == "sign":
            g = g + l1 * np.sign(w)
        before, u = self.memory.copy(), unit * (1 - rate * decay) * w
        kept = u if self.name == "asgd" and not self.decays else 0.0
        w = (kept + rules.RULES[self.name](u - kept, pull * g, self.t, rate, self.memory, **self.fields)) / unit
        if way == "flow":
            w = flow(w, self.felt(rate, before) * pull / unit, l1, l2)
        elif way == "soft":
            w = soft(w, l1 * self.felt(rate, before) * pull / unit)
        return w

    def ftrl(self, w, g, rate, l1, l2, unit, pull):
        """The penalties of the objective add up with the steps; the rule's own stand there from the start."""
        rule, own = rules.RULES["ftrl"], self.fields
        own = {**own, "l1": pull * own["l1"], "l2": pull / unit * own["l2"]}
        if self.t == 1:
            rule(unit * w, 0 * g, 1, rate, self.memory, **own)
        total = {**own, "l1": own["l1"] + self.t * pull * l1, "l2": own["l2"] + self.t * pull / unit * l2}
        return rule(unit * w, pull * g, self.t + 1, rate, self.memory, **total) / unit

    def felt(self, rate, before):
        return rules.ROWS[self.name].felt(rate, self.t, self.memory, before, self.fields)

    def ended(self, w):
        """ASGD's own mean, of the weights after the penalty."""
        if self.name == "asgd":
            mean = self.memory.get("mean", w)
            self.memory["mean"] = mean + (w - mean) / max(1, self.t - 1 - self.fields["t0"])

    def answer(self, w):
        return self.memory.get("mean", w)


def batches(order, batch_size):
    size = len(order) if batch_size == "full" else batch_size
    return [order[begin : begin + size] for begin in range(0, len(order), size)]


def train(
    X,
    Y,
    *,
    loss,
    rule,
    rates,
    batch_size,
    orders,
    fields=None,
    weight=None,
    whole=True,
    l1=0.0,
    l2=0.0,
    weight_decay=0.0,
    decay=0.0,
    clip_value=None,
    clip_norm=None,
    positive=False,
    intercept_decay=1.0,
    average=0,
    moments=MOMENTS,
    start=None,
    units=None,
    lazy=False,
):
    """Train on X (rows, features) and targets Y (rows, outputs).

    `rule` is (name, fields) of an update rule of `rules`. `rates` gives the rate of step 0, 1, ... `orders` holds the
    order of the rows in every epoch. `weight` is (rows,) or (rows, outputs); with `whole` it counts relative to its
    mean, as in `fit`, otherwise as it is, as in `partial_fit`. `weight_decay` is an optimizer's own, coupled; `decay`
    decoupled. `intercept_decay` multiplies the gradient of intercepts; 0 keeps them fixed. `average` is the first step
    (1, 2, ...) whose weights enter the mean; 0: none. `moments`: at how many starts of batches in an epoch the penalty
    is sampled for the loss curve. `start` is a `Model` to go on from. `units` is (unit, pull, centre): what weights
    (outputs, features + 1) are measured by, intercepts last, and where the rows (features,) are reckoned from. `lazy`:
    weights and memory of features that are zero in all rows of a batch stay as they are.
    """
    fields = fields or {}
    outputs, features = Y.shape[1], X.shape[1]
    if whole:
        weight = relative(weight, Y)
    else:
        weight = np.broadcast_to(np.ones((len(Y), 1)) if weight is None else weight.reshape(len(Y), -1), Y.shape)
    if start is None:
        start = Model(np.zeros((outputs, features)), np.zeros(outputs))
    W, b, steps = start.coef.copy(), start.intercept.copy(), start.steps
    mean_W, mean_b = start.average_coef, start.average_intercept
    unit, pull, centre = units or (np.ones((outputs, features + 1)), np.ones((outputs, features + 1)), 0.0)
    b = b + W @ np.broadcast_to(centre, features)
    rule_W, rule_b = copy.deepcopy(start.rules) or (
        Rule(rule[0], **rule[1]),
        Rule(rule[0], of_intercepts=True, **rule[1]),
    )
    loss_curve = []

    for order in orders:
        parts = batches(np.asarray(order), batch_size)
        every = -(-len(parts) // moments)
        losses, penalties = 0.0, []
        for k, rows in enumerate(parts):
            x, y, s = X[rows] - centre, Y[rows], weight[rows]
            value, _ = points(loss, y, x @ W.T + b, **fields)
            losses += (s * value)[:, 0].sum() if loss == "softmax" else (s * value).mean(axis=1).sum()
            if k % every == 0:
                each = penalty(W, l1, l2)
                penalties.append(each.sum() if loss == "softmax" else each.mean())

            g, g_b = gradient(x, y, W, b, loss=loss, weight=s, fields=fields)
            g, g_b = clipped(g, intercept_decay * g_b, clip_value, clip_norm)
            rate = rates(steps)
            given = {"l1": l1, "l2": l2, "weight_decay": weight_decay, "decay": decay}
            before, memory = W, copy.deepcopy(rule_W.memory)
            W = rule_W.step(W, g, rate, unit=unit[:, :-1], pull=pull[:, :-1], **given)
            if lazy:
                rest = ~np.any(X[rows] != 0, axis=0)
                W[:, rest] = before[:, rest]
                for name, values in rule_W.memory.items():
                    if np.shape(values) == W.shape:
                        values[:, rest] = memory[name][:, rest] if name in memory else 0.0
            if intercept_decay:
                b = rule_b.step(b, g_b, rate, unit=unit[:, -1], pull=pull[:, -1])
            if positive:
                W = np.maximum(W, 0)
            rule_W.ended(W)
            rule_b.ended(b)
            steps += 1
            if average and steps >= average:
                share = 1 / (steps - average + 1)
                mean_W = W if share == 1 else mean_W + share * (W - mean_W)
                mean_b = b if share == 1 else mean_b + share * (b - mean_b)
        loss_curve.append(losses / len(order) + np.mean(penalties))

    at_zero = np.broadcast_to(centre, features)
    if "mean" in rule_b.memory:
        rule_b.memory["mean"] = rule_b.memory["mean"] - rule_W.memory["mean"] @ at_zero
    b, mean_b = b - W @ at_zero, None if mean_b is None else mean_b - mean_W @ at_zero
    return Model(W, b, mean_W, mean_b, steps, start.loss_curve + loss_curve, (rule_W, rule_b))
