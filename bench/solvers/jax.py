"""JAX and optax, on the CPU: a whole epoch is one function, compiled before the time is taken."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from fusedgrad import optimizers
from fusedgrad.layers import Dense
from numpy.typing import NDArray

from bench import network
from bench.case import Case, Run, Way
from bench.linear import Linear
from bench.network import Network, Predict
from bench.steps import COMPARED, Steps

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError:
    jax = None

NAME = "JAX"
VERSION = None if jax is None else f"{jax.__version__}, optax {optax.__version__}"
THREADS: dict[str, dict[str, Any]] = {"all threads": {}, "1 thread": {"xla_cpu_multi_thread_eigen": False}}
PART = 50_000  # rows that are enough to see the price of one sample a step

Step = Callable[[Any, Any, Any], Any]  # state, rows, targets -> state


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    if isinstance(case, Linear):
        if case.unit != "epoch":
            return "no estimators"
        return "sparse arrays are experimental in JAX" if sp.issparse(case.X) else None
    if isinstance(case, Steps):
        return None if _optimizer(case.optimizer) else "optax has no such rule, or another form of it"
    if isinstance(case, Network):
        dense = all(isinstance(layer, Dense) for layer in case.layers)
        return None if dense else "JAX has no layers; only dense networks are written here"
    return f"nothing for {type(case).__name__}"


def ways(case: Case) -> list[Way]:
    """Return the ways to run the case."""
    return WAYS[type(case)](case)


# ---- Epochs ----


def epoch(step: Step, batch: int, drawn: bool, threads: str, *arguments: Any) -> Callable[..., Any]:
    """Return ``(state, X, y, order) -> state``, a step for each batch, compiled for arguments like these.

    `drawn`: `order` holds all rows, in the order that they are drawn in. Else it holds the batches of adjacent rows; a
    batch of fewer rows that are left comes last.
    """
    shapes = jax.tree.map(lambda each: jax.ShapeDtypeStruct(each.shape, each.dtype), arguments)
    return _compiled(step, batch, drawn, threads, *shapes)


@functools.cache
def _compiled(step: Step, batch: int, drawn: bool, threads: str, *shapes: Any) -> Callable[..., Any]:
    def run(state: Any, X: Any, y: Any, order: Any) -> Any:
        full = len(X) // batch * batch

        def take(values: Any, chosen: Any) -> Any:
            if drawn:
                return values.at[chosen].get(mode="promise_in_bounds")
            return jax.lax.dynamic_slice_in_dim(values, chosen * batch, batch)

        def visit(state: Any, chosen: Any) -> tuple[Any, None]:
            return step(state, take(X, chosen), take(y, chosen)), None

        state, _ = jax.lax.scan(visit, state, order[:full].reshape(-1, batch) if drawn else order)
        if full == len(X):
            return state
        last = [take(values, order[full:]) if drawn else values[full:] for values in (X, y)]
        return step(state, *last)

    return jax.jit(run).lower(*shapes).compile(compiler_options=THREADS[threads])


def orders(rows: int, batch: int, drawn: bool, seed: int = 0) -> Callable[[], NDArray[np.int32]]:
    """Return what makes a new order for each epoch."""
    rng, count = np.random.default_rng(seed), rows if drawn else rows // batch
    return lambda: rng.permutation(count).astype(np.int32)


# ---- Linear models ----


def _linear(case: Linear) -> list[Way]:
    mine = case.for_subject()
    if case.ours:
        return [Way(threads, partial(_fit, mine, threads)) for threads in THREADS]
    part, times = mine.part(PART)
    words = f"one sample a step, {len(part.X):,} rows" if times > 1 else "one sample a step"
    return [Way(words, partial(_fit, part, "1 thread"), times)]


@functools.cache
def _logistic(alpha: float, rate: float | None) -> Step:
    """SGD with the gradient in closed form; without a rate, with scikit-learn's "optimal" one."""
    start = alpha**-0.75

    def step(state: Any, x: Any, y: Any) -> Any:
        w, b, t = state
        r = rate or 1 / (alpha * (start + t))
        slopes = (jax.nn.sigmoid(x @ w + b) - y) * (r / len(y))
        return w * (1 - r * alpha) - x.T @ slopes, b - slopes.sum(0), t + 1

    return step


def _fit(case: Linear, threads: str) -> Run:
    with jax.enable_x64(case.X.dtype == np.float64):
        targets = case.y.astype(case.X.dtype)
        if case.outputs > 1:
            targets = np.eye(case.outputs, dtype=case.X.dtype)[case.y]
        settings, shape = case.settings, targets.shape[1:]
        batch, drawn = settings.get("batch_size", 1), settings.get("shuffle") == "rows"
        X, y, order = jnp.asarray(case.X), jnp.asarray(targets), orders(len(case.X), batch, drawn)
        start = jnp.zeros((X.shape[1], *shape), X.dtype), jnp.zeros(shape, X.dtype), jnp.zeros((), X.dtype)
        step = _logistic(settings["alpha"], settings.get("eta0"))
        one = epoch(step, batch, drawn, threads, start, X, y, order())

    def run() -> NDArray[Any]:
        state = start
        for _ in range(settings["max_iter"]):
            state = one(state, X, y, order())
        w, b, _ = map(np.asarray, state)
        return np.column_stack([np.atleast_2d(w.T), np.atleast_1d(b)])

    return run


# ---- Networks ----


def _network(case: Network) -> list[Way]:
    if case.unit == "call":
        return [Way("a compiled function without checks of its input", partial(_calls, case))]
    return [Way(threads, partial(_learn, case, threads)) for threads in THREADS]


def _forward(activations: tuple[str | None, ...], weights: Any, x: Any) -> Any:
    functions = {"relu": jax.nn.relu, "logistic": jax.nn.sigmoid, None: lambda z: z}
    for k, activation in enumerate(activations):
        x = functions[activation](x @ weights[2 * k] + weights[2 * k + 1])
    return x


@functools.cache
def _descend(activations: tuple[str | None, ...], classes: bool) -> tuple[Any, Step]:
    """The optimizer and its step: Adam on cross-entropies, or SGD on halved squared errors."""
    optimizer = optax.adam(network.RATE) if classes else optax.sgd(network.SGD_RATE)

    def loss(weights: Any, x: Any, y: Any) -> Any:
        outputs = _forward(activations, weights, x)
        if classes:
            return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()
        return 0.5 * jnp.square(outputs[:, 0] - y).mean()

    def step(state: Any, x: Any, y: Any) -> Any:
        weights, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(weights, x, y), memory, weights)
        return optax.apply_updates(weights, updates), memory

    return optimizer, step


def _learn(case: Network, threads: str) -> Run:
    X, y = map(jnp.asarray, case.data())
    weights = tuple(map(jnp.asarray, network.weights(case.start())))
    activations = tuple(layer.activation for layer in case.layers)
    optimizer, step = _descend(activations, case.unit != "step")
    start = weights, optimizer.init(weights)
    if case.unit == "step":  # all of them in one function, as an epoch of the same batch
        order, drawn, epochs = (lambda: np.zeros(case.repeats, np.int32)), False, 1
    else:
        order, drawn, epochs = orders(len(X), case.batch, True), True, case.repeats
    one = epoch(step, case.batch, drawn, threads, start, X, y, order())

    def run() -> Predict:
        state = start
        for _ in range(epochs):
            state = one(state, X, y, order())
        weights, _ = jax.block_until_ready(state)
        return lambda: _predict(case, weights, X)

    return run


def _calls(case: Network) -> Run:
    X = jnp.asarray(case.data()[0])
    weights = tuple(map(jnp.asarray, network.weights(case.estimator().fit(*case.data()))))
    activations, row = tuple(layer.activation for layer in case.layers), X[:1]

    call = jax.jit(lambda weights, x: jax.nn.softmax(_forward(activations, weights, x)))
    jax.block_until_ready(call(weights, row))

    def run() -> Predict:
        for _ in range(case.repeats):
            jax.block_until_ready(call(weights, row))
        return lambda: _predict(case, weights, X)

    return run


def _predict(case: Network, weights: Any, X: Any) -> NDArray[Any]:
    outputs = _forward(tuple(layer.activation for layer in case.layers), weights, X)
    return np.asarray(outputs if case.unit == "step" else jax.nn.softmax(outputs))


# ---- Optimizer steps ----


def _optimizer(rule: Any) -> Any:
    """The same rule of optax, if it is there; its nadam and ASGD are other rules, or none."""
    rate = rule.default_rate
    if isinstance(rule, optimizers.SGD):
        return optax.sgd(rate, momentum=rule.momentum or None, nesterov=rule.nesterov)
    if isinstance(rule, optimizers.Adagrad):
        inside = rule.epsilon**2  # of the root
        return optax.adagrad(rate, initial_accumulator_value=rule.initial_accumulator, eps=inside)
    if isinstance(rule, optimizers.Adadelta):
        return optax.adadelta(rate, rho=rule.rho, eps=rule.epsilon)
    if isinstance(rule, optimizers.RMSprop):
        settings = {"momentum": rule.momentum or None, "centered": rule.centered, "eps_in_sqrt": False}
        return optax.rmsprop(rate, decay=rule.alpha, eps=rule.epsilon, **settings)
    betas = {"b1": getattr(rule, "beta_1", 0.0), "b2": getattr(rule, "beta_2", 0.0)}
    if isinstance(rule, optimizers.AdamW):
        return optax.adamw(rate, **betas, eps=rule.epsilon, weight_decay=rule.weight_decay)
    if isinstance(rule, optimizers.Adam):
        return (optax.amsgrad if rule.amsgrad else optax.adam)(rate, **betas, eps=rule.epsilon)
    if isinstance(rule, optimizers.Adamax):
        return optax.adamax(rate, **betas, eps=rule.epsilon)
    if isinstance(rule, optimizers.RAdam):
        return optax.radam(rate, **betas, eps=rule.epsilon)
    return None


def _steps(case: Steps) -> list[Way]:
    return [Way("compiled, in place", partial(_prepare_steps, case))]


def _prepare_steps(case: Steps) -> Run:
    optimizer = _optimizer(case.optimizer)
    w, g = map(jnp.array, case.problem())
    memory = optimizer.init(w)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(w: Any, memory: Any, g: Any) -> tuple[Any, Any]:
        updates, memory = optimizer.update(g, memory, w)
        return optax.apply_updates(w, updates), memory

    for _ in range(COMPARED):
        w, memory = step(w, memory, g)
    compared = np.array(w)

    def run() -> NDArray[Any]:
        nonlocal w, memory
        for _ in range(case.repeats):
            w, memory = step(w, memory, g)
        jax.block_until_ready(w)
        return compared

    return run


WAYS = {Linear: _linear, Network: _network, Steps: _steps}
