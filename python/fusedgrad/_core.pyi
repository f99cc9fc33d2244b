from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# (loss, objective, validation score, validation loss, norm, non-zero weights, intercept)
_Epoch = tuple[float, float, float, float, float, int, float]
# (name, default, low, high, low excluded, high excluded, meaning)
_Field = tuple[str, float, float, float, bool, bool, str]

class Session:
    def __init__(self, **arrays: Any) -> None: ...
    def run(self, threads: int, look: Callable[[int, list[_Epoch]], None] | None = ..., epochs: int = ...) -> str: ...
    def reports(self) -> list[tuple[str, list[_Epoch]]]: ...

class MiniBatch:
    batches: int
    def __init__(self, **arrays: Any) -> None: ...
    def epoch(
        self, number: int, begins: list[tuple[int, float, NDArray[np.float64], int]], threads: int
    ) -> tuple[int, int, bool, list[tuple[float, float, float, bool]]]: ...

# (node, name, offset, rows, columns)
_Piece = tuple[int, str, int, int, int]

class Network:
    def __init__(self, nodes: list[dict[str, Any]], masking: tuple[int, int, float] | None) -> None: ...
    work: float
    def layout(self, itemsize: int) -> tuple[int, list[_Piece], int, list[_Piece]]: ...
    def predict(
        self, trained: list[NDArray[Any]], kept: list[NDArray[Any]], X: Any, last: int, threads: int
    ) -> NDArray[Any]: ...

class NetworkTraining:
    batches: int
    workspace: int
    def __init__(self, **arrays: Any) -> None: ...
    def train(
        self,
        epochs: int,
        order: NDArray[np.uint32] | None,
        rates: NDArray[np.float64],
        first_step: int,
        carry: float,
        threads: int,
    ) -> tuple[int, int, list[float], list[float], float, bool, bool]: ...
    def evaluate(self, gradient: NDArray[Any], threads: int) -> tuple[float, float]: ...

class Stepper:
    def __init__(
        self,
        rule: str,
        fields: list[tuple[str, float]],
        coupled: float,
        decay: float,
        clip_value: float,
        clip_norm: float,
    ) -> None: ...
    @property
    def slots(self) -> int: ...
    def arrays(self, params: object) -> list[NDArray[Any]]: ...
    def step(
        self,
        params: object,
        grads: object,
        slots: list[tuple[NDArray[Any], ...]],
        number: int,
        rate: float,
        carry: float,
        threads: int,
    ) -> float: ...

def activation_catalog() -> list[tuple[str, str, list[_Field]]]: ...
def activation_points(
    name: str, fields: list[tuple[str, float]], x: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]: ...
def all_finite(x: NDArray[Any], threads: int = 1) -> bool: ...
def build() -> dict[str, Any]: ...
def loss_catalog() -> list[tuple[str, str, float, float, list[_Field]]]: ...
def loss_points(
    name: str, fields: list[tuple[str, float]], y: NDArray[np.float64], p: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def max_threads() -> int: ...
def outputs_width(outputs: int, itemsize: int) -> int: ...
def row_order(n: int, batch_size: int, row_bytes: float, shuffle: int, seed: int, epoch: int) -> NDArray[np.uint32]: ...
def rule_catalog() -> list[tuple[str, str, list[_Field]]]: ...
def rule_slots(name: str, values: dict[str, float]) -> tuple[int, int]: ...
def score_margins(
    metric: str, margins: NDArray[Any], y: NDArray[Any], outputs: int, link: str, threads: int = 1
) -> NDArray[np.float64]: ...
