"""Benchmarks: every problem with every solver, a small file each. Run ``python -m bench``."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def discover(folder: str) -> dict[str, ModuleType]:
    """Return the modules of `bench.<folder>` by their NAME; files that start with an underscore are not listed."""
    package = importlib.import_module(f"bench.{folder}")
    files = sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
    modules = [importlib.import_module(f"{package.__name__}.{file}") for file in files]
    return {module.NAME: module for module in modules}
