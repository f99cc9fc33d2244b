"""What networks promise around training: interrupts, divergence, class weights, splits, histories, names, sizes."""

import copy
import itertools
import math
import pickle
import sys
import warnings

import fusedgrad.neural_network
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from fusedgrad import _network, optimizers
from fusedgrad._checks import balanced_weights
from fusedgrad.exceptions import DivergedError
from fusedgrad.layers import (
    GRU,
    LSTM,
    AvgPool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    MaxPool2D,
    Residual,
)
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 60
X = np.random.default_rng(0).normal(size=(N, 4))
SCORE = X @ np.array([1.0, -2.0, 0.5, 0.0])
THREE = np.digitize(SCORE, np.quantile(SCORE, [1 / 3, 2 / 3]))
LABELS = np.c_[SCORE > 0, X[:, 0] > 0, X[:, 1] > 1].astype(int)
NAMES = ("MLPClassifier", "MLPRegressor", "NeuralClassifier", "NeuralRegressor")
CLASSIFIERS, REGRESSORS = NAMES[::2], NAMES[1::2]
Y = {name: THREE if "Classifier" in name else SCORE for name in NAMES}
every = pytest.mark.parametrize("name", NAMES)
every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)
every_regressor = pytest.mark.parametrize("name", REGRESSORS)


def make(name, hidden=(6,), norm=False, **params):
    """A small network of either family; epochs and optimizer under the names that it has for them."""
    mlp = "MLP" in name
    for ours, theirs in (("epochs", "max_iter"), ("rule", "solver")) if mlp else (
        ("epochs", "max_epochs"), ("rule", "optimizer")
    ):  # fmt: skip
        if ours in params:
            params[theirs] = params.pop(ours)
    if mlp:
        made = {"hidden_layer_sizes": hidden, "batch_norm": norm, "max_iter": 4}
    else:
        made = {"layers": [x for h in hidden for x in [Dense(h, "relu"), *[BatchNorm()] * norm]], "max_epochs": 4}
    defaults = {**made, "random_state": 0, "tol": 0.0, "batch_size": 16}
    return getattr(fusedgrad.neural_network, name)(**{**defaults, **params})


def weights_of(model):
    if hasattr(model, "coefs_"):
        return [*model.coefs_, *model.intercepts_, *(v for n in getattr(model, "norms_", []) for v in n.values())]
    return [*model.weights_, *model.statistics_]


def same_weights(a, b):
    return all(np.array_equal(one, other) for one, other in zip(weights_of(a), weights_of(b), strict=True))


def state(model, *without):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in vars(model).items() if name not in without}


def settled(model):
    """The same for a model that may be a copy: how objects refer to each other does not count."""
    return state(pickle.loads(pickle.dumps(model)))


def refuses(message, model, *arguments, method="fit", kind=ValueError, **more):
    """The error, after which the model is as it was."""
    before, objects = state(model), dict(vars(model))
    with pytest.raises(kind, match=message) as caught:
        getattr(model, method)(*arguments, **more)
    assert state(model) == before
    assert all(vars(model)[name] is value for name, value in objects.items())
    return caught.value


# ---- interrupts ----


class Interrupt:
    """KeyboardInterrupt at the n-th line of fusedgrad that is executed."""

    def __init__(self, number):
        self.number, self.line = number, 0

    def __enter__(self):
        sys.settrace(self.call)

    def __exit__(self, *error):
        sys.settrace(None)

    def call(self, frame, event, argument):
        return self.trace if "fusedgrad" in frame.f_code.co_filename else None

    def trace(self, frame, event, argument):
        if event == "line":
            self.line += 1
            if self.line == self.number:
                raise KeyboardInterrupt
        return self.trace


def interrupted(model, call):
    """Copies of the model, each interrupted at another line of the call, until one is not."""
    for number in itertools.count(1, 4):
        one, interrupt = copy.deepcopy(model), Interrupt(number)
        try:
            with interrupt:
                call(one)
        except KeyboardInterrupt:
            yield one
            continue
        assert interrupt.line < number  # an interrupt is never swallowed
        return


SWEEP = {
    "fit": lambda: make("MLPClassifier", early_stopping=True, norm=True),
    "refit": lambda: make("NeuralRegressor", average=0.9).fit(X[::2], SCORE[::2]),
    "warm": lambda: make("NeuralClassifier", norm=True, warm_start=True, tol=None).fit(X, THREE, X_val=X, y_val=THREE),
    "lbfgs": lambda: make("MLPRegressor", rule="lbfgs").fit(X[::2], SCORE[::2]),
}


@pytest.mark.parametrize("what", SWEEP)
def test_an_interrupt_anywhere_in_fit_leaves_the_old_model_or_that_of_some_epochs(what):
    model = SWEEP[what]()
    y = THREE if "Classifier" in type(model).__name__ else SCORE
    given = {} if what == "fit" else {"X_val": X, "y_val": y}
    epochs = "max_iter" if "MLP" in type(model).__name__ else "max_epochs"
    before, kept = settled(model), 0
    for one in interrupted(model, lambda one: one.fit(X, y, **given)):
        if settled(one) == before:
            continue
        kept += one.stop_reason_ == "interrupted"
        expected = copy.deepcopy(model).set_params(**{epochs: one.n_iter_}).fit(X, y, **given)
        assert one.loss_curve_ == expected.loss_curve_
        assert len(one.validation_scores_) == len(one.validation_loss_curve_) == len(one.loss_curve_)
        assert one._optimizer.step == expected._optimizer.step
        if what != "fit":  # there the best weights are kept, and a score may be missing
            assert same_weights(one, expected)
            assert vars(one).keys() == vars(expected).keys()
    assert kept > 5


@every
def test_an_interrupt_anywhere_in_partial_fit_leaves_the_old_model_or_the_new(name):
    first = {"classes": [0, 1, 2]} if name in CLASSIFIERS else {}
    model = make(name).partial_fit(X, Y[name], **first)
    before, after = settled(model), settled(copy.deepcopy(model).partial_fit(X, Y[name]))
    assert before != after
    assert all(settled(one) in (before, after) for one in interrupted(model, lambda m: m.partial_fit(X, Y[name])))


def test_ctrl_c_stops_a_search():
    fits = []

    class Interrupted(MLPClassifier):
        def fit(self, X, y):
            fits.append(None)
            return super().fit(X, y)

    def at_step(step):
        if step == 4:
            raise KeyboardInterrupt
        return 0.01

    search = GridSearchCV(Interrupted((3,), learning_rate=at_step, random_state=0), {"alpha": [0.1, 0.2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, THREE)
    assert len(fits) == 1


@every
def test_an_interrupt_between_epochs_keeps_those_that_were_made(name):
    def at_step(step):
        if step >= 8:
            raise KeyboardInterrupt
        return 0.01

    model = make(name, learning_rate=at_step, rule="nadam", epochs=9)
    with pytest.raises(KeyboardInterrupt, match="interrupted after 2 epochs; the weights reached so far are kept"):
        model.fit(X, Y[name], X_val=X, y_val=Y[name])
    assert (model.stop_reason_, model.n_iter_) == ("interrupted", 2)
    expected = make(name, learning_rate=lambda step: 0.01, rule="nadam", epochs=2).fit(
        X, Y[name], X_val=X, y_val=Y[name]
    )
    assert same_weights(model, expected)
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_scores_ == expected.validation_scores_
    model.set_params(learning_rate=lambda step: 0.01, warm_start=True).fit(X, Y[name])
    assert len(model.loss_curve_) == 2 + model.n_iter_


def test_an_interrupted_lbfgs_keeps_the_last_iterate_not_a_trial(monkeypatch):
    made = _network.Training.loss_gradient
    calls = []

    def broken(self, gradient):
        calls.append(self.flat.copy())
        if len(calls) == 12:
            raise KeyboardInterrupt
        return made(self, gradient)

    monkeypatch.setattr(_network.Training, "loss_gradient", broken)
    model = make("MLPRegressor", rule="lbfgs", epochs=100)
    with pytest.raises(KeyboardInterrupt, match="interrupted after"):
        model.fit(X, SCORE)
    monkeypatch.undo()
    assert 1 < model.n_iter_ == len(model.loss_curve_) < 12
    expected = make("MLPRegressor", rule="lbfgs", epochs=model.n_iter_).fit(X, SCORE)
    assert same_weights(model, expected)
    assert model.loss_ == model.loss_curve_[-1] == expected.loss_


def never(step):
    raise KeyboardInterrupt


@every
def test_an_interrupt_before_the_first_step_changes_nothing(name):
    model = make(name).fit(X, Y[name]).set_params(learning_rate=never)
    refuses(None, model, X, Y[name], kind=KeyboardInterrupt)


# ---- divergence ----


def explode(step):
    return 1e-3 if step < 8 else 1e300


@every
def test_divergence_keeps_its_history(name):
    model = make(name, learning_rate=explode, rule=optimizers.SGD(), epochs=9)
    error = refuses(
        r"^Solver produced non-finite parameter weights. The input data may contain large values and need to be "
        r"preprocessed\..*learning rate was too large.*clip_norm.*broke in epoch 3; the last losses were",
        model,
        X,
        Y[name],
        kind=DivergedError,
    )
    assert isinstance(error, ValueError)
    assert (error.epoch, error.rate, len(error.loss_curve)) == (3, 1e300, 3)
    assert (
        error.loss_curve[:2]
        == make(name, learning_rate=explode, rule=optimizers.SGD(), epochs=2).fit(X, Y[name]).loss_curve_
    )
    assert math.isnan(error.loss_curve[2])
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.epoch, copied.rate) == (str(error), 3, 1e300)
    assert copied.loss_curve[:2] == error.loss_curve[:2]


@every
def test_a_last_loss_that_is_not_finite_has_diverged(name):
    """In float32 the penalty overflows before the weights do."""
    rows = X.astype(np.float32)
    rate = {"learning_rate_init" if "MLP" in name else "learning_rate": 1e20}
    model = make(name, rule=optimizers.SGD(clip_norm=1.0), **rate, alpha=1e-30, batch_size="full", epochs=3)
    error = refuses("non-finite", model, rows, Y[name], kind=DivergedError)
    assert error.epoch == len(error.loss_curve) <= 3
    assert not math.isfinite(error.loss_curve[-1])


def leap(step):
    return 1e-3 if step < 2 else 1e25


@every
def test_weights_that_the_last_step_made_useless_have_diverged(name):
    """They are finite in float32, but what is made of them is not."""
    rows = X.astype(np.float32)
    rule = optimizers.SGD(clip_norm=1.0)
    model = make(name, rule=rule, learning_rate=leap, batch_size="full", epochs=3)
    error = refuses("non-finite", model, rows, Y[name], kind=DivergedError)
    assert (error.epoch, error.rate) == (3, 1e25)
    assert np.isfinite(error.loss_curve).all()


# ---- batch norm ----

FLAT = [Dense(4), BatchNorm()]
ONE_ROW = r"Batch normalisation needs batches of two rows or more.*larger batch_size.*LayerNorm"


@every
def test_batch_norm_needs_batches_of_two_rows(name):
    refuses(ONE_ROW, make(name, norm=True, batch_size=1), X, Y[name])
    model = make(name, norm=True).fit(X, Y[name])
    refuses(ONE_ROW, model.set_params(batch_size=1), X, Y[name])
    refuses(ONE_ROW, model.set_params(batch_size=1), X[:1], Y[name][:1], method="partial_fit")
    if name in REGRESSORS:
        refuses(ONE_ROW, make(name, norm=True, batch_size="full"), X[:1], SCORE[:1])
    model.set_params(batch_size=2).partial_fit(X[:2], Y[name][:2]).predict(X[:1])


def test_batch_norm_over_positions_takes_one_row():
    images = X.reshape(N, 2, 2, 1)
    made = [Conv2D(3, 1), BatchNorm(), Residual([LayerNorm(), BatchNorm()]), Flatten()]
    model = NeuralRegressor(made, max_epochs=2, batch_size=1, random_state=0).fit(images, SCORE)
    assert np.isfinite(model.predict(images)).all()
    inside = [Dense(4), Residual([Dense(4), BatchNorm()])]
    refuses(ONE_ROW, NeuralRegressor(inside, batch_size=1), X, SCORE)


def test_a_last_batch_of_one_row_leaves_running_statistics_alone():
    params = {"norm": True, "batch_size": 20, "shuffle": False, "epochs": 1, "rule": optimizers.SGD()}
    rate = {"learning_rate_init": 1e-300}
    one = make("MLPRegressor", **params, **rate).fit(X[:41], SCORE[:41])
    none = make("MLPRegressor", **params, **rate).fit(X[:40], SCORE[:40])
    for statistic in ("mean", "variance"):
        np.testing.assert_allclose(one.norms_[0][statistic], none.norms_[0][statistic], rtol=1e-12)


@pytest.mark.parametrize("rows", [600, 601])
def test_a_last_batch_of_one_row_does_not_spoil_the_fit(rows):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(3000, 4))
    y = data @ [3.0, -2.0, 1.0, 4.0]
    model = MLPRegressor(
        hidden_layer_sizes=(32,), batch_norm=True, max_iter=100, learning_rate_init=0.02, random_state=0
    )
    assert model.fit(data[:rows], y[:rows]).score(data[2000:], y[2000:]) > 0.99


# ---- weights of classes ----


def test_balanced_weights_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    codes, weight = rng.integers(3, size=50), rng.integers(1, 4, size=50).astype(float)
    repeated = np.repeat(codes, weight.astype(int))
    for given, seen in ((None, codes), (weight, repeated)):
        expected = compute_class_weight("balanced", classes=np.arange(3), y=seen)
        np.testing.assert_allclose(balanced_weights(codes, 3, given), expected)
    weight[codes == 1] = 0  # scikit-learn knows no class without weight
    two = compute_class_weight("balanced", classes=np.array([0, 2]), y=repeated[repeated != 1])
    np.testing.assert_allclose(balanced_weights(codes, 3, weight), [two[0] * 2 / 3, 0, two[1] * 2 / 3])


@every_classifier
def test_balanced_counts_the_classes_that_are_trained_on(name):
    """A class whose rows weigh nothing is as if it were not there; so is a label that no row has, or every one."""
    weight = np.random.default_rng(0).integers(1, 4, size=N).astype(float)
    weight[THREE == 1] = 0
    repeated = np.repeat(THREE, weight.astype(int))
    model = make(name, class_weight="balanced").fit(X, THREE)
    table = compute_class_weight("balanced", classes=np.array([0, 2]), y=repeated)
    np.testing.assert_allclose(model._class_weights(THREE, weight)[THREE != 1], table[THREE[THREE != 1] // 2])
    labels = np.c_[LABELS, np.ones(N, dtype=int)]
    model.fit(X, labels)
    np.testing.assert_allclose(model._class_weights(labels, None), compute_sample_weight("balanced", LABELS))


@every_classifier
def test_balanced_counts_sample_weights(name):
    """Rows that weigh three times as much count as if they were there three times."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(N) < 0.8, 0, THREE)
    weight = rng.integers(1, 4, N).astype(float)
    params = {"class_weight": "balanced", "batch_size": "full", "shuffle": False, "alpha": 0.0}
    repeated = np.repeat(np.arange(N), weight.astype(int))
    found = make(name, **params).fit(X, y, weight)
    expected = make(name, **params).fit(X[repeated], y[repeated])
    for one, other in zip(weights_of(found), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    share = make(name, **params, hidden=(), epochs=3000, rule=optimizers.SGD(1.0), tol=1e-12).fit(X * 0, y, weight)
    np.testing.assert_allclose(share.predict_proba(X[:1] * 0), 1 / 3, atol=1e-3)


@every_classifier
def test_balanced_counts_the_rows_that_are_trained_on(name):
    y = np.where(np.arange(N) < 45, 0, THREE)
    model = make(name, class_weight="balanced", early_stopping=True, restore_best_weights=False)
    seen = {}
    made = type(model)._class_weights

    class Seen(type(model)):
        def _class_weights(self, y, weight):
            seen["y"], seen["weights"] = y, made(self, y, weight)
            return seen["weights"]

    Seen(**model.get_params(deep=False)).fit(X, y)
    assert len(seen["y"]) == 54
    np.testing.assert_allclose(seen["weights"], compute_sample_weight("balanced", seen["y"]))


@every_classifier
def test_balanced_labels_are_balanced_column_by_column(name):
    weight = np.random.default_rng(0).uniform(0.5, 2, N)
    model = make(name, class_weight="balanced").fit(X, LABELS)
    expected = make(name).fit(X, LABELS, compute_sample_weight("balanced", LABELS))
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    product = np.prod(
        [balanced_weights(column, 2, weight)[column] for column in LABELS.T],
        axis=0,
    )
    model = make(name, class_weight="balanced").fit(X, LABELS, weight)
    expected = make(name).fit(X, LABELS, weight * product)
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    tables = [{0: 1.0, 1: 2.0}, {1: 0.5}, {0: 3.0}]
    by_hand = np.prod([[t.get(v, 1.0) for v in column] for t, column in zip(tables, LABELS.T, strict=True)], axis=0)
    given = make(name, class_weight=tables).fit(X, LABELS)
    assert same_weights(given, make(name).fit(X, LABELS, by_hand))


@every_classifier
def test_class_weights_of_labels_that_do_not_fit(name):
    for wrong in ({0: 1.0}, [{0: 1.0}] * 2):
        refuses(
            "For an indicator matrix class_weight must be 'balanced' or a list of 3 dicts",
            make(name, class_weight=wrong),
            X,
            LABELS,
        )
    refuses(
        "class_weight must be a dict or 'balanced' for one label a row", make(name, class_weight=[{0: 1.0}]), X, THREE
    )
    for wrong in ({0: -1.0}, {1: np.nan}, {2: np.inf}):
        refuses("class_weight must be finite and not negative", make(name, class_weight=wrong), X, THREE)
    refuses("Every row to train on has the weight zero", make(name, class_weight={0: 0, 1: 0, 2: 0}), X, THREE)


@every_classifier
@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b", "c"]])
def test_a_dict_of_class_weights_may_name_classes_that_are_not_there_yet(name, labels):
    """In a first partial_fit, in a later one, and in a split."""
    labels = np.array(labels)
    table = {labels[0]: 2.0, labels[2]: 0.5}  # and 1 for the one that it leaves out
    y = labels[THREE]
    weight = np.array([2.0, 1.0, 0.5])[THREE]
    some = THREE < 2
    model = make(name, class_weight=table).partial_fit(X[some], y[some], classes=labels)
    expected = make(name).partial_fit(X[some], y[some], weight[some], classes=labels)
    assert same_weights(model, expected)
    model.partial_fit(X[~some], y[~some])
    assert same_weights(model, expected.partial_fit(X[~some], y[~some], weight[~some]))
    rare = np.where(np.arange(N) == 7, 2, THREE % 2)
    early = {"early_stopping": True}
    model = make(name, class_weight=table, **early).fit(X, labels[rare])
    assert same_weights(model, make(name, **early).fit(X, labels[rare], np.array([2.0, 1.0, 0.5])[rare]))


# ---- rows that early stopping keeps aside ----


def parts_of(name, y, **params):
    """The rows that a fit trains on, and those it validates with."""
    model = make(name, early_stopping=True, **params)
    found = {}

    class Seen(type(model)):
        def _split(self, X, y, weight, rng):
            X, y, weight, rows = super()._split(X, y, weight, rng)
            found["train"], found["held"] = X[:, 0].astype(int), rows.X[:, 0].astype(int)
            return X, y, weight, rows

    Seen(**model.get_params(deep=False)).fit(np.arange(len(y), dtype=float)[:, None], y)
    assert sorted([*found["train"], *found["held"]]) == list(range(len(y)))
    return found["train"], found["held"]


@every_classifier
def test_a_rare_class_is_in_both_parts(name):
    y = np.array([0] * 50 + [1] * 40 + [2] * 10)
    for seed in range(5):
        train, held = parts_of(name, y, random_state=seed, validation_fraction=0.2)
        assert np.bincount(y[held]).tolist() == [10, 8, 2]
        assert np.bincount(y[train]).tolist() == [40, 32, 8]


@every_classifier
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_class_of_one_row_is_trained_on(name, classes):
    y = np.arange(60) % (classes - 1)
    y[17] = classes - 1
    for seed in range(5):
        train, held = parts_of(name, y, random_state=seed)
        assert 17 in train
        assert len(held) == 6


@every_classifier
def test_more_classes_than_rows_to_keep_aside(name):
    """Then every class is trained on, whatever the others validate with."""
    y = np.arange(60) % 20
    for seed in range(5):
        train, held = parts_of(name, y, random_state=seed)
        assert set(y[train]) == set(range(20))
        assert len(held) == 4


def test_the_split_is_that_of_scikit_learn_where_that_one_stratifies():
    y = (np.arange(N) % 3 == 0).astype(int)
    train, held = parts_of("MLPClassifier", y)
    rng = np.random.RandomState(0)
    for shape in ((1, 6), (6,), (6, 1), (1,)):  # weights and biases are drawn first
        rng.uniform(size=shape)
    expected = train_test_split(np.arange(N), random_state=rng, test_size=0.1, stratify=y)
    assert [train.tolist(), held.tolist()] == [part.tolist() for part in expected]


@every_classifier
def test_too_few_rows_to_keep_aside(name):
    refuses(
        "The validation set is too small. Increase 'validation_fraction'",
        make(name, early_stopping=True),
        X[:4],
        [0, 0, 0, 1],
    )
    refuses("The validation set is too small", make(name, early_stopping=True), X[:3], [0, 1, 2])


@every
def test_weights_that_leave_nothing_to_validate_or_to_train_with(name):
    y = Y[name]
    model = make(name, early_stopping=True)
    held = np.zeros(N, dtype=bool)

    class Seen(type(model)):
        def _split(self, X, y, weight, rng):
            marked = np.c_[X, np.arange(N)]
            marked, y, weight, rows = super()._split(marked, y, weight, rng)
            held[rows.X[:, -1].astype(int)] = True
            rows.X = np.ascontiguousarray(rows.X[:, :-1])
            return np.ascontiguousarray(marked[:, :-1]), y, weight, rows

    Seen(**model.get_params(deep=False)).fit(X, y)
    refuses(
        "sample_weight is zero for every row that early_stopping keeps aside", model, X, y, np.where(held, 0.0, 1.0)
    )
    refuses("Every row to train on has the weight zero", model, X, y, np.where(held, 1.0, 0.0))


@every_regressor
@pytest.mark.parametrize("params", [{"early_stopping": True}, {"restore_best_weights": True}], ids=str)
def test_r2_of_one_row_decides_nothing(name, params):
    message = "validation set has 1 row, but .* R2, which needs two"
    model = make(name, **params)
    refuses(message, model, X, SCORE, X_val=X[:1], y_val=SCORE[:1])
    weight = np.zeros(N)
    weight[3] = 2
    refuses(message, model, X, SCORE, X_val=X, y_val=SCORE, sample_weight_val=weight)
    model.fit(X, SCORE, X_val=X[:2], y_val=SCORE[:2])
    shown = make(name).fit(X, SCORE, X_val=X[:1], y_val=SCORE[:1])  # here it is only looked at
    assert np.isnan(shown.validation_scores_).all() and np.isfinite(shown.validation_loss_curve_).all()


@every_regressor
def test_a_score_of_nan_is_no_progress(name, monkeypatch):
    model = make(name, early_stopping=True, epochs=100, n_iter_no_change=5, restore_best_weights=True)
    scores = iter([0.1, 0.2, *[math.nan] * 200])
    monkeypatch.setattr(type(model), "_score_loss", lambda *arguments: (next(scores), 1.0))
    model.fit(X, SCORE)
    assert model.stop_reason_ == "early_stopping"
    assert model.n_iter_ == 2 + 5 + ("MLP" in name)
    two = make(name, epochs=2, early_stopping=True, restore_best_weights=False, n_iter_no_change=5)
    scores = iter([0.1, 0.2])
    assert same_weights(model, two.fit(X, SCORE))


# ---- labels, rows ----


@every_classifier
def test_one_class_is_an_error(name):
    message = "The number of classes has to be greater than one; got 1 class"
    for y in (np.ones(N), np.full(N, "a"), np.zeros(N, dtype=int)):
        refuses(message, make(name), X, y)
    refuses(message, make(name), X, np.ones(N), method="partial_fit", classes=[1])
    model = make(name).fit(X, THREE)
    refuses(message, model, X, np.ones(N))


@every_classifier
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_array, sp.coo_array])
def test_labels_of_a_sparse_matrix_are_predicted_as_one(name, container):
    dense = make(name).fit(X, LABELS)
    assert type(dense.predict(X)) is np.ndarray
    for model in (
        make(name).fit(X, container(LABELS)),
        make(name, early_stopping=True).fit(X, container(LABELS)),
        make(name).partial_fit(X, container(LABELS), classes=[0, 1, 2]),
    ):
        found = model.predict(X)
        assert isinstance(found, sp.csr_matrix)
        assert found.dtype == dense.predict(X).dtype
        np.testing.assert_array_equal(found.toarray(), model.predict_proba(X) > 0.5)
        assert 0 <= model.score(X, container(LABELS)) == model.score(X, LABELS)
        assert isinstance(pickle.loads(pickle.dumps(model)).predict(X), sp.csr_matrix)
    model.partial_fit(X, LABELS)
    assert isinstance(model.predict(X), sp.csr_matrix)
    theirs = sklearn.neural_network.MLPClassifier((3,), max_iter=2).fit(X, container(LABELS)).predict(X)
    assert type(found) is type(theirs) and found.dtype == theirs.dtype


DATES = np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]")[np.arange(N * 4).reshape(N, 4) % 2]
WRONG = (ValueError, TypeError)
NOT_NUMBERS = {
    "dates": (DATES, r"dtype datetime64\[D\]"),
    "times": (DATES - DATES[0, 0], r"dtype timedelta64\[D\]"),
    "strings": (X.round(2).astype(str), "dtype='<U"),
    "bytes": (X.round(2).astype("S"), r"dtype='\|S"),
    "a list": (X.round(2).astype(str).tolist(), "dtype='<U"),
}


@every
@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_what_is_no_number_is_refused(name, kind):
    rows, message = NOT_NUMBERS[kind]
    y = Y[name]
    first = {"classes": [0, 1, 2]} if name in CLASSIFIERS else {}
    refuses(f"^X must hold numbers, .*{message}", make(name), rows, y, kind=WRONG)
    refuses(f"^X must hold numbers, .*{message}", make(name), rows, y, method="partial_fit", **first, kind=WRONG)
    model = make(name).fit(X, y)
    for method in ("predict", "transform"):
        refuses(f"^X must hold numbers, .*{message}", model, rows, method=method, kind=WRONG)
    refuses(f"^X_val must hold numbers, .*{message}", model, X, y, X_val=rows, y_val=y, kind=WRONG)
    if name in REGRESSORS:
        refuses(f"^y must hold numbers, .*{message}", make(name), X, np.asarray(rows)[:, 0], kind=WRONG)
    if "Neural" in name:
        images = np.asarray(rows).reshape(N, 2, 2)
        refuses(f"^X must hold numbers, .*{message}", make(name), images, y, kind=WRONG)
        model = make(name).fit(X.reshape(N, 2, 2), y)
        refuses(f"^X must hold numbers, .*{message}", model, images, method="predict", kind=WRONG)
    make(name).fit(X.astype(object), y)


@every
def test_columns_of_dates_and_strings_are_refused_by_name(name):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for kind, library in itertools.product(("dates", "strings"), (pandas, polars)):
        frame = library.DataFrame({"a": X[:, 0], "b": NOT_NUMBERS[kind][0][:, 0]})
        if (kind, library) == ("strings", pandas):
            frame = frame.astype({"b": "string"})  # pandas before 3 has objects
        refuses(
            rf"X must hold numbers, but these columns hold {kind}.*: 'b' \(", make(name), frame, Y[name], kind=WRONG
        )
    frame = pandas.DataFrame({"a": X[:, 0], "b": pandas.Categorical(["x"] * N)})
    refuses("could not convert string to float: 'x'", make(name), frame, Y[name])
    make(name).fit(pandas.DataFrame({"a": X[:, 0], "b": pandas.array([1, 2] * (N // 2), dtype="Int64")}), Y[name])


@pytest.mark.parametrize("name", ["NeuralClassifier", "NeuralRegressor"])
def test_numbers_of_a_row_are_features_whatever_their_shape(name):
    images = np.random.default_rng(0).normal(size=(N, 2, 3, 2))
    model = make(name, layers=[Conv2D(2, 2), Flatten()]).fit(images, Y[name])
    assert model.n_features_in_ == 12
    np.testing.assert_array_equal(model.predict(images.reshape(N, 12)), model.predict(images))
    np.testing.assert_array_equal(model.predict(sp.csr_array(images.reshape(N, 12))), model.predict(images))
    refuses("X has 2 features, but .* is expecting 12 features", model, images[:, :, 0, 0], method="predict")
    for empty in (images[:0], images[:0].reshape(0, 12)):
        for method in ("predict", "transform"):
            refuses(r"Found array with 0 sample\(s\)", model, empty, method=method)
    refuses(r"Found array with 0 sample\(s\)", model, images[:0], Y[name][:0], method="partial_fit")
    model.partial_fit(images.reshape(N, 12), Y[name])


# ---- parameters set after a fit ----


@every
@pytest.mark.parametrize("pickled", [False, True])
def test_no_parameter_changes_predictions_before_the_next_fit(name, pickled):
    y = np.exp(SCORE / 4) if name in REGRESSORS else THREE
    models = [make(name, norm=True)]
    if name in REGRESSORS:
        models.append(make(name, loss="poisson"))
    for model in models:
        model.fit(X, y)
        predicted, features, names = model.predict(X), model.transform(X), model.get_feature_names_out()
        probabilities = model.predict_proba(X) if name in CLASSIFIERS else None
        model.set_params(alpha=1.0, random_state=3, warm_start=True)
        if "MLP" in name:
            model.set_params(
                hidden_layer_sizes=(9, 9),
                activation="tanh",
                batch_norm=False,
                dropout=0.5,
                solver="lbfgs",
                init="zeros",
            )
        else:
            model.set_params(layers=[Dense(9), Dropout(0.5), Dense(9)], input_shape=(2, 2), average=0.5)
        if name in CLASSIFIERS:
            model.set_params(label_smoothing=0.5, class_weight={0: 100.0})
        else:
            model.set_params(loss="squared_error" if model.loss == "poisson" else "gamma")
        one = pickle.loads(pickle.dumps(model)) if pickled else model
        np.testing.assert_array_equal(one.predict(X), predicted)
        np.testing.assert_array_equal(one.transform(X), features)
        assert list(one.get_feature_names_out()) == list(names)
        if probabilities is not None:
            np.testing.assert_array_equal(one.predict_proba(X), probabilities)
            np.testing.assert_array_equal(one.predict_log_proba(X), np.log(probabilities))


@pytest.mark.parametrize("name", ["NeuralClassifier", "NeuralRegressor"])
def test_an_average_that_is_no_longer_wanted_is_gone(name):
    model = make(name, average=0.9).fit(X, Y[name])
    trained = [w.copy() for w in model._trained]
    model.set_params(average=None).partial_fit(X, Y[name])
    plain = make(name).fit(X, Y[name]).partial_fit(X, Y[name])
    assert same_weights(model, plain)
    assert not np.array_equal(trained[0], model.weights_[0])
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))


# ---- histories ----


@every
def test_partial_fit_copies_no_history(name):
    first = {"classes": [0, 1, 2]} if name in CLASSIFIERS else {}
    model = make(name).partial_fit(X, Y[name], **first)
    given = [0.5] * 10
    model.loss_curve_ = given
    kept = vars(model)["loss_curve_"]
    for calls in range(1, 4):
        model.partial_fit(X, Y[name])
        assert vars(model)["loss_curve_"] is kept
        assert model.loss_curve_ == kept
        assert len(kept) == 10 + calls
    assert kept[:10] == given == [0.5] * 10
    refuses("inconsistent numbers", model, X, Y[name][:-1], method="partial_fit")


@every
def test_a_warning_that_is_an_error_leaves_histories_alone(name):
    model = make(name, tol=1e9, n_iter_no_change=2, epochs=20, warm_start=True).fit(X, Y[name], X_val=X, y_val=Y[name])
    model.set_params(**{"max_iter" if "MLP" in name else "max_epochs": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refuses("Maximum iterations", model, X, Y[name], kind=ConvergenceWarning, X_val=X, y_val=Y[name])


@every
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_histories_of_copies_do_not_grow_with_each_other(name, way):
    model = make(name).fit(X, Y[name], X_val=X, y_val=Y[name])
    handed_out = model.loss_curve_
    other = way(model)
    assert other.loss_curve_ == model.loss_curve_ == handed_out
    assert other.validation_scores_ == model.validation_scores_
    model.partial_fit(X, Y[name])
    other.partial_fit(X[::-1], Y[name][::-1])
    other.partial_fit(X[::-1], Y[name][::-1])
    assert (len(handed_out), len(model.loss_curve_), len(other.loss_curve_)) == (4, 5, 6)
    assert model.loss_curve_[4] != other.loss_curve_[4]


@every
def test_a_model_without_history_says_so(name):
    model = make(name)
    for attribute in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
        assert not hasattr(model, attribute)
    model.fit(X, Y[name])
    assert model.validation_scores_ is None
    del model.loss_curve_
    assert not hasattr(model, "loss_curve_")


# ---- warnings ----


def test_warnings_point_at_the_line_that_called():
    model = MLPClassifier((3,), batch_size=N + 1, max_iter=1, random_state=0)
    codes = NeuralClassifier([Embedding(9, 2, padding=0), GRU(2)], max_epochs=1, tol=None, random_state=0)
    codes.fit(np.ones((N, 4)), THREE)
    calls = {
        "going to be clipped": [
            lambda: model.fit(X, THREE),
            lambda: clone(model).partial_fit(X, THREE, classes=[0, 1, 2]),
        ],
        "hasn't converged": [lambda: model.fit(X, THREE)],
        "lbfgs failed to converge": [lambda: MLPClassifier((3,), solver="lbfgs", max_iter=1).fit(X, THREE)],
        "nothing but padding": [lambda: codes.predict(np.zeros((1, 4))), lambda: codes.predict_proba(np.zeros((1, 4)))],
    }
    for message, those in calls.items():
        for call in those:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                call()
            assert [w.filename for w in caught if message in str(w.message)] == [__file__]


# ---- names of features ----


@every
def test_features_have_names(name):
    with pytest.raises(NotFittedError):
        make(name).get_feature_names_out()
    model = make(name, hidden=(5, 3)).fit(X, Y[name])
    expected = [f"{name.lower()}{k}" for k in range(3)]
    names = model.get_feature_names_out()
    assert names.dtype == object and names.tolist() == expected
    assert model.get_feature_names_out(["a", "b", "c", "d"]).tolist() == expected
    with pytest.raises(ValueError, match="input_features"):
        model.get_feature_names_out(["a"])
    flat = make(name, hidden=()).fit(X, Y[name])
    with pytest.raises(ValueError, match="the network has 1 layers"):
        flat.get_feature_names_out()


@every
@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.filterwarnings("ignore:.*interchange protocol")  # which older versions of scikit-learn use
def test_features_come_in_a_frame_if_wanted(name, container, everywhere):
    library = pytest.importorskip(container)
    expected = [f"{name.lower()}{k}" for k in range(3)]
    plain = make(name, hidden=(5, 3)).fit(X, Y[name])
    frame = library.DataFrame(X, **({"columns": list("abcd")} if container == "pandas" else {"schema": list("abcd")}))
    features, first = plain.transform(X), plain.transform(X, 0)
    with sklearn.config_context(transform_output=container if everywhere else "default"):
        model = make(name, hidden=(5, 3))
        if not everywhere:
            model.set_output(transform=container)
        for found in (model.fit_transform(frame, Y[name]), model.transform(frame)):
            assert isinstance(found, library.DataFrame)
            assert list(found.columns) == expected
            np.testing.assert_array_equal(found.to_numpy(), features)
        np.testing.assert_array_equal(model.transform(frame, -2).to_numpy(), features)
        with pytest.raises(ValueError, match="last hidden layer alone.*layer 0 has rows of shape \\(5,\\).*'default'"):
            model.transform(frame, 0)
        model.set_output(transform="default")
        assert type(model.transform(frame)) is np.ndarray
        np.testing.assert_array_equal(model.transform(frame, 0), first)


@every
def test_pipelines_unions_and_column_transformers_know_the_names(name):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    low = name.lower()
    pipeline = make_pipeline(StandardScaler(), make(name)).set_output(transform="pandas")
    plain = make_pipeline(StandardScaler(), make(name)).fit(frame, Y[name])
    np.testing.assert_array_equal(pipeline.fit(frame, Y[name]).predict(frame), plain.predict(frame))
    found = pipeline.transform(frame)
    assert list(found.columns) == list(pipeline.get_feature_names_out()) == [f"{low}{k}" for k in range(6)]
    assert list(clone(pipeline).fit(frame, Y[name]).transform(frame).columns) == list(found.columns)

    none = make_pipeline(StandardScaler(), make(name, hidden=())).set_output(transform="pandas").fit(frame, Y[name])
    assert none.predict(frame).shape == (N,)

    union = make_union(StandardScaler(), make(name)).set_output(transform="pandas")
    assert isinstance(union, FeatureUnion)
    found = union.fit(frame, Y[name]).transform(frame)
    assert list(found.columns)[4:] == [f"{low}__{low}{k}" for k in range(6)]

    columns = ColumnTransformer([("net", make(name), ["a", "b"]), ("rest", "passthrough", ["c"])])
    found = columns.fit_transform(frame, Y[name])
    assert found.shape == (N, 7)
    assert list(columns.get_feature_names_out()) == [*[f"net__{low}{k}" for k in range(6)], "rest__c"]
    found = columns.set_output(transform="pandas").fit_transform(frame, Y[name])
    assert list(found.columns)[-1] == "rest__c"
    end = make_pipeline(make(name), LogisticRegression()).set_output(transform="pandas").fit(frame, THREE)
    assert list(end[-1].feature_names_in_) == [f"{low}{k}" for k in range(6)]


# ---- sizes ----

POWERS = (40, 53, 59, 60, 61, 62, 63, 64, 70)
IMAGES, SEQUENCES = X.reshape(N, 2, 2, 1), X.reshape(N, 2, 2)
CODES = np.abs(X).astype(int).astype(float)
HUGE = {
    "units": lambda k: ([Dense(k)], X),
    "plain units": lambda k: ([Dense(k, init="zeros", bias=False)], X),
    "inner units": lambda k: ([Residual([Dense(k), Dense(4)])], X),
    "wide after wide": lambda k: ([Dense(2**31), Dense(k)], X),
    "filters": lambda k: ([Conv2D(k, 1)], IMAGES),
    "kernel": lambda k: ([Conv2D(1, k, padding="same")], IMAGES),
    "dilation": lambda k: ([Conv2D(1, 2, dilation=k, padding="same")], IMAGES),
    "padding": lambda k: ([Conv2D(1, 1, padding=k)], IMAGES),
    "padding and stride": lambda k: ([Conv2D(1, 1, padding=k, stride=k)], IMAGES),
    "steps": lambda k: ([Conv1D(1, 1, padding=k)], SEQUENCES),
    "pool": lambda k: ([MaxPool2D(k, padding="same", stride=1)], IMAGES),
    "state": lambda k: ([GRU(k)], SEQUENCES),
    "sequences": lambda k: ([LSTM(k, return_sequences=True, bidirectional=True)], SEQUENCES),
    "vectors": lambda k: ([Embedding(9, k), GRU(1)], CODES),
}


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("what", HUGE)
def test_sizes_beyond_memory_are_errors(what, power):
    made, rows = HUGE[what](2**power)
    net = NeuralClassifier(made, max_epochs=1)
    refuses(
        "too large|has a size|Unable to allocate|would have a size|bad_alloc",
        net,
        rows,
        THREE,
        kind=(ValueError, MemoryError),
    )


@pytest.mark.parametrize("power", [59, 62, 64, 70])
@pytest.mark.parametrize("what", [*HUGE, "stride", "pool's stride", "dilation of one pixel"])
def test_sizes_beyond_what_the_core_counts_name_the_layer(what, power):
    more = {
        "stride": lambda k: ([Conv2D(1, 1, stride=k)], IMAGES),
        "pool's stride": lambda k: ([AvgPool2D(1, stride=k)], IMAGES),
        "dilation of one pixel": lambda k: ([Conv2D(1, 1, dilation=k)], IMAGES),
    }
    made, rows = {**HUGE, **more}[what](2**power)
    refuses(
        r"layers\[[01]\] does not fit: .*would have a size of [0-9]+; sizes go up to 2\*\*31 - 1. Use smaller",
        NeuralClassifier(made, max_epochs=1),
        rows,
        THREE,
    )


@pytest.mark.parametrize("power", POWERS)
def test_integers_of_any_size_are_understood(power):
    k = 2**power
    for made in (
        NeuralClassifier([], batch_size=k, max_epochs=1),
        NeuralClassifier([], max_epochs=k, tol=1e300, n_iter_no_change=1),
        NeuralClassifier([], max_epochs=1, n_iter_no_change=k),
        NeuralClassifier([Conv2D(1, 1, stride=2**31 - 1), Flatten()], max_epochs=1, input_shape=(2, 2, 1)),
        NeuralClassifier([GRU(2, truncate=k)], max_epochs=1, input_shape=(2, 2)),
        MLPClassifier((3,), max_iter=k, tol=1e300, n_iter_no_change=1),
        MLPClassifier((3,), max_iter=1, n_iter_no_change=k),
        MLPClassifier((3,), max_fun=k, max_iter=2, solver="lbfgs"),
        MLPClassifier((3,), max_fun=20, max_iter=k, solver="lbfgs"),
    ):
        assert made.fit(X, THREE).predict(X).shape == (N,)
    with pytest.warns(UserWarning, match="going to be clipped"):
        MLPClassifier((3,), batch_size=k, max_iter=1).fit(X, THREE)
    refuses(r"input_shape=\([0-9]+, 4\) has [0-9]+ numbers", NeuralClassifier([], input_shape=(k, 4)), X, THREE)
    refuses("size|Unable", MLPClassifier((k,), max_iter=1), X, THREE, kind=(ValueError, MemoryError))
    refuses("size|Unable", MLPRegressor(hidden_layer_sizes=(k,), max_iter=1), X, SCORE, kind=(ValueError, MemoryError))
