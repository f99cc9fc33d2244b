"""How estimators live with layers of images and sequences: rows, features, copies, and everything around training."""

import copy
import dataclasses
import pickle
import re

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import optimizers
from fusedgrad.layers import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
)
from fusedgrad.layers._layer import walk
from sklearn.base import clone

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
    each,
    first_partial_fit,
    fitted,
    make,
    refuses,
    state,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- shapes of rows ----


def others(X):
    """The same rows in other storages, flat."""
    flat = X.reshape(N, -1)
    return {"array": flat, "fortran": np.asfortranarray(flat), "list": flat.tolist()}


@both
@each
def test_flat_rows_with_a_shape_are_rows_of_that_shape(name, stack):
    made, X = STACKS[stack]
    model = fitted(name, stack)
    for flat in others(X).values():
        given_shape = make(name, made, input_shape=X.shape[1:]).fit(flat, Y[name])
        assert_same_bits(given_shape, model)
        np.testing.assert_array_equal(given_shape.predict(flat), model.predict(X))
    np.testing.assert_array_equal(given_shape.predict(X), model.predict(X))
    for layer in range(len(made)):
        np.testing.assert_array_equal(given_shape.transform(flat, layer), model.transform(X, layer))
    again = make(name, made, input_shape=list(X.shape[1:])).fit(X, Y[name])
    assert_same_bits(again, model)
    validated = make(name, made, input_shape=X.shape[1:]).fit(flat, Y[name], X_val=flat[:9], y_val=Y[name][:9])
    expected = make(name, made).fit(X, Y[name], X_val=X[:9], y_val=Y[name][:9])
    assert validated.validation_loss_curve_ == expected.validation_loss_curve_


@both
@each
def test_sparse_rows_are_rows(name, stack):
    made, X = STACKS[stack]
    X = np.where(np.abs(X) < 0.5, 0, X) if stack in ("images", "sequences") else X
    flat = X.reshape(N, -1)
    model = make(name, made, input_shape=X.shape[1:]).fit(flat, Y[name])
    sparse = make(name, made, input_shape=X.shape[1:]).fit(sp.csr_array(flat), Y[name])
    for one, other in zip(sparse.weights_, model.weights_, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11)
    for layer in range(len(made)):
        np.testing.assert_allclose(
            model.transform(sp.csr_array(flat), layer), model.transform(flat, layer), rtol=0, atol=1e-11
        )


@both
@each
def test_data_frames_with_a_shape(name, stack):
    pandas = pytest.importorskip("pandas")
    made, X = STACKS[stack]
    flat = X.reshape(N, -1)
    frame = pandas.DataFrame(flat, columns=[f"x{k}" for k in range(flat.shape[1])])
    model = make(name, made, input_shape=X.shape[1:]).fit(frame, Y[name], X_val=frame, y_val=Y[name])
    assert_same_bits(model, fitted(name, stack))
    assert list(model.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(model.predict(frame), fitted(name, stack).predict(X))
    refuses(model, lambda model: model.predict(frame[frame.columns[::-1]]), "feature names")


@both
def test_shapes_that_do_not_fit_the_rows(name):
    made = STACKS["images"][0]
    refuses(
        make(name, made, input_shape=(6, 5, 3)),
        lambda model: model.fit(IMAGES.reshape(N, -1), Y[name]),
        "input_shape=(6, 5, 3) has 90 numbers",
        "60",
    )
    model = fitted(name, "images")
    for call in (model.predict, model.transform):
        refuses(model, lambda _, call=call: call(IMAGES[:, :5]), "(5, 5, 2)", "(6, 5, 2)")
    refuses(model, lambda model: model.partial_fit(IMAGES[:, :5], Y[name]), "(5, 5, 2)", "(6, 5, 2)")
    refuses(model, lambda model: model.fit(IMAGES, Y[name], X_val=IMAGES[:, :5], y_val=Y[name]), "X_val", "(5, 5, 2)")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@both
@each
def test_types_stay(name, stack, dtype):
    made, X = STACKS[stack]
    X = X.astype(dtype)
    model = make(name, made, average=0.9).fit(X, Y[name], X_val=X, y_val=Y[name]).partial_fit(X, Y[name])
    found = [*model.weights_, *model.statistics_, *(model.transform(X, k) for k in range(len(made) + 1))]
    found.append(model.predict_proba(X) if "Classifier" in name else model.predict(X))
    found.append(model.transform(X.astype(np.float64)))
    assert {array.dtype for array in found} == {np.dtype(dtype)}


@both
def test_whole_numbers_are_numbers(name):
    whole = fitted(name, "codes")
    made = STACKS["codes"][0]
    assert_same_bits(make(name, made).fit(CODES.astype(int), Y[name]), whole)
    pixels = np.random.default_rng(0).integers(0, 256, size=IMAGES.shape).astype(np.uint8)
    made = STACKS["images"][0]
    assert_same_bits(make(name, made).fit(pixels, Y[name]), make(name, made).fit(pixels.astype(float), Y[name]))


# ---- features of a layer, and the table of layers ----


@both
@each
def test_features_by_number_and_by_label(name, stack):
    made, X = STACKS[stack]
    model = fitted(name, stack)
    shapes = [after for *_, after in walk(made, X.shape[1:])]
    count = len(model.summary().splitlines()) - 3
    for k, (layer, shape) in enumerate(zip(made, shapes, strict=True)):
        features = model.transform(X, k)
        assert features.shape == (N, *shape)
        np.testing.assert_array_equal(model.transform(X, k - count), features)
        if layer.label is not None:
            np.testing.assert_array_equal(model.transform(X, layer.label), features)
    labels = [layer.label for layer in made if layer.label is not None]
    assert labels
    np.testing.assert_array_equal(model.transform(X), model.transform(X, count - 2))
    for unknown in ("nobody", "", "0"):
        refuses(model, lambda model, unknown=unknown: model.transform(X, unknown), repr(unknown), *map(repr, labels))
    for number in (-count - 1, count, 1.0, True, None):
        refuses(model, lambda model, number=number: model.transform(X, number), f"from {-count} to {count - 1}")


@both
def test_without_labels_none_is_found(name):
    model = make(name, [Dense(3)]).fit(SEQUENCES[:, 0], Y[name])
    refuses(model, lambda model: model.transform(SEQUENCES[:, 0], "a"), "'a'", "label=")


@both
def test_a_label_of_the_output_layer_is_found(name):
    X, outputs = SEQUENCES[:, 0], 3 if "Classifier" in name else 1
    model = make(name, [Dense(4), Dense(outputs, label="scores")]).fit(X, Y[name])
    np.testing.assert_array_equal(model.transform(X, "scores"), model.transform(X, -1))
    assert model.transform(X, "scores").shape == (N, outputs)


@both
@each
def test_labels_change_nothing_else(name, stack):
    made, X = STACKS[stack]
    plain = [dataclasses.replace(layer, label=None) for layer in made]
    assert_same_bits(make(name, plain).fit(X, Y[name]), fitted(name, stack))


def test_masked_steps_have_features_of_zeros():
    model = fitted("NeuralRegressor", "padded")
    padding = (PADDED == 0).all(axis=2)
    states = model.transform(PADDED, "states")
    assert padding.any()
    np.testing.assert_array_equal(states[padding], 0)
    assert (np.abs(states[~padding]).max(axis=1) > 0).all()
    np.testing.assert_array_equal(model.transform(PADDED, 0), PADDED)


COUNTS_OF = {  # parameters of each layer; the output layer comes after them
    "images": [9 * 2 * 4 + 4, 8, 0, 9 * 2 * 4 + 4 + 4 * 4 + 4, 0, 0, 5 * 5],
    "sequences": [3 * 3 * 4 + 4, 2 * 3 * (4 * 3 + 3 * 3 + 2 * 3), 0, 6 * 4 + 4 * 4 + 2 * 4, 0],
    "padded": [0, 3 * (3 * 4 + 4 * 4 + 2 * 4), 2 * 4 * (4 * 3 + 3 * 3 + 2 * 3)],
    "codes": [7 * 3, 4 * (3 * 4 + 4 * 4 + 2 * 4), 5 * 5],
}


@both
@each
def test_the_summary_lists_layers_shapes_and_parameters(name, stack):
    made, X = STACKS[stack]
    outputs = 3 if "Classifier" in name else 1
    model = fitted(name, stack)
    made = [*made, *([Flatten()] if stack == "sequences" else [])]
    shapes = [after for *_, after in walk(made, X.shape[1:])]
    head, first, *lines, last_layer, last = model.summary().splitlines()
    assert head.split() == ["layer", "shape", "parameters"]
    assert re.split(r"\s{2,}", first) == ["input", str(X.shape[1:]), "0"]
    for line, layer, shape, count in zip(lines, made, shapes, COUNTS_OF[stack], strict=True):
        assert re.split(r"\s{2,}", line.strip()) == [repr(layer), str(shape), str(count)]
    of_output = (shapes[-1][0] + 1) * outputs
    assert re.split(r"\s{2,}", last_layer) == [f"output: Dense({outputs})", f"({outputs},)", str(of_output)]
    total = sum(COUNTS_OF[stack]) + of_output
    assert total == sum(w.size for w in model.weights_)
    assert f"{total:,} parameters, {8 * total:,} bytes" in last


# ---- copies, and training that goes on ----


COPIES = {"pickle": lambda model: pickle.loads(pickle.dumps(model)), "deepcopy": copy.deepcopy, "joblib": None}


@pytest.mark.parametrize("way", COPIES)
@both
@each
def test_copies_predict_and_go_on_with_the_same_bits(name, stack, way, tmp_path):
    made, X = STACKS[stack]
    model = make(name, made, warm_start=True, average=0.9).fit(X, Y[name])
    if way == "joblib":
        joblib.dump(model, tmp_path / "model")
        copied = joblib.load(tmp_path / "model")
    else:
        copied = COPIES[way](model)
    assert copied.summary() == model.summary()
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))
    for layer in [*range(len(made)), *(layer.label for layer in made if layer.label)]:
        np.testing.assert_array_equal(copied.transform(X, layer), model.transform(X, layer))
    before = state(copied)
    model.partial_fit(X, Y[name])
    assert state(copied) == before
    copied.partial_fit(X, Y[name])
    assert_same_bits(copied.fit(X, Y[name]), model.fit(X, Y[name]))


@both
@each
def test_clones_have_equal_layers_and_nothing_learned(name, stack):
    made, X = STACKS[stack]
    model = fitted(name, stack)
    copied = clone(model)
    assert copied.layers == made
    assert vars(copied).keys() == model.get_params(deep=False).keys()
    assert_same_bits(copied.fit(X, Y[name]), model)


def rest(stack):
    """Without dropout, whose noise belongs to the fit."""
    made, X = STACKS[stack]
    return [layer for layer in made if not isinstance(layer, Dropout)], X


@both
@each
def test_partial_fits_are_epochs_of_a_fit(name, stack):
    made, X = rest(stack)
    params = {"shuffle": False, "optimizer": optimizers.NAdam()}
    expected = make(name, made, max_epochs=5, **params).fit(X, Y[name])
    model = make(name, made, max_epochs=1, **params).fit(X, Y[name])
    for _ in range(4):
        model.partial_fit(X, Y[name])
    assert_same_bits(model, expected)
    other = make(name, made, **params)
    for _ in range(5):
        first_partial_fit(other, X, Y[name])
    assert_same_bits(other, expected)


@both
@each
def test_warm_starts_are_epochs_of_a_fit(name, stack):
    made, X = rest(stack)
    params = {"shuffle": False, "optimizer": optimizers.NAdam()}
    expected = make(name, made, max_epochs=6, **params).fit(X, Y[name])
    model = make(name, made, max_epochs=2, warm_start=True, **params)
    for _ in range(3):
        model.fit(X, Y[name])
    assert_same_weights(model, expected)


@both
def test_a_warm_start_needs_the_same_weights(name):
    model = fitted(name, "images", warm_start=True)
    made = [Conv2D(4, 5, "relu", padding="same"), *STACKS["images"][0][1:]]
    refuses(model.set_params(layers=made), lambda model: model.fit(IMAGES, Y[name]), "network has changed", "(50, 4)")
    refuses(model, lambda model: model.partial_fit(IMAGES, Y[name]), "network has changed")


@both
@each
def test_parameters_set_after_a_fit_change_nothing_before_the_next(name, stack):
    X = STACKS[stack][1]
    model = fitted(name, stack)
    predicted, summary = model.predict(X), model.summary()
    model.set_params(layers=[Flatten(), Dense(3)], input_shape=(X[0].size,))
    for one in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(one.predict(X), predicted)
        assert one.summary() == summary
