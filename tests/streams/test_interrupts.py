"""Ctrl-C while a stream is read, or learned."""

import json

import pytest

from ..child import forked

CODE = """
import json, sys, warnings
import numpy as np
from fusedgrad import _sources
from fusedgrad._training.streams import order
from fusedgrad.data import Batches
from fusedgrad.layers import Dense
from fusedgrad.linear_model import SGDClassifier
from fusedgrad.neural_network import NeuralClassifier

warnings.simplefilter("ignore")
_sources.LIMIT, order.BUFFER = 0, 100_000
slow = float(sys.argv[1])
rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 8))
y = (X[:, 0] > 0).astype(int)
passes = [0]

def rows():
    passes[0] += 1
    if passes[0] == 6:  # when epochs are complete, on however busy a machine
        senders.append(begin())
    for k in range(0, len(X), 2_000):
        if passes[0] > 3:
            time.sleep(max(slow, 0.0))
        yield X[k : k + 2_000], y[k : k + 2_000]

def begin():
    if slow < 0:  # now, and the first rows of the epoch take their time
        globals().update(sent=time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.0)
        return threading.current_thread()
    if slow == 0:
        return ctrl_c_in(0.5)
    sender = threading.Timer(0.5, lambda: (globals().update(sent=time.monotonic()), os.kill(os.getpid(), 2)))
    sender.start()
    return sender

reports, senders = [], []
for model in (
    SGDClassifier("log_loss", batch_size=16, max_iter=10**8, tol=None, random_state=0),
    NeuralClassifier([Dense(8)], batch_size=16, max_epochs=10**8, n_iter_no_change=10**8, tol=0.0, random_state=0),
):
    passes[0] = 0
    try:
        model.fit(Batches(rows))
        raised = None
    except KeyboardInterrupt as error:
        raised = str(error)
    reports.append([time.monotonic() - sent, raised, model.stop_reason_, model.n_iter_, len(model.loss_curve_)])
    if slow >= 0:
        senders.pop().join()
print(json.dumps(reports))
"""


@pytest.mark.parametrize(
    "slow", ["0", "0.3", "-1"], ids=["while it is learned", "while it is read", "while an epoch has no rows yet"]
)
def test_ctrl_c_keeps_the_weights_and_raises(slow):
    process = forked(CODE, slow)
    assert process.returncode == 0, process.stderr
    for took, raised, reason, epochs, curve in json.loads(process.stdout):
        assert took < 10.0  # 0.1 s where nobody else is at work
        assert "the weights reached so far are kept" in raised
        assert reason == "interrupted"
        assert epochs == curve >= 1
