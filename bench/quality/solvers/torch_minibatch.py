"""torch: mini-batches with fused optimizers, and the gradient in closed form, which is faster than autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from bench.quality.recipes import MOMENTUM, Recipe
from bench.quality.search import Way
from bench.quality.task import Task, Weights

from . import _torch
from ._torch import torch

NAME = "torch, mini-batches"
why_not = _torch.why_not

Batch = tuple[Any, Any, Any]  # rows, the same transposed, and targets: tensors


def ways(task: Task) -> list[Way]:
    """Return a way for each recipe and form of X."""
    return [_way(task, recipe, name, form) for name, form in task.forms.items() for recipe in task.recipes]


def _optimizer(recipe: Recipe, w: Any) -> Any:
    settings = {"lr": recipe.rate, "fused": True}
    if recipe.rule == "nesterov":
        return torch.optim.SGD([w], momentum=MOMENTUM, nesterov=True, **settings)
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}[recipe.rule](
        [w], **settings
    )


def _way(task: Task, recipe: Recipe, suffix: str, form: Callable[[], Any]) -> Way:
    def fit(epochs: int, seed: int, threads: int) -> Weights:
        return fit_slices(task, recipe, form(), epochs, seed, threads)

    return Way(f"{recipe}{suffix}", fit)


def fit_slices(task: Task, recipe: Recipe, X: Any, epochs: int, seed: int, threads: int) -> Weights:
    """Return the weights after batches of adjacent rows, in a random order."""
    torch.set_num_threads(threads)
    y = torch.from_numpy(task.targets())
    batches = [(_torch.tensor(X[s]), _torch.transposed(X[s]), y[s]) for s in recipe.slices(task.rows)]
    rng = np.random.default_rng(seed)
    order = (batches[k] for _ in range(epochs) for k in rng.permutation(len(batches)).tolist())
    return _descend(task, recipe, y, epochs, order)


def fit_rows(task: Task, recipe: Recipe, X: Any, epochs: int, seed: int, threads: int) -> Weights:
    """Return the weights after batches of rows that are drawn one by one, each once an epoch; X is dense."""
    torch.set_num_threads(threads)
    X, y = torch.from_numpy(X), torch.from_numpy(task.targets())
    generator = torch.Generator().manual_seed(seed)

    def drawn() -> Iterator[Batch]:
        for _ in range(epochs):
            for chosen in torch.randperm(task.rows, generator=generator).split(recipe.batch_size):
                rows = X[chosen]
                yield rows, rows.T, y[chosen]

    return _descend(task, recipe, y, epochs, drawn())


def _descend(task: Task, recipe: Recipe, y: Any, epochs: int, batches: Iterable[Batch]) -> Weights:
    w = torch.zeros((task.features + 1, *y.shape[1:]), dtype=y.dtype)  # intercepts last
    w.grad = g = torch.zeros_like(w)
    W, b, G, c = w[:-1], w[-1], g[:-1], g[-1]
    optimizer = _optimizer(recipe, w)
    (group,) = optimizer.param_groups
    for rate, (rows, columns, target) in zip(recipe.rates(task.rows, epochs).tolist(), batches, strict=True):
        r = _torch.slopes(task, (rows @ W).add_(b)).sub_(target).div_(len(target))
        torch.add(columns @ r, W, alpha=task.alpha, out=G)
        torch.sum(r, dim=0, out=c)
        group["lr"] = rate
        optimizer.step()
    return np.atleast_2d(W.numpy().T), np.atleast_1d(b.numpy())
