"""Lazy rules: columns of sparse rows that a batch does not touch stand still, and cost nothing."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import fit_many, optimizers
from fusedgrad._training.minibatch_training import Training
from fusedgrad.callbacks import Checkpoint
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from hypothesis import given
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ..reference.rules import OPTIMIZERS
from . import minibatch_strategies as strategies
from .batches import assert_equal, every_kind, fit, judged
from .sets import assert_as_alone
from .test_minibatch_fits import RTOL, repeatably

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

MOVES_WITHOUT_GRADIENT = [
    (name, fields, rate)
    for name, fields, rate in strategies.RULES
    if name not in ("ASGD", "Adagrad", "FTRL") and (name != "SGD" or fields.get("momentum"))
]
every_lazy_rule = pytest.mark.parametrize(
    "optimizer",
    [kind(lazy=True) for kind in OPTIMIZERS if kind is not optimizers.ASGD] + [optimizers.SGD(momentum=0.9, lazy=True)],
    ids=repr,
)


@every_kind
def test_fit_is_as_the_definition_says(kind):
    @repeatably
    @given(strategies.cases(kinds=(kind,), rules=MOVES_WITHOUT_GRADIENT))
    def check(case):
        name, fields = case.rule
        case.rule = name, {**{k: v for k, v in fields.items() if k != "clip_norm"}, "lazy": True}
        case.params["average"] = False
        assert_equal(fit(case), judged(case), RTOL[case.X.dtype.type], averaged=False)

    check()


@every_lazy_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_moves_in_the_batches_that_have_it_and_in_no_other(optimizer, dtype):
    X = np.zeros((8, 3), dtype)
    X[:, 0], X[:4, 1], X[4:, 2] = 1.0, [1, -2, 3, 1], [2, 1, -1, 2]
    y = X @ np.array([1.0, 2.0, -1.0]) + 0.5
    model = SGDRegressor(batch_size=4, optimizer=optimizer, shuffle=False, alpha=0.0, eta0=0.1, random_state=0)
    waits = optimizer == type(optimizer)(lazy=True) and type(optimizer) in (
        optimizers.SGD,
        optimizers.Adagrad,
        optimizers.FTRL,
    )
    coefs = []
    for begin in (0, 4, 0, 4):
        model.partial_fit(sp.csr_array(X[begin : begin + 4]), y[begin : begin + 4])
        coefs.append(model.coef_.copy())
    for k in range(1, 4):
        moved, rests = (1, 2) if k % 2 == 0 else (2, 1)
        assert abs(coefs[k][moved] / coefs[k - 1][moved] - 1) > 1e-4
        assert abs(coefs[k][rests] / coefs[k - 1][rests] - 1) < 1e-6  # columns are measured anew
    if waits:  # the exact form is the same
        exact = SGDRegressor(batch_size=4, shuffle=False, alpha=0.0, eta0=0.1, random_state=0)
        exact.set_params(optimizer=type(optimizer)())
        for begin in (0, 4, 0, 4):
            exact.partial_fit(sp.csr_array(X[begin : begin + 4]), y[begin : begin + 4])
        np.testing.assert_array_equal(exact.coef_, model.coef_)


@every_lazy_rule
def test_threads_change_no_bit(optimizer):
    rng = np.random.default_rng(0)
    X = sp.random_array((300, 5000), density=0.003, rng=rng, format="csr")
    y = (X @ rng.normal(size=5000)).argsort().argsort() % 3
    models = [
        SGDClassifier(
            "log_loss", multi_class="multinomial", batch_size=32, optimizer=optimizer, max_iter=3, tol=None,
            random_state=0, n_jobs=n_jobs,
        ).fit(X, y)
        for n_jobs in (1, 2)
    ]  # fmt: skip
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_models_that_share_a_pass_with_others_that_wait_are_as_alone(dtype, n_jobs):
    rng = np.random.default_rng(0)
    X = sp.random_array((200, 5000), density=0.002, rng=rng, format="csr").astype(dtype)
    y = (X @ rng.normal(size=5000)).argsort().argsort() % 3
    models = [
        SGDClassifier(
            "log_loss", batch_size=16, optimizer=optimizer, max_iter=3, tol=None, random_state=0, n_jobs=n_jobs
        )
        for optimizer in [
            optimizers.Adam(lazy=True),
            optimizers.Adam(lazy=True, clip_value=0.01),
            optimizers.Adagrad(),
            optimizers.SGD(momentum=0.9, lazy=True),
            optimizers.FTRL(),
        ]
    ]
    alone = [clone(model).fit(X, y) for model in models]
    for model, judge in zip(fit_many(models, X, y), alone, strict=True):
        assert_as_alone(model, judge)


@every_lazy_rule
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_order_of_memory_changes_no_bit(optimizer, outputs, monkeypatch):
    rng = np.random.default_rng(0)
    X = sp.random_array((200, 500), density=0.02, rng=rng, format="csr")
    y = X @ rng.normal(size=(500, outputs))
    model = SGDRegressor(batch_size=16, optimizer=optimizer, max_iter=3, tol=None, random_state=0)
    fits = []
    for side_by_side in (True, False):
        monkeypatch.setattr(Training, "_touches_few", lambda self, answer=side_by_side: answer)
        fits.append(clone(model).fit(X, y).partial_fit(X, y))
    assert_as_alone(*fits)


def test_a_fit_goes_on_from_a_checkpoint(tmp_path):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
    rng = np.random.default_rng(0)
    X = sp.random_array((200, 500), density=0.02, rng=rng, format="csr")
    y = X @ rng.normal(size=500) > 0
    options = {"batch_size": 16, "max_iter": 5, "tol": None, "random_state": 0}
    model = SGDClassifier("log_loss", optimizer=optimizers.Adam(lazy=True), **options)
    expected = clone(model).fit(X, y)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="3 epochs")).fit(X, y)
    assert_as_alone(clone(model).fit(X, y, resume=tmp_path / "fit"), expected)


def test_dense_rows_touch_every_column():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)) * (rng.random((60, 5)) < 0.5), rng.normal(size=60)
    options = {"batch_size": 4, "random_state": 0, "max_iter": 3, "tol": None}
    lazy, exact = (SGDRegressor(optimizer=optimizers.Adam(lazy=lazy), **options).fit(X, y) for lazy in (True, False))
    np.testing.assert_array_equal(lazy.coef_, exact.coef_)


def test_what_needs_all_coefficients_is_refused():
    X, y = sp.csr_array(np.eye(4)), [0, 1, 0, 1]
    for params, said in [
        ({"average": True, "optimizer": optimizers.Adam(lazy=True)}, "average needs all coefficients"),
        ({"optimizer": optimizers.Adam(lazy=True, clip_norm=1.0)}, "clip_norm of the optimizer needs all"),
    ]:
        model = SGDClassifier(batch_size=2, **params)
        for call in (model.fit, lambda X, y, model=model: model.partial_fit(X, y, classes=[0, 1])):
            with pytest.raises(ValueError, match=said):
                call(X, y)
        assert not hasattr(model, "coef_")
    with pytest.raises(ValueError, match="ASGD averages all weights"):
        optimizers.ASGD(lazy=True)
