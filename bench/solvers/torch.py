"""torch, on the CPU, with its fused optimizers where there are some.

It runs eager, one row also traced and frozen; `torch.compile` makes neither one row nor the tiny network faster.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import network
from bench.case import Case, Run, Way, on_threads
from bench.linear import Linear
from bench.network import Network, Predict
from bench.quality.recipes import Recipe
from bench.quality.solvers import torch_minibatch
from bench.quality.task import Task
from bench.steps import Steps

try:
    import torch

    from . import _torch_networks
except ImportError:
    torch = None  # type: ignore[assignment]

NAME = "torch"
VERSION = None if torch is None else torch.__version__
THREADS = (1, 2)
FUSED = {"Adam", "AdamW", "Adagrad", "SGD"}  # what torch 2.13 has a fused kernel for on the CPU
TORCH_NAMES = {"epsilon": "eps", "initial_accumulator": "initial_accumulator_value"}


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    if type(case) not in WAYS:
        return f"nothing for {type(case).__name__}"
    if not isinstance(case, Linear):
        return None
    if case.unit != "epoch":
        return "no estimators"
    return None if case.ours else "one sample a step is a Python loop here; see the mini-batches"


def ways(case: Case) -> list[Way]:
    """Return the ways to run the case."""
    return WAYS[type(case)](case)


def _way(words: str, threads: int, prepare: Callable[[], Run]) -> Way:
    def with_threads() -> Run:
        torch.set_num_threads(threads)
        return prepare()

    return Way(f"{words}, {on_threads(threads)}", with_threads)


# ---- Linear models ----


def _linear(case: Linear) -> list[Way]:
    """SGD on mini-batches, from arrays to weights, with the gradient in closed form."""
    recipe = Recipe("sgd", case.ours["eta0"], case.ours["batch_size"], constant=True)
    task = Task(case.X, case.y, "log_loss", case.settings["alpha"], [recipe])
    fit = torch_minibatch.fit_rows if case.ours.get("shuffle") == "rows" else torch_minibatch.fit_slices

    def prepare(threads: int) -> Run:
        return lambda: _hstack(*fit(task, recipe, case.X, case.settings["max_iter"], 0, threads))

    return [_way("SGD, gradient in closed form", threads, partial(prepare, threads)) for threads in THREADS]


def _hstack(W: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.hstack([W, b[:, None]])


# ---- Networks ----


def _network(case: Network) -> list[Way]:
    """The loop over batches, or the calls, from tensors; for images in both memory formats."""
    if case.unit == "call":
        calls = _calls(case)
        kinds = {"eager": calls, "traced and frozen": partial(calls, traced=True)}
    else:
        kinds = {"eager": _fit(case)}
    formats = {", channels first": False, ", channels last": True} if case.is_image else {"": False}
    return [
        _way(kind + words, threads, partial(prepare, last))
        for threads, (kind, prepare), (words, last) in product(THREADS, kinds.items(), formats.items())
    ]


def _modules(case: Network, weights: list[NDArray[Any]], last: bool) -> tuple[Any, Any, Callable[[Any], Any]]:
    """Return a torch network with these weights, the rows as it keeps them, and what shows it some."""
    torch.manual_seed(0)
    net, rows = _torch_networks.network(case.layers, case.shape, weights), torch.from_numpy(case.data()[0])
    if not case.is_image:
        return net, rows, lambda chosen: chosen
    if last:
        return net.to(memory_format=torch.channels_last), rows, lambda chosen: chosen.permute(0, 3, 1, 2)
    return net, rows.permute(0, 3, 1, 2).contiguous(), lambda chosen: chosen


def _fit(case: Network) -> Callable[[bool], Run]:
    start, y = network.weights(case.start()), case.data()[1]
    targets = torch.from_numpy(y if y.dtype == np.int64 else y[:, None])
    measured = torch.nn.functional.mse_loss if case.unit == "step" else torch.nn.functional.cross_entropy

    def prepare(last: bool) -> Run:
        net, rows, view = _modules(case, start, last)
        n = len(rows)
        if case.unit == "step":  # the mean of squared errors has twice the slopes of ours, which are halved
            optimizer = torch.optim.SGD(net.parameters(), lr=network.SGD_RATE / 2, fused=True)
        else:
            optimizer = torch.optim.Adam(net.parameters(), lr=network.RATE, fused=True)

        def step(X: Any, y: Any) -> None:
            optimizer.zero_grad(set_to_none=True)
            measured(net(view(X)), y).backward()
            optimizer.step()

        def run() -> Predict:
            for _ in range(case.repeats):
                if case.batch >= n:
                    step(rows, targets)
                    continue
                order = torch.randperm(n)
                for chosen in order.split(case.batch):
                    step(rows[chosen], targets[chosen])
            return lambda: _outputs(case, net.eval(), view, rows)

        return run

    return prepare


def _calls(case: Network) -> Callable[..., Run]:
    """The probabilities of a row that is a tensor, as a tensor, from the weights that fusedgrad fits."""
    fitted = network.weights(case.estimator().fit(*case.data()))

    def prepare(last: bool, traced: bool = False) -> Run:
        net, rows, view = _modules(case, fitted, last)
        net.eval()
        row = view(rows[:1])
        called = torch.jit.freeze(torch.jit.trace(net, row)) if traced else net

        def run() -> Predict:
            with torch.inference_mode():
                for _ in range(case.repeats):
                    torch.softmax(called(row), 1)
            return lambda: _outputs(case, net, view, rows)

        return run

    return prepare


def _outputs(case: Network, net: Any, view: Callable[[Any], Any], rows: Any) -> NDArray[Any]:
    """Return what a torch network predicts for all rows, some at a time."""
    with torch.inference_mode():
        raw = torch.cat([net(view(some)) for some in rows.split(1000)])
        return (raw if case.unit == "step" else torch.softmax(raw, 1)).numpy()


# ---- Optimizer steps ----


def _steps(case: Steps) -> list[Way]:
    """torch's optimizer of the same name and values: fused, or else over lists of arrays or array by array."""
    kinds = {"fused": True} if type(case.optimizer).__name__ in FUSED else {"foreach": True, "plain": False}
    return [
        _way(kind, threads, partial(_prepare_steps, case, {"foreach" if kind == "plain" else kind: on}))
        for threads, (kind, on) in product(THREADS, kinds.items())
    ]


def _prepare_steps(case: Steps, how: dict[str, bool]) -> Run:
    w, g = case.problem()
    parameter = torch.tensor(w)
    parameter.grad = torch.tensor(g)
    kind = getattr(torch.optim, type(case.optimizer).__name__)
    values = {each.name: getattr(case.optimizer, each.name) for each in fields(case.optimizer)}
    values = {TORCH_NAMES.get(name, name): value for name, value in values.items()}
    if "beta_2" in values:
        values["betas"] = (values.pop("beta_1"), values.pop("beta_2"))
    known = inspect.signature(kind).parameters  # the others are by default what torch does
    optimizer = kind([parameter], **{name: value for name, value in values.items() if name in known}, **how)
    return case.run(optimizer.step, parameter.numpy())


WAYS = {Linear: _linear, Network: _network, Steps: _steps}
