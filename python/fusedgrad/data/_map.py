"""Functions that change the rows of a source while they are read."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from ._convert import rows_of
from ._reader import Found, Reader


def arguments_of(function: Callable[..., Any]) -> int:
    """How many of X, y and weight a function takes: the arguments that it must be given; 1 where that is unknown."""
    if not callable(function):
        raise TypeError(f"map takes a function of X or of (X, y), not {function!r}.")
    inputs = getattr(function, "nin", None)  # of a function of NumPy
    if isinstance(inputs, int):
        return inputs
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]
    if len(needed) > 3:
        raise TypeError(
            f"map takes a function of X, of (X, y) or of (X, y, weight), but {function!r} needs {len(needed)} "
            "arguments. Bind the others: functools.partial, or a lambda."
        )
    return max(1, len(needed))


def _code(code: CodeType) -> str:
    constants = [_code(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _parts(function: Any) -> Iterator[bytes]:
    """What a function is made of, as far as that can be told."""
    if isinstance(function, functools.partial):
        yield from _parts(function.func)
    code = getattr(function, "__code__", None)
    if code is not None:
        yield _code(code).encode()
    try:
        yield pickle.dumps(function, protocol=4)
    except Exception:  # lambdas, functions within functions, and what cannot be pickled
        cells = getattr(function, "__closure__", None) or ()
        held = [getattr(cell, "cell_contents", None) for cell in cells] + [getattr(function, "__defaults__", None)]
        for each in held:
            try:
                yield pickle.dumps(each, protocol=4)
            except Exception:
                yield type(each).__qualname__.encode()


def function_identity(function: Callable[..., Any]) -> str:
    """A function's name, and a digest of its code and of what it holds."""
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    return f"{name}#{hashlib.sha256(b'|'.join(_parts(function))).hexdigest()[:16]}"


def _frame_of(X: Any, frame: str) -> Any:
    """A table of Arrow as a data frame."""
    if not hasattr(X, "to_pandas"):
        raise TypeError(f"map(..., frame={frame!r}) needs a source with columns, such as Parquet, CSV or Arrow.")
    if frame == "pandas":
        return X.to_pandas()
    if frame == "polars":
        import polars

        return polars.from_arrow(X)
    return X


class MappedReader(Reader):
    """Rows of another reader, as a function returns them."""

    def __init__(self, reader: Reader, function: Callable[..., Any], frame: str | None):
        super().__init__()
        self._reader, self._function, self._frame = reader, function, frame
        self._arguments = arguments_of(function)
        self.groups = reader.groups

    def _mapped(self, found: Found, k: int) -> Found:
        X, y, weight = found
        X = self._reader.numbers(X, k) if self._frame is None else _frame_of(X, self._frame)
        result = self._function(*(X, y, weight)[: self._arguments])
        if isinstance(result, tuple):
            if not 1 <= len(result) <= 3:
                raise ValueError(f"{self.place(k)}: map's function returned {len(result)} values, not X, y, weight.")
            X, y, weight = (*result, *(X, y, weight)[len(result) :])
        else:
            X = result
        before, after = rows_of(found[0]), rows_of(X)
        if before != after:
            raise ValueError(
                f"{self.place(k)}: map's function was given {before} rows and returned {after}. It must return a row "
                "for each; to leave rows out, give them the weight 0."
            )
        return X, y, weight

    def find(self, k: int) -> Found:
        return self._mapped(self._reader.find(k), k)

    def stream(self) -> Iterator[Found]:
        for k, found in enumerate(self._reader.stream()):
            yield self._mapped(found, k)

    def place(self, k: int) -> str:
        return self._reader.place(k)

    def numbers(self, X: Any, k: int) -> Any:
        return X

    def close(self) -> None:
        self._reader.close()
