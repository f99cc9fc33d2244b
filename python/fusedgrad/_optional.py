"""Libraries that only some parts need."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def library(name: str, extra: str = "data") -> Any:
    """A module of a library that comes with an extra of this package.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name.partition('.')[0]}, which this needs, is not installed: pip install fusedgrad[{extra}]"
        ) from error
