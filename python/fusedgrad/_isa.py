"""Choose the kernels that this processor runs best."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from . import _bindings

_HOME = Path(_bindings.__file__).parent
_SOURCES = Path(__file__).parents[2] / "cpp"  # of a checkout; an installed package has none


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

    Warns
    -----
    UserWarning
        If this is a checkout whose sources have changed since they were compiled.
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
    kernels = _library(wanted or runnable()[0])
    if changed := stale(Path(_bindings.__file__), kernels):
        warnings.warn(
            f"The core is older than the sources ({changed}): rebuild, as CONTRIBUTING.md says under 'The daily loop'.",
            stacklevel=2,
        )
    _bindings.load(str(kernels))


def stale(bindings: Path, kernels: Path, sources: Path = _SOURCES) -> str:
    """Return a source that is newer than what was compiled of it; empty: there is none, or this is no checkout."""
    if not (sources / "engine.hpp").is_file():
        return ""
    for path in sorted(sources.rglob("*.?pp")):
        inside = path.relative_to(sources)
        compiled = bindings if inside.parts[0] == "bind" else kernels
        if path.stat().st_mtime > compiled.stat().st_mtime:
            return str(inside)
    return ""


def _library(level: str) -> Path:
    return _HOME / f"_kernels_{level}.so"
