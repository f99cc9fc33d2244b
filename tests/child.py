"""A fresh interpreter that finds the same fusedgrad as this one."""

import os
import subprocess
import sys
from pathlib import Path

import fusedgrad


def python(code, *arguments, timeout=120, **environment):
    """Run the code; return the finished process, with text in `stdout` and `stderr`."""
    path = [str(Path(fusedgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, timeout=timeout
    )
