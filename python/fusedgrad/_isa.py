"""Choose the compiled core that this processor runs best."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

from . import _cpu


def built() -> list[str]:
    """Return the instruction sets that this installation was built for, best first."""
    return [
        level
        for level in ("v4", "v3", "v2", "base")
        if importlib.util.find_spec(f"fusedgrad._core_{level}") is not None
    ]


def load() -> ModuleType:
    """Import the best core, or the one that ``FUSEDGRAD_ISA`` names.

    Raises
    ------
    ImportError
        If the requested instruction set was not built, or if this processor cannot run it.
    """
    runnable = [level for level in built() if level in _cpu.levels()]
    wanted = os.environ.get("FUSEDGRAD_ISA", "")
    if wanted and wanted not in runnable:
        raise ImportError(
            f"FUSEDGRAD_ISA={wanted!r} cannot be used: this installation has {built()}, and this "
            f"processor can run {runnable}. Unset the variable or choose one of the latter."
        )
    if not runnable:
        raise ImportError(
            f"fusedgrad was built for {built()}, none of which this processor can run "
            f"(it offers {_cpu.levels()}). Build it from source on this machine."
        )
    return importlib.import_module(f"fusedgrad._core_{wanted or runnable[0]}")
