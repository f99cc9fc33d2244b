"""A thread that reads ahead, so that reading and training overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

_PATIENCE = 0.05  # seconds until the thread looks whether it is to end
_END = object()


class Ahead(Generic[Item]):
    """Iterates over what `make` returns, which another thread does, `depth` items ahead of the one in use.

    The thread makes the iterator, and closes it: whatever it has opened is opened and closed there. An exception there
    is raised here, in its place. To be closed, or used as a context manager: the thread ends within the item that it
    is at.
    """

    def __init__(self, make: Callable[[], Iterator[Item]], depth: int = 1):
        self._queue: Queue[Any] = Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(make,), name="fusedgrad reader", daemon=True)
        self._thread.start()

    def _read(self, make: Callable[[], Iterator[Item]]) -> None:
        try:
            iterator = make()
            try:
                for item in iterator:
                    if not self._put((item, None)):
                        return
                    del item  # the queue's alone: memory is bounded by its depth
            finally:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
            self._put((_END, None))
        except BaseException as error:  # of a source that users write, too
            self._put((_END, error))

    def _put(self, item: Any) -> bool:
        """Wait for room; false: nobody waits for it any more."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE)
                return True
            except Full:
                continue
        return False

    def __iter__(self) -> Iterator[Item]:
        while True:
            item, error = self._get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
            del item

    def _get(self) -> Any:
        while True:
            try:
                return self._queue.get(timeout=_PATIENCE)  # Ctrl-C comes between
            except Empty:
                continue

    def close(self) -> None:
        """Let the thread end, without waiting for what it reads at the moment."""
        self._closed.set()

    def __enter__(self) -> Ahead[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
