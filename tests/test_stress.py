"""Two hundred fits at once: threads, forks, Ctrl-C, callables that raise. Nothing hangs, nothing differs."""

import os

import pytest

from . import child

STRESS = """
import multiprocessing, os, signal, threading, warnings
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import scipy.sparse as sp
from fusedgrad.layers import BatchNorm, Dense
from fusedgrad.linear_model import SGDClassifier
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier
from fusedgrad.optimizers import SGD, Adam

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 30)).astype(np.float32)
S = sp.random(1500, 2000, 0.02, "csr", random_state=0)
y = rng.integers(3, size=1500)

class Enough(Exception):
    pass

def impatient(step):
    if step > 20:
        raise Enough
    return 0.1

shared = dict(tol=None, random_state=0, n_jobs=3)
MODELS = [
    lambda: SGDClassifier(max_iter=5, **shared).fit(X, y).coef_,
    lambda: SGDClassifier(batch_size=256, max_iter=5, **shared).fit(X, y).coef_,
    lambda: SGDClassifier(batch_size=256, optimizer=Adam(), max_iter=5, **shared).fit(S, y).coef_,
    lambda: MLPClassifier((40,), max_iter=5, random_state=0, n_jobs=3).fit(X, y).coefs_[0],
    lambda: NeuralClassifier([Dense(20, "relu"), BatchNorm()], max_epochs=4, **shared).fit(X, y).predict_proba(X),
    lambda: SGDClassifier(batch_size=64, optimizer=SGD(impatient), max_iter=5, **shared).fit(X, y).coef_,
]

def outcome(k):
    try:
        return MODELS[k % len(MODELS)]().tobytes()
    except Enough:
        return b"enough"

expected = [outcome(k) for k in range(len(MODELS))]
assert expected[-1] == b"enough"

def right(k):
    return outcome(k) == expected[k % len(MODELS)]

def forked(begin, queue):
    queue.put(all(right(k) for k in range(begin, begin + 10)))

context = multiprocessing.get_context("fork")
queue = context.Queue()
with ThreadPoolExecutor(8) as pool:
    fits = [pool.submit(right, k) for k in range(160)]
    processes = [context.Process(target=forked, args=(10 * p, queue)) for p in range(4)]
    for process in processes:
        process.start()
    stop = threading.Event()

    def press():
        while not stop.wait(0.02):
            os.kill(os.getpid(), signal.SIGINT)

    # The main thread trains, too, and is interrupted again and again; the others are not.
    armed = False

    def interrupt(*_):
        global armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    presser, pressed = threading.Thread(target=press), 0
    presser.start()
    while pressed < 20:
        try:
            armed = True
            while True:
                MODELS[pressed % 5]()
        except KeyboardInterrupt:
            pressed += 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop.set()
    presser.join()
    done = [fit.result() for fit in fits]
children = [queue.get(timeout=60) for _ in processes]
for process in processes:
    process.join(60)
print(len(done), all(done), all(children), [process.exitcode for process in processes])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_two_hundred_fits_in_threads_and_forks_with_interrupts_and_exceptions():
    result = child.forked(STRESS, timeout=300)
    assert result.stdout.strip() == "160 True True [0, 0, 0, 0]", result.stdout + result.stderr
