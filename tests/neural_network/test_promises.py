"""Labels, rows, parameters set after a fit, histories, warnings, names of features, sizes."""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from fusedgrad.layers import (
    GRU,
    LSTM,
    AvgPool2D,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    MaxPool2D,
    Residual,
)
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from .promised import (
    CLASSIFIERS,
    LABELS,
    REGRESSORS,
    SCORE,
    THREE,
    N,
    X,
    Y,
    every,
    every_classifier,
    make,
    refuses,
    same_weights,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
        NeuralClassifier([], learning_rate=1e-3, max_epochs=k, tol=1e300, n_iter_no_change=1),
        NeuralClassifier([], learning_rate=1e-3, max_epochs=1, n_iter_no_change=k),
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
