"""Layers that do not fit each other, or the rows; numbers that the first layer does not take."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad._validation.parameters import InvalidParameterError
from fusedgrad.layers import (
    GRU,
    LSTM,
    Activation,
    AvgPool2D,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAvgPool2D,
    Masking,
    MaxPool2D,
    Residual,
    SimpleRNN,
)
from fusedgrad.layers._layer import walk
from scipy.special import softmax

from .. import child
from ..reference.layers import LAYERS, SEQUENTIAL
from ..reference.layers import made as made_of
from .stacks import (
    CODES,
    IMAGES,
    PADDED,
    SEQUENCES,
    STACKS,
    N,
    Y,
    assert_same_bits,
    assert_same_weights,
    both,
    first_partial_fit,
    fitted,
    make,
    refuses,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


IMAGE = "(height, width, channels)"


SEQUENCE = "(time, features)"


FIRST = "must be the first layer"


UNFIT = [
    # layers, which of them, shape of a row, shape before the layer, what would fit
    ([Conv2D(3, 7)], 0, (6, 5, 2), (6, 5, 2), "smaller window"),
    ([Conv2D(3, (7, 1))], 0, (6, 5, 2), (6, 5, 2), "7 x 1"),
    ([Conv2D(3, 3, dilation=3)], 0, (6, 5, 2), (6, 5, 2), "7 x 7"),
    ([Conv2D(3, 3)] * 3, 2, (6, 5, 2), (2, 1, 3), "padding='same'"),
    ([MaxPool2D(6)], 0, (6, 5, 2), (6, 5, 2), "6 x 6"),
    ([MaxPool2D(2)] * 3, 2, (6, 5, 2), (1, 1, 2), "fewer layers"),
    ([AvgPool2D((1, 6))], 0, (6, 5, 2), (6, 5, 2), "1 x 6"),
    ([Conv1D(3, 7)], 0, (6, 3), (6, 3), "7 steps"),
    ([Conv1D(3, 4, dilation=2)], 0, (6, 3), (6, 3), "7 steps"),
    ([Conv1D(3, 4), Conv1D(3, 4)], 1, (6, 3), (3, 3), "smaller window or padding='same'"),
    ([Conv2D(3, 3, groups=3)], 0, (6, 5, 2), (6, 5, 2), "multiples of groups=3"),
    ([Conv2D(3, 3, groups=2)], 0, (6, 5, 2), (6, 5, 2), "multiples of groups=2"),
    ([Conv1D(4, 3, groups=2)], 0, (6, 3), (6, 3), "multiples of groups=2"),
    *(([one], 0, shape, shape, IMAGE) for one in (Conv2D(3, 1), MaxPool2D(), AvgPool2D(), GlobalAvgPool2D())
      for shape in ((6,), (6, 3), (6, 5, 2, 1))),
    *(([one], 0, shape, shape, SEQUENCE) for one in (Conv1D(3, 1), SimpleRNN(3), GRU(3), LSTM(3))
      for shape in ((6,), (6, 5, 2))),
    *(([Masking(), GRU(3)], 0, shape, shape, SEQUENCE) for shape in ((6,), (6, 5, 2))),
    *(([Embedding(7, 3)], 0, shape, shape, "(time,)") for shape in ((6, 3), (6, 5, 2))),
    ([Flatten(), Conv2D(3, 1)], 1, (6, 5, 2), (60,), IMAGE),
    ([GlobalAvgPool2D(), MaxPool2D()], 1, (6, 5, 2), (2,), IMAGE),
    ([GRU(3), LSTM(4)], 1, (6, 3), (3,), SEQUENCE),
    *(([one], 0, (0, 3), (0, 3), "at least one time step")
      for one in (Conv1D(3, 1), Conv1D(3, 1, padding="same"), SimpleRNN(3), GRU(3), LSTM(3))),
    ([Masking(), GRU(3)], 0, (0, 3), (0, 3), "at least one time step"),
    ([Conv2D(3, 1, padding=1)], 0, (0, 5, 2), (0, 5, 2), "at least one pixel"),
    ([GlobalAvgPool2D()], 0, (0, 5, 2), (0, 5, 2), ""),
    ([Residual([Conv2D(3, 3, padding="same")])], 0, (6, 5, 2), (6, 5, 2), "(6, 5, 3)"),
    ([Residual([Conv2D(2, 3)])], 0, (6, 5, 2), (6, 5, 2), "(4, 3, 2)"),
    ([Residual([GRU(3)])], 0, (6, 3), (6, 3), "(3,)"),
]  # fmt: skip


MISPLACED = [
    ([Activation("tanh"), Masking(), GRU(3)], 1, (6, 3), FIRST),
    ([Masking(), Masking(-1.0), GRU(3)], 1, (6, 3), FIRST),
    ([Activation("relu"), Embedding(7, 3)], 1, (6,), FIRST),
    ([Residual([Activation("tanh")]), Masking(), GRU(3)], 1, (6, 3), FIRST),
    ([Masking()], 0, (6, 3), "no recurrent layer"),
    ([Masking(), Dense(4)], 0, (6, 3), "no recurrent layer"),
    ([Masking(), Flatten()], 0, (6, 3), "no recurrent layer"),
    ([Masking(), Conv1D(3, 1), GRU(3)], 0, (6, 3), "convolutions and Flatten lose the marks"),
    ([Masking(), Residual([Conv1D(3, 1)]), GRU(3)], 0, (6, 3), "no recurrent layer"),
    ([Embedding(7, 3, padding=0)], 0, (6,), "no recurrent layer"),
    ([Embedding(7, 3, padding=0), Conv1D(3, 1), GRU(3)], 0, (6,), "no recurrent layer"),
]


def rows_of(shape):
    return np.ones((N, *shape))


@pytest.mark.parametrize(("made", "k", "shape", "before", "hint"), UNFIT, ids=lambda value: repr(value)[:60])
@both
def test_layers_that_do_not_fit(name, made, k, shape, before, hint):
    rows, words = rows_of(shape), (f"layers[{k}]", repr(made[k]), str(before), hint)
    refuses(make(name, made), lambda model: model.fit(rows, Y[name]), *words)
    refuses(make(name, made), lambda model: first_partial_fit(model, rows, Y[name]), *words)
    model = fitted(name, "images").set_params(layers=made)
    refuses(model, lambda model: model.fit(rows, Y[name]), *words)
    with pytest.raises(ValueError, match=re.escape(repr(made[k]))):
        shapes = list(walk(made, shape))
        assert len(shapes) == len(made)


@pytest.mark.parametrize(("made", "k", "shape", "hint"), MISPLACED, ids=lambda value: repr(value)[:60])
@both
def test_layers_in_places_where_they_mean_nothing(name, made, k, shape, hint):
    rows, words = rows_of(shape), (repr(made[k]), hint)
    refuses(make(name, made), lambda model: model.fit(rows, Y[name]), *words)
    refuses(make(name, made), lambda model: first_partial_fit(model, rows, Y[name]), *words)
    refuses(fitted(name, "codes").set_params(layers=made), lambda model: model.fit(rows, Y[name]), *words)


@both
def test_errors_name_the_layer_that_takes_codes(name):
    """Flatten does nothing, so it may stand before."""
    for made in ([Flatten(), Embedding(3, 2)], [Flatten(), Embedding(7, 2, padding=0)]):
        refuses(make(name, made), lambda model: model.fit(CODES, Y[name]), repr(made[1]))


NO_CHANNELS = """
import numpy as np
from fusedgrad.layers import *
from fusedgrad.neural_network import NeuralRegressor
for layer, shape in CASES:
    print(repr(layer), end=" ", flush=True)
    try:
        NeuralRegressor([layer], max_epochs=1, tol=None).fit(np.zeros((8, *shape)), np.arange(8.0))
        print("fitted", flush=True)
    except ValueError as error:
        print("refused" if repr(layer) in str(error) else error, flush=True)
"""


def test_rows_without_channels_do_not_end_the_process():
    padded = [Conv2D(3, 1, padding=2), LSTM(3, bidirectional=True)]
    cases = [(layer, shape) for layer in [*map(made_of, LAYERS), *padded] for shape in ((5, 5, 0), (5, 0), (0,))]
    result = child.forked(NO_CHANNELS.replace("CASES", repr(cases)))
    lines = result.stdout.splitlines()
    for line, (layer, _) in zip(lines, cases, strict=False):
        assert line.startswith(repr(layer)) and re.search("fitted|refused|a minimum of 1 is required", line), line
    assert len(lines) == len(cases), result.stderr
    assert result.returncode == 0


@both
def test_labels_must_differ(name):
    made = [Dense(4, label="one"), Dense(3), Dense(4, label="one")]
    refuses(make(name, made), lambda model: model.fit(IMAGES[:, 0, 0], Y[name]), "'one'", "must differ")


# ---- numbers that the first layer does not take ----


def with_codes(value):
    rows = CODES.copy()
    rows[4, 0] = value
    return rows


def with_padding(rows, value=0.0):
    rows = rows.copy()
    rows[[3, 5]] = value
    return rows


FORMS = {"dense": np.asarray, "sparse": sp.csr_array, "csc": sp.csc_array, "float32": np.float32}


BAD_CODES = [(7, "is 7"), (-1, "is -1"), (0.5, "is 0.5"), (6.999, "is 6.999"), (1e9, "is 1e+09")]


class Rate:
    """A schedule that knows whether there was a step."""

    asked = False

    def __call__(self, step):
        self.asked = True
        return 0.01


def refuses_rows(name, stack, bad, *words, predicts=False):
    """At every door (that of predictions left open, if it `predicts`); with the name that the rows have there."""
    y, (made, X) = Y[name], STACKS[stack]
    of_X = [word.format("X") for word in words]
    of_X_val = [word.format("X_val") for word in words]
    shape = None
    if sp.issparse(bad) and X.ndim > 2:
        X, shape = X.reshape(N, -1), X.shape[1:]

    def new(**params):
        return make(name, made, input_shape=shape, **params)

    refuses(new(), lambda model: model.fit(bad, y), *of_X)
    refuses(new(), lambda model: first_partial_fit(model, bad, y), *of_X)
    rate = Rate()
    refuses(new(learning_rate=rate), lambda model: model.fit(X, y, X_val=bad, y_val=y), *of_X_val)
    assert not rate.asked
    model = new(learning_rate=rate, warm_start=True).fit(X, y, X_val=X, y_val=y)
    assert rate.asked
    calls = ["predict", "transform", *(["predict_proba", "predict_log_proba"] if "Classifier" in name else [])]
    for call in [] if predicts else calls:
        refuses(model, lambda model, call=call: getattr(model, call)(bad), *of_X)
    for call in ("fit", "partial_fit", *([] if predicts else ["score"])):
        refuses(model, lambda model, call=call: getattr(model, call)(bad, y), *of_X)
    refuses(model, lambda model: model.fit(X, y, X_val=bad, y_val=y), *of_X_val)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("value", "word"), BAD_CODES)
@both
def test_codes_must_be_whole_numbers_below_the_number_of_codes(name, value, word, form):
    first = STACKS["codes"][0][0]
    bad = FORMS[form](with_codes(value))
    refuses_rows(name, "codes", bad, f"{{}}[4, 0] {word}", repr(first), "from 0 to 6")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
@both
def test_codes_must_be_finite(name, value, word, form):
    refuses_rows(name, "codes", FORMS[form](with_codes(value)), f"Input {{}} contains {word}")


@pytest.mark.parametrize("form", FORMS)
@both
def test_nothing_is_learned_from_rows_of_nothing_but_padding(name, form):
    words = "Rows 3, 5 of {} are nothing but padding", "there is no step to learn from", "(..., empty='zeros')"
    made = STACKS["codes"][0]
    refuses_rows(name, "codes", FORMS[form](with_padding(CODES)), *words, repr(made[0]), predicts=True)
    rows = with_padding(PADDED)
    rows = rows.reshape(N, -1) if form in ("sparse", "csc") else rows
    refuses_rows(name, "padded", FORMS[form](rows), *words, "Masking()", predicts=True)


@both
def test_many_rows_of_nothing_but_padding_are_told_shortly(name):
    rows = np.concatenate([np.ones((5000, 6, 3)), np.zeros((9, 6, 3))])
    model = fitted(name, "padded")
    refuses(model, lambda model: model.partial_fit(rows, np.arange(5009) % 3), "Rows 5000, 5001, 5002, 5003, 5004, ...")
    with pytest.warns(UserWarning, match="^Rows 5000, 5001, 5002, 5003, 5004, ... of X are nothing but padding"):
        model.predict(rows)


EMPTY = {
    "masking": (lambda **more: Masking(**more), (5, 3)),
    "embedding": (lambda **more: Embedding(6, 3, padding=0, **more), (5,)),
}


@pytest.mark.parametrize("first", EMPTY)
@pytest.mark.parametrize("kind", SEQUENTIAL)
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_rows_of_nothing_but_padding_are_predicted_from_a_state_of_zero(first, kind, deep, sequences):
    """With a warning that names them; the others as if they were not there."""
    made, shape = EMPTY[first]
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 6, (20, *shape)).astype(float)
    rows[1, 2:] = 0
    layers = [
        *[kind(4, return_sequences=True, bidirectional=True)] * deep,
        kind(4, return_sequences=sequences, bidirectional=deep, label="state"),
        *[Flatten()] * sequences,
    ]
    y = np.arange(20) % 3
    model = make("NeuralClassifier", [made(), *layers]).fit(rows, y)
    expected = model.predict_proba(rows)
    with_empty = rows.copy()
    with_empty[[7, 12]] = 0
    for call in (model.predict, model.predict_proba, model.predict_log_proba, model.transform):
        with pytest.warns(UserWarning, match=r"^Rows 7, 12 of X are nothing but padding .*empty='zeros'\)"):
            call(with_empty)
    with pytest.warns(UserWarning, match="nothing but padding"):
        found = model.predict_proba(with_empty)
    others = np.delete(np.arange(20), [7, 12])
    np.testing.assert_array_equal(found[others], expected[others])
    np.testing.assert_allclose(found[[7, 12]], softmax(np.tile(model.weights_[-1], (2, 1)), axis=1), rtol=1e-12)
    wanted = make("NeuralClassifier", [made(empty="zeros"), *layers]).fit(rows, y)
    assert_same_weights(wanted, model)
    np.testing.assert_array_equal(wanted.predict_proba(with_empty), found)
    assert not wanted.transform(with_empty, "state")[[7, 12]].any()


@both
@pytest.mark.parametrize("first", EMPTY)
def test_wanted_rows_of_nothing_but_padding_are_learned_from(name, first):
    """They are sequences of no steps, which teach the biases behind them."""
    made, shape = EMPTY[first]
    rows = np.zeros((12, *shape))
    y = np.repeat([0, 1, 2], [1, 2, 9])
    layers = [made(empty="zeros"), GRU(3)]
    model = make(name, layers, optimizer="sgd", learning_rate=0.5, max_epochs=300, batch_size="full")
    model.fit(rows, y, X_val=rows, y_val=y).partial_fit(rows, y)
    if name == "NeuralClassifier":
        np.testing.assert_allclose(model.predict_proba(rows[:1]), [[1 / 12, 2 / 12, 9 / 12]], atol=1e-3)
    else:
        np.testing.assert_allclose(model.predict(rows[:1]), y.mean(), atol=1e-6)


def test_an_embedding_without_padding_has_no_empty_rows():
    with pytest.raises(InvalidParameterError, match="empty='zeros' of Embedding .* no padding"):
        Embedding(5, 3, empty="zeros")
    assert repr(Embedding(5, 3, padding=0, empty="zeros")) == "Embedding(5, 3, padding=0, empty='zeros')"
    assert repr(Masking(empty="zeros")) == "Masking(empty='zeros')"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_padding_is_known_by_its_value_in_the_type_of_x(dtype):
    """A tenth is not the same number in both types."""
    plain = PADDED.astype(dtype)
    tenths = np.where(plain == 0, dtype(0.1), plain)
    models = [
        make("NeuralRegressor", [Masking(value), GRU(4)]).fit(rows, Y["NeuralRegressor"])
        for value, rows in ((0.0, plain), (0.1, tenths))
    ]
    assert_same_bits(*models)
    np.testing.assert_array_equal(models[0].predict(plain), models[1].predict(tenths))
    unmasked = make("NeuralRegressor", [GRU(4)]).fit(plain, Y["NeuralRegressor"])
    assert unmasked.loss_curve_ != models[0].loss_curve_


def test_padding_that_float32_cannot_hold_is_no_padding():
    rows = SEQUENCES.astype(np.float32)
    model = make("NeuralRegressor", [Masking(1e300), GRU(4)]).fit(rows, Y["NeuralRegressor"])
    assert_same_bits(model, make("NeuralRegressor", [GRU(4)]).fit(rows, Y["NeuralRegressor"]))
