"""A fresh interpreter that finds the same fusedgrad as this one."""

import os
import subprocess
import sys
from pathlib import Path

import fusedgrad

# What every child begins with. Where tests run in a shell's background, Ctrl-C is ignored, and children inherit that.
PREAMBLE = """
import os, signal, threading, time

signal.signal(signal.SIGINT, signal.default_int_handler)


def ctrl_c_in(seconds):
    'Send it to this process; `sent` is when. Returns the thread that does.'
    began = time.process_time()

    def send():
        global sent
        time.sleep(seconds)
        for _ in range(100):  # on a busy machine as much work comes later
            if time.process_time() - began >= seconds:
                break
            time.sleep(0.1)
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    return sender
"""


def python(code, *arguments, timeout=120, **environment):
    """Run the code; return the finished process, with text in `stdout` and `stderr`."""
    path = [str(Path(fusedgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment}
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
