"""Kernels of the instruction sets: which is loaded, what crosses the seam, and when they are out of date."""

import os
from pathlib import Path

import numpy as np
import pytest
from fusedgrad import _bindings, _core, _isa

from . import child


def test_the_best_set_is_loaded():
    result = child.python("from fusedgrad import _core; print(_core.build()['isa'])", FUSEDGRAD_ISA="")
    assert result.stdout.strip() == _isa.runnable()[0]


def test_a_set_that_is_not_there_is_an_error():
    result = child.python("import fusedgrad", FUSEDGRAD_ISA="v9")
    assert result.returncode != 0
    error = result.stderr.strip().splitlines()[-1]
    assert error.startswith("ImportError: FUSEDGRAD_ISA='v9' cannot be used")
    assert str(_isa.built()) in error
    assert "Unset the variable or choose one" in error


def test_kernels_are_loaded_once():
    with pytest.raises(ImportError, match="loaded already"):
        _bindings.load("anything")


def test_other_libraries_are_refused():
    code = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("_bindings", {_bindings.__file__!r})
bindings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bindings)
for path in ({_bindings.__file__!r}, "/no/such/library.so"):
    try:
        bindings.load(path)
    except ImportError as error:
        print(error)
try:
    bindings.loss_catalog()
except ImportError as error:
    print(error)
"""
    first, second, third = child.python(code).stdout.splitlines()
    assert first.endswith("not a library of fusedgrad's kernels")
    assert "/no/such/library.so" in second
    assert third == "The kernels are not loaded; import fusedgrad."


def test_errors_of_the_kernels_are_python_s():
    x = np.zeros(3)
    with pytest.raises(ValueError, match=r"^log_loss has no parameter size$"):
        _core.loss_points("log_loss", [("size", 1.0)], x, x)
    with pytest.raises(ValueError, match="there is no part named cubic"):
        _core.activation_points("cubic", [], x)


def test_what_a_callback_raises_crosses_the_kernels():
    def look(output, epochs):
        raise LookupError("from Python")

    plan = {"loss": "log_loss", "loss_parameters": {}, "l2": 0.0, "l1": 0.0, "intercept_decay": 1.0, "offset_rate": 0.0}
    plan |= {"average_from": 0, "learning_rate": "constant", "eta0": 0.1, "power_t": 0.5, "alpha": 1e-4}
    plan |= {"shuffle": False, "early_stopping": False, "restore_best_weights": False, "regression": False}
    plan |= {"detail": False, "max_iter": 3, "n_iter_no_change": 5, "tol": None}
    arrays = {"X": np.eye(3), "y": np.array([1.0, -1.0, 1.0]), "coef": np.zeros((1, 3)), "intercept": np.zeros(1)}
    nothing = ("X_val", "y_val", "sample_weight", "sample_weight_val", "held_out", "average_coef", "average_intercept")
    fit = _core.Session(
        **arrays, **dict.fromkeys(nothing), plan=plan, labels=[-1], seeds=[1], side_weights=[(1.0, 1.0)], t=1.0
    )
    with pytest.raises(LookupError, match="from Python"):
        fit.run(1, look)
    assert fit.run(1, None) == "done"  # the first call left nothing half done


@pytest.mark.parametrize("changed", ["bind/arrays.hpp", "parts/loss/hinge.hpp", "engine.hpp"])
def test_a_core_that_is_older_than_its_sources_is_seen(tmp_path, changed):
    times = dict.fromkeys(["cpp/engine.hpp", "cpp/bind/arrays.hpp", "cpp/parts/loss/hinge.hpp"], 100)
    times |= {"bindings.so": 200, "kernels.so": 200}

    def stale():
        for name, time in times.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (time, time))
        return _isa.stale(tmp_path / "bindings.so", tmp_path / "kernels.so", tmp_path / "cpp")

    assert stale() == ""
    times[f"cpp/{changed}"] = 300
    assert stale() == changed
    times["bindings.so" if changed.startswith("bind/") else "kernels.so"] = 400
    assert stale() == ""
    assert _isa.stale(tmp_path / "bindings.so", tmp_path / "kernels.so", Path(tmp_path / "no checkout")) == ""
