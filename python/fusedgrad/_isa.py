"""Choose the kernels that this processor runs best."""

from __future__ import annotations

import os
from pathlib import Path

from . import _bindings

_HOME = Path(_bindings.__file__).parent


def built() -> list[str]:
    """Return the instruction sets that this installation was built for, best first."""
    return [level for level in ("v4", "v3", "v2", "base") if _library(level).exists()]


def runnable() -> list[str]:
    """Return those of them that this processor can run, best first."""
    return [level for level in built() if level in _bindings.levels()]


def load() -> None:
    """Load the best kernels, or those that ``FUSEDGRAD_ISA`` names.

    Raises
    ------
    ImportError
        If the requested instruction set was not built, or if this processor cannot run it.
    """
    wanted = os.environ.get("FUSEDGRAD_ISA", "")
    if wanted and wanted not in runnable():
        raise ImportError(
            f"FUSEDGRAD_ISA={wanted!r} cannot be used: this installation has {built()}, and this "
            f"processor can run {runnable()}. Unset the variable or choose one of the latter."
        )
    if not runnable():
        raise ImportError(
            f"fusedgrad was built for {built()}, none of which this processor can run "
            f"(it offers {_bindings.levels()}). Build it from source on this machine."
        )
    _bindings.load(str(_library(wanted or runnable()[0])))


def _library(level: str) -> Path:
    return _HOME / f"_kernels_{level}.so"
