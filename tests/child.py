"""Interpreters that find the same fusedgrad as this one: fresh ones, and copies of one that has imported it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from functools import cache
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

# Prints the process and the exit status of every child that it is asked for. The child runs its code as a script does:
# at its end threads are waited for, and the interpreter is torn down.
SERVER = """
import json, os, sys
import fusedgrad.linear_model, fusedgrad.neural_network

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        break
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
code, sys.argv, files = json.loads(line)
for number, file in enumerate(files):
    os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
exec(compile(code, "<child>", "exec"), globals())
"""


def _environment(**more):
    path = [str(Path(fusedgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **more}


def python(code, *arguments, timeout=120, **environment):
    """Run the code; return the finished process, with text in `stdout` and `stderr`."""
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + code, *arguments],
        env=_environment(**environment),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@cache
def _server():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", SERVER], env=_environment(), text=True, **pipes)


def forked(code, *arguments, timeout=120):
    """As `python` does, but without the seconds that imports take. A child that takes too long is killed."""
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        request = [PREAMBLE + code, ["-c", *arguments], [os.devnull, str(stdout), str(stderr)]]
        print(json.dumps(request), file=server.stdin, flush=True)
        timer = threading.Timer(timeout, os.kill, (int(server.stdout.readline()), signal.SIGKILL))
        timer.start()
        try:
            status = int(server.stdout.readline())
        finally:
            timer.cancel()
        return subprocess.CompletedProcess(arguments, status, stdout.read_text(), stderr.read_text())
