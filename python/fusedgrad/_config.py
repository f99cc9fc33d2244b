"""What is running: version, instruction set, threads, BLAS."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import threadpoolctl

from . import _bindings, _core
from ._isa import built
from ._threads import explained

try:
    __version__ = version("fusedgrad")
except PackageNotFoundError:  # a source tree on the path
    __version__ = "0+unknown"


def config() -> dict[str, Any]:
    """Return what `show_config` prints."""
    build = _core.build()
    blas = [
        f"{info['internal_api']} {info.get('version', '')} ({info['num_threads']} threads)"
        for info in threadpoolctl.threadpool_info()
        if info["user_api"] == "blas"
    ]
    return {
        "fusedgrad": __version__,
        "instruction set": f"{build['isa']} ({build['register_bits']}-bit registers)",
        "built for": " ".join(built()),
        "processor offers": " ".join(_bindings.levels()),
        "threads": explained(),
        "compiler": build["compiler"],
        "eigen": build["eigen"],
        "openmp": build["openmp"],
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
        "blas": ", ".join(sorted(set(blas))) or "none loaded",
    }


def show_config() -> None:
    """Print version, active instruction set, threads, libraries and build.

    ``FUSEDGRAD_ISA=v2`` (or v3, v4) in the environment forces an instruction set; ``OMP_NUM_THREADS`` and
    threadpoolctl limit the threads, as the processors that the process may use and the quota of its container do.
    """
    for name, value in config().items():
        print(f"{name + ':':18}{value}")
