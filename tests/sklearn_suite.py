"""scikit-learn's own tests, read from the installed package and run against fusedgrad.

The source stays where it is; only its imports are pointed elsewhere: `linear_model` becomes a module that holds
fusedgrad's SGD estimators and everything else of `sklearn.linear_model`.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import fusedgrad.linear_model
import sklearn.linear_model
from fusedgrad import losses


class _PrivateLoss:
    """A loss of ours in the clothes of scikit-learn's private loss objects."""

    def __init__(self, name: str, **fields: float):
        self.loss = losses.get(name, **fields)

    def py_loss(self, p: float, y: float) -> float:
        return float(self.loss.value(y, p))

    def py_dloss(self, p: float, y: float) -> float:
        return float(self.loss.slope(y, p))


def _sgd_fast() -> types.SimpleNamespace:
    """Stands for `sklearn.linear_model._sgd_fast`, of which the tests use the losses."""
    return types.SimpleNamespace(
        Hinge=lambda threshold: _PrivateLoss({1.0: "hinge", 0.0: "perceptron"}[threshold]),
        SquaredHinge=lambda threshold: _PrivateLoss("squared_hinge"),
        ModifiedHuber=lambda: _PrivateLoss("modified_huber"),
        EpsilonInsensitive=lambda epsilon: _PrivateLoss("epsilon_insensitive", epsilon=epsilon),
        SquaredEpsilonInsensitive=lambda epsilon: _PrivateLoss("squared_epsilon_insensitive", epsilon=epsilon),
    )


def linear_model() -> types.ModuleType:
    module = types.ModuleType("fusedgrad_as_sklearn.linear_model")
    module.__dict__.update(sklearn.linear_model.__dict__)
    for name in fusedgrad.linear_model.__all__:
        setattr(module, name, getattr(fusedgrad.linear_model, name))
    module._sgd_fast = _sgd_fast()  # type: ignore[attr-defined]
    return module


def load(test_module: str, replace: dict[str, str], namespace: dict[str, Any]) -> dict[str, Any]:
    """Execute scikit-learn's `test_module` with the given import lines replaced; return its names."""
    spec = importlib.util.find_spec(test_module)
    if spec is None or spec.origin is None:
        raise ImportError(f"{test_module} is not part of this installation of scikit-learn")
    source = Path(spec.origin).read_text()
    for line, substitute in replace.items():
        if line not in source:
            raise ImportError(f"{test_module} has no line {line!r}: it is another version than this suite knows")
        source = source.replace(line, substitute)
    module = types.ModuleType(test_module.replace(".", "_") + "_on_fusedgrad")
    sys.modules[module.__name__] = module  # so that what it defines can be pickled
    module.__dict__.update(namespace)
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    return module.__dict__
