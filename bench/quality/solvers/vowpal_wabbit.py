"""Vowpal Wabbit: passes of one sample a step, or of all rows, over its binary cache, which is made before."""

from __future__ import annotations

import functools

from bench.quality.search import Way
from bench.quality.task import Task, Weights
from bench.solvers import vowpal_wabbit

NAME = "Vowpal Wabbit"
LEAST = 2  # passes of L-BFGS


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if vowpal_wabbit.VERSION is None:
        return "vowpalwabbit is not installed"
    if task.l1:
        return "absolute values for one sample a step only, truncated"
    return "one against the rest only" if task.outputs > 1 else None


def ways(task: Task) -> list[Way]:
    """Return L-BFGS and conjugate gradients, and its own rule and plain SGD with some rates.

    The penalty of the first two is that of the task: they minimise the sum of losses, and do not halve squared errors.
    One sample a step comes nearer to the optimum without a penalty, whose share in it is small. Rows are visited in one
    order, which is random already.
    """
    squares = task.loss == "squared_error"
    options = f"--loss_function {'squared' if squares else 'logistic'}"
    labels = task.y if squares else 2 * task.y - 1
    cache = functools.partial(vowpal_wabbit.cache, task.X, task.X, labels, options)
    penalty = f"--l2 {(2 if squares else 1) * task.alpha * task.rows:g} --no_bias_regularization --termination 0"
    rules = [f"{how} {penalty}" for how in ("--bfgs", "--conjugate_gradient")]
    rules += ["-l 10 --power_t 1 --initial_t 10", *(f"-l {rate}" for rate in (0.5, 0.1))]
    rules += [f"--sgd -l {rate}" for rate in (1, 0.1, 0.01)]
    rules += ["--sgd -l 0.1 --power_t 1 --initial_t 10000"]

    def way(rule: str) -> Way:
        def fit(passes: int, seed: int, threads: int) -> Weights:
            learner = vowpal_wabbit.learn(cache(), f"{options} {rule}", max(passes, LEAST))
            W = vowpal_wabbit.weights(learner, task.features, 1)
            return W[:, :-1], W[:, -1]

        return Way(f"{rule}, parse time apart", fit, random=False, prepare=lambda threads: cache())

    return [way(rule) for rule in rules]
