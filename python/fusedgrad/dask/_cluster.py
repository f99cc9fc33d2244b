"""Calls on a Dask cluster that end: in results, or in an error that says what failed where."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._optional import library

if TYPE_CHECKING:
    from distributed import Client

_LOOK = 1.0  # seconds between two looks at a cluster that is waited for


def client_of(client: Client | None) -> Client:
    """The client that is given, or Dask's own.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        If there is none.
    TypeError
        If it works asynchronously.
    """
    distributed = library("distributed", extra="dask")
    if client is None:
        try:
            client = distributed.default_client()
        except ValueError:
            raise ValueError(
                "There is no Dask client to train with. Make one: distributed.Client(address) of a cluster's "
                "scheduler, or distributed.Client() for processes of this machine."
            ) from None
    if client.asynchronous:
        raise TypeError("The client is asynchronous. Give fit one that is not: distributed.Client(address).")
    return client


class Cluster:
    """A client, as a fit uses it.

    Parameters
    ----------
    client : distributed.Client
    retries : int
        How often a call may be tried again that has raised an error.
    """

    def __init__(self, client: Client, retries: int):
        self.client: Any = client  # whose methods have no types
        self.retries = retries
        self._distributed = library("distributed", extra="dask")
        self._dask = library("dask", extra="dask")
        self._stopped = False

    @property
    def patience(self) -> float:
        """Seconds without an answer or a worker, after which there is none: Dask's own."""
        timeout = self._dask.config.get("distributed.comm.timeouts.connect")
        return float(self._dask.utils.parse_timedelta(timeout))

    @property
    def threads(self) -> int:
        """Calls that workers make side by side."""
        return int(sum(self.client.nthreads().values()))

    def submit(self, name: str, function: Callable[..., Any], *args: Sequence[Any]) -> list[Any]:
        """Futures of what a function makes on workers of the first of each of the arguments, of the second and so on.

        All go to the scheduler in one message. Keys are drawn, for results are not known by what they are made of.
        """
        keys = [f"fusedgrad-{name.strip('_')}-{uuid.uuid4().hex}" for _ in args[0]]
        made = self.client.map(function, *args, key=keys, retries=self.retries, batch_size=len(keys))
        return list(made)

    def gather(self, futures: Sequence[Any]) -> list[Any]:
        """The results, in order.

        Raises
        ------
        RuntimeError
            If there is no scheduler, no worker, or a call that no worker survives.
        KeyboardInterrupt
            After Ctrl-C or `stop`; what is not done yet is cancelled.
        Exception
            That of a call that has raised one.
        """
        client = self._distributed.client
        try:
            self._wait(futures)
            return list(self.client.gather(list(futures)))
        except KeyboardInterrupt:
            self._cancel(futures)
            raise
        except self._distributed.scheduler.KilledWorker as error:
            raise RuntimeError(
                f"Workers died one after the other while they made a part of this fit, {error.task!r}; the last was "
                f"{error.last_worker.address}. Its log says why. If it ran out of memory, use more workers, or fewer "
                "threads in each."
            ) from error
        except (client.FutureCancelledError, client.FuturesCancelledError) as error:
            raise RuntimeError(
                f"Dask has lost or cancelled a part of this fit: {error}. Data that were scattered from the client "
                "cannot be computed again when their worker dies: read or make them on the workers. If the cluster is "
                "gone, start it anew; a Checkpoint lets the fit go on."
            ) from error

    def _wait(self, futures: Sequence[Any]) -> None:
        idle_since: float | None = None
        while True:
            if self._stopped:
                raise KeyboardInterrupt
            try:
                self._distributed.wait(list(futures), timeout=_LOOK)
                return
            except (TimeoutError, self._distributed.TimeoutError):  # two classes before Python 3.11
                idle_since = self._look(futures, idle_since)

    def _look(self, futures: Sequence[Any], idle_since: float | None) -> float | None:
        """Since when there is no worker; None: there are some."""
        try:
            threads = self.client.sync(self.client.scheduler.identity, callback_timeout=self.patience)["total_threads"]
        except (OSError, TimeoutError, self._distributed.TimeoutError) as error:
            self._cancel(futures)
            raise RuntimeError(f"The scheduler at {self._address} does not answer: {error}") from error
        if threads:
            return None
        now = time.monotonic()
        if idle_since is not None and now - idle_since > self.patience:
            self._cancel(futures)
            raise RuntimeError(
                f"The cluster of the scheduler at {self._address} has had no worker for {self.patience:g} seconds "
                "(Dask's setting distributed.comm.timeouts.connect). Start workers and fit again."
            )
        return idle_since or now

    @property
    def _address(self) -> str:
        return str(self.client.scheduler.address)

    def _cancel(self, futures: Sequence[Any]) -> None:
        if self.client.status == "running":
            self.client.cancel(list(futures))

    def stop(self) -> None:
        """Interrupt `gather` in another thread."""
        self._stopped = True
