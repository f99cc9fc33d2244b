"""Libraries that only some sources need."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def library(name: str) -> Any:
    """A module of pyarrow.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"This source reads by {name.partition('.')[0]}, which is not installed: pip install fusedgrad[data]"
        ) from error
