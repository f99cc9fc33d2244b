"""A cut link in the middle of a fit: two hosts that are network namespaces, on one machine.

``sudo python tests/dask/two_hosts.py`` makes two namespaces with a pair of virtual Ethernet devices between them, runs
a scheduler, a worker and the client in the first and a worker in the second, fits, and takes the link down in the
middle of a pass. The worker that cannot be reached is given up after Dask's own timeout (``worker-ttl``, here 10
seconds); its shards are made again on the other one, and the fit ends with the same bits. Then the same where the only
worker is beyond the link: the fit ends with an error. Namespaces and processes are removed at the end, whatever
happens. It needs root and iproute2, and is no part of the test suite.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

PYTHON = sys.executable
ROOT = Path(__file__).resolve().parents[2]
HOSTS = ("fusedgrad-a", "fusedgrad-b")
SCHEDULER = "10.199.7.1"
BUILT = any((ROOT / "python" / "fusedgrad").glob("*.so"))  # else fusedgrad is installed
SETTINGS = {
    "PYTHONPATH": os.pathsep.join([str(ROOT / "python")] * BUILT + [str(ROOT)]),
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "20s",
}

# Runs in the first namespace: makes rows lazily, fits, and cuts the link when the calls of a pass are under way.
FIT = """
import subprocess, sys, time
import dask, dask.array as da, numpy as np
from distributed import Client
from fusedgrad import linear_model
from fusedgrad._training import shards
from fusedgrad.dask import SGDClassifier
from fusedgrad.dask._cluster import Cluster
from tests.dask.problems import rows, targets

shards.ENTRIES, shards.FEWEST = 600, 1
made = lambda k: rows(600)[k : k + 100]
X = da.concatenate([da.from_delayed(dask.delayed(made)(k), (100, 6), float) for k in range(0, 600, 100)])
y = targets(rows(600), "log_loss")
expected = linear_model.SGDClassifier("log_loss", optimizer="auto", random_state=0).fit(rows(600), y)
count, gather = iter(range(1000)), Cluster.gather

def cut_in_the_middle(self, futures):
    if next(count) == 6:
        far_end = ["ip", "netns", "exec", "fusedgrad-b", "ip", "link", "set", "fusedgrad-vb", "down"]
        subprocess.run(far_end, check=True)
        print("the link is down", flush=True)
    return gather(self, futures)

Cluster.gather = cut_in_the_middle
with Client(sys.argv[1], timeout=30) as client:
    client.wait_for_workers(int(sys.argv[2]), timeout=60)
    began = time.monotonic()
    try:
        found = SGDClassifier("log_loss", random_state=0).fit(X, y, client=client)
        same = np.array_equal(found.coef_, expected.coef_)
        print(f"the fit has ended after {time.monotonic() - began:.0f} s; the same bits: {same}", flush=True)
    except RuntimeError as error:
        print(f"an error after {time.monotonic() - began:.0f} s: {error}", flush=True)
"""


def run(*command: str) -> None:
    """Run a command of iproute2."""
    subprocess.run(command, check=True)


def inside(host: str, *command: str) -> list[str]:
    """A command in a namespace."""
    return ["ip", "netns", "exec", host, *command]


def join() -> None:
    """Make the hosts and the link between them."""
    for host in HOSTS:
        run("ip", "netns", "add", host)
        run(*inside(host, "ip", "link", "set", "lo", "up"))
    run("ip", "link", "add", "fusedgrad-va", "type", "veth", "peer", "name", "fusedgrad-vb")
    for host, device, address in zip(HOSTS, ("fusedgrad-va", "fusedgrad-vb"), (SCHEDULER, "10.199.7.2"), strict=True):
        run("ip", "link", "set", device, "netns", host)
        run(*inside(host, "ip", "address", "add", f"{address}/24", "dev", device))
        run(*inside(host, "ip", "link", "set", device, "up"))


def part() -> None:
    """Remove them."""
    for host in HOSTS:
        subprocess.run(["ip", "netns", "delete", host], check=False, stderr=subprocess.DEVNULL)


def try_with(workers: tuple[str, ...]) -> None:
    """Fit with a worker on each of these hosts, and cut the link."""
    environment = {**os.environ, **SETTINGS}
    began: list[subprocess.Popen[bytes]] = []

    def start(host: str, *command: str) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        began.append(subprocess.Popen(inside(host, PYTHON, "-m", *command), env=environment, **quiet))

    join()
    try:
        address = f"tcp://{SCHEDULER}:8786"
        start(HOSTS[0], "distributed.cli.dask_scheduler", "--host", SCHEDULER, "--no-dashboard")
        time.sleep(3)
        for host in workers:
            start(host, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
        fit = inside(HOSTS[0], PYTHON, "-W", "ignore", "-c", FIT, address, str(len(workers)))
        subprocess.run(fit, env=environment, timeout=180, check=True)
    finally:
        for process in began:
            process.terminate()
        for process in began:
            process.wait()
        part()


if __name__ == "__main__":
    part()
    print("a worker on each host", flush=True)
    try_with(HOSTS)
    print("the only worker beyond the link", flush=True)
    try_with(HOSTS[1:])
