"""JAX with optax: mini-batches, a whole epoch compiled as one function before the time is taken."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from bench.quality.recipes import MOMENTUM, Recipe
from bench.quality.search import Way
from bench.quality.task import Task, Weights
from bench.solvers.jax import VERSION, epoch, orders

if VERSION is not None:
    import jax
    import jax.numpy as jnp
    import optax

NAME = "JAX, mini-batches"


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if VERSION is None:
        return "JAX is not installed"
    if task.l1:
        return "no absolute values"
    return None if _forms(task) else "sparse arrays are experimental in JAX"


def ways(task: Task) -> list[Way]:
    """Return a way for each recipe and dense form of X."""
    return [_way(task, recipe, name, form) for name, form in _forms(task).items() for recipe in task.recipes]


def _forms(task: Task) -> dict[str, Callable[[], Any]]:
    return {name: form for name, form in task.forms.items() if name or not sp.issparse(task.X)}


@functools.cache
def _descend(rule: str, loss: str, alpha: float) -> tuple[Any, Any]:
    """The rule of a recipe, and its step, with the gradient in closed form.

    The state is weights, the rule's memory, the rates of an epoch, and how many of them were used.
    """
    slopes = {"log_loss": jax.nn.sigmoid, "multinomial": jax.nn.softmax, "squared_error": lambda z: z}[loss]
    directed = {
        "sgd": optax.identity,
        "nesterov": lambda: optax.trace(MOMENTUM, nesterov=True),
        "adagrad": lambda: optax.scale_by_rss(initial_accumulator_value=1e-10),
        "adam": optax.scale_by_adam,
    }[rule]()

    def step(state: Any, x: Any, y: Any) -> Any:
        (w, b), memory, rates, k = state
        r = (slopes(x @ w + b) - y) / len(y)
        directions, memory = directed.update((x.T @ r + alpha * w, r.sum(0)), memory)
        return jax.tree.map(lambda each, move: each - rates[k] * move, (w, b), directions), memory, rates, k + 1

    return directed, step


def _way(task: Task, recipe: Recipe, suffix: str, form: Callable[[], Any]) -> Way:
    dtype, size = task.X.dtype, recipe.batch_size
    outputs, steps = task.targets().shape[1:], recipe.steps(task.rows, 1)
    rule, step = _descend(recipe.rule, task.loss, task.alpha)

    def compiled(threads: int) -> tuple[Any, Any]:
        """The state before the first step, and an epoch: compiled once, then kept."""
        w, b = jnp.zeros((task.features, *outputs), dtype), jnp.zeros(outputs, dtype)
        start = (w, b), rule.init((w, b)), jnp.zeros(steps, dtype), jnp.zeros((), np.int32)
        X, y = (jax.ShapeDtypeStruct((task.rows, *shape), dtype) for shape in ((task.features,), outputs))
        words = "1 thread" if threads == 1 else "all threads"
        return start, epoch(step, size, False, words, start, X, y, orders(task.rows, size, False)())

    def prepare(threads: int) -> None:
        with jax.enable_x64(dtype == np.float64):
            compiled(threads)

    def fit(epochs: int, seed: int, threads: int) -> Weights:
        with jax.enable_x64(dtype == np.float64):
            X, y, order = jnp.asarray(form()), jnp.asarray(task.targets()), orders(task.rows, size, False, seed)
            start, one = compiled(threads)
            weights, memory, _, first = start
            for rates in recipe.rates(task.rows, epochs).astype(dtype).reshape(epochs, steps):
                weights, memory, _, _ = one((weights, memory, jnp.asarray(rates), first), X, y, order())
            w, b = map(np.asarray, weights)
        return np.atleast_2d(w.T), np.atleast_1d(b)

    return Way(f"{recipe}{suffix}", fit, prepare=prepare)
