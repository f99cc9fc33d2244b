"""torch: L-BFGS on all rows, with a strong Wolfe line search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.quality.search import Way
from bench.quality.task import Task, Weights

from . import _torch
from ._torch import torch

NAME = "torch, L-BFGS"
why_not = _torch.why_not


def ways(task: Task) -> list[Way]:
    """Return a way for each form of X."""
    return [_way(task, name, form) for name, form in task.forms.items()]


def _way(task: Task, suffix: str, form: Callable[[], Any]) -> Way:
    def fit(iterations: int, seed: int, threads: int) -> Weights:
        torch.set_num_threads(threads)
        X, targets = form(), task.targets()
        rows, columns, y = _torch.tensor(X), _torch.transposed(X), torch.from_numpy(targets)
        w = torch.zeros((task.features + 1, *targets.shape[1:]), dtype=y.dtype)  # intercepts last
        w.grad = g = torch.zeros_like(w)
        W, b, G, c = w[:-1], w[-1], g[:-1], g[-1]

        def evaluate() -> Any:
            z = (rows @ W).add_(b)
            loss = _torch.losses(task, z, y) + task.alpha / 2 * W.square().sum()
            r = _torch.slopes(task, z).sub_(y).div_(task.rows)
            torch.add(columns @ r, W, alpha=task.alpha, out=G)
            torch.sum(r, dim=0, out=c)
            return loss

        torch.optim.LBFGS(
            [w],
            max_iter=iterations,
            max_eval=10 * iterations,
            history_size=10,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        ).step(evaluate)
        return np.atleast_2d(W.numpy().T), np.atleast_1d(b.numpy())

    return Way(f"L-BFGS, strong Wolfe{suffix}", fit, random=False)
