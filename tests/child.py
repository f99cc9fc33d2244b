"""A fresh interpreter that finds the same fusedgrad as this one."""

import os
import subprocess
import sys
from pathlib import Path

import fusedgrad

# Where the tests run in a shell's background, Ctrl-C is ignored, and children inherit that.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def python(code, *arguments, timeout=120, **environment):
    """Run the code; return the finished process, with text in `stdout` and `stderr`."""
    path = [str(Path(fusedgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment}
    return subprocess.run(
        [sys.executable, "-c", HEARS_CTRL_C + code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
