"""Tables of other libraries as sources."""

from __future__ import annotations

from typing import Any

from ._source import Source


def source_of(obj: Any, target: str | list[str] | None = None, weight: str | None = None) -> Source | None:
    """The source that an object is, or that reads it; None of arrays and data frames, which fit into memory."""
    return obj if isinstance(obj, Source) else None
