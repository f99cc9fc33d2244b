"""What a pickle of an estimator holds: public names only, and which version wrote it."""

import copy
import io
import pickle
import pickletools
import re

import fusedgrad
import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import layers, linear_model, losses, neural_network, optimizers, schedules
from fusedgrad.layers import BatchNorm, Dense, Dropout
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDOneClassSVM, SGDRegressor, SGDRegressorCV
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor
from fusedgrad.optimizers import SGD, Adam
from fusedgrad.schedules import Cosine, ReduceOnPlateau, Warmup
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 4))
y = np.digitize(X[:, 0], [-0.5, 0.5])

PUBLIC = ("layers", "linear_model", "losses", "neural_network", "optimizers", "schedules")
shared = {"max_iter": 3, "tol": None, "random_state": 0}
MODELS = [
    SGDClassifier(**shared),
    SGDClassifier(**shared, average=True),
    SGDClassifier("log_loss", **shared, optimizer=Adam(Warmup(Cosine(0.1, 5), 2)), multi_class="multinomial"),
    SGDClassifier(**shared, batch_size=8, learning_rate=ReduceOnPlateau(0.1)),
    SGDRegressor(**shared, batch_size=8, optimizer="nadam", average=3),
    SGDOneClassSVM(**shared),
    SGDClassifierCV(alphas=[1e-3, 1e-2], cv=2, **shared),
    SGDRegressorCV(alphas=[1e-3, 1e-2], cv=2, refit=False, **shared),
    MLPClassifier((5,), max_iter=3, batch_norm=True, dropout=0.1, random_state=0),
    MLPClassifier((5,), max_iter=3, solver="lbfgs", random_state=0),
    MLPRegressor(losses.Huber(epsilon=0.5), (5,), max_iter=3, solver=SGD(0.1, momentum=0.5), random_state=0),
    NeuralClassifier([Dense(5), BatchNorm(), Dropout(0.1)], max_epochs=3, average=0.9, tol=None, random_state=0),
    NeuralRegressor([Dense(5, "gelu")], learning_rate="adaptive", max_epochs=3, tol=None, random_state=0),
]  # fmt: skip
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)


def fitted(model):
    return copy.deepcopy(model).fit(X, y)


class Names(pickle.Unpickler):
    """Loads a pickle and writes down everything that it looks up."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))
        self.found = set()

    def find_class(self, module, name):
        self.found.add((module, name))
        return super().find_class(module, name)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@every_model
def test_a_pickle_names_public_classes_only(model, protocol):
    data = pickle.dumps(fitted(model), protocol)
    names = Names(data)
    again = names.load()
    ours = {(module, name) for module, name in names.found if module.split(".")[0] == "fusedgrad"}
    assert (type(model).__module__, type(model).__name__) in ours
    for module, name in ours:
        assert module.removeprefix("fusedgrad.") in PUBLIC, (module, name)
        assert getattr(getattr(fusedgrad, module.removeprefix("fusedgrad.")), name) is not None
    others = {module.split(".")[0] for module, _ in names.found - ours}
    assert others <= {"numpy", "scipy", "builtins", "copyreg", "collections", "_codecs"}
    assert again.__dict__.keys() == fitted(model).__dict__.keys()
    assert "fusedgrad._" not in " ".join(str(argument) for _, argument, _ in pickletools.genops(data))


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if sp.issparse(a):
        return type(a) is type(b) and (a != b).nnz == 0
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if hasattr(a, "__dict__") and not isinstance(a, (type, np.random.RandomState)):
        return type(a) is type(b) and same(_visible(a), _visible(b))
    return a == b or (a != a and b != b)


def _visible(value):
    return value.get_params() if hasattr(value, "__sklearn_clone__") else {
        name: each for name, each in vars(value).items() if name not in ("plan", "_core", "_work")
    }  # fmt: skip


WAYS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "joblib": lambda model: _by_joblib(model),
}


def _by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("way", WAYS)
@every_model
def test_copies_are_the_same_and_go_on_the_same(model, way):
    model = fitted(model)
    again = WAYS[way](model)
    assert same(vars(again), vars(model))
    assert type(again) is type(model)
    predicted = model.predict(X)
    np.testing.assert_array_equal(again.predict(X), predicted)
    if hasattr(model, "partial_fit"):
        model, again = (copy.deepcopy(each).partial_fit(X, y) for each in (model, again))
        again = WAYS[way](again)
        for each in (model, again):
            each.partial_fit(X, y)
        assert same(vars(again), vars(model))


@pytest.mark.parametrize("way", WAYS)
def test_a_warm_start_goes_on_bit_for_bit(way):
    for make in (
        lambda: SGDClassifier(batch_size=8, optimizer="adam", warm_start=True, max_iter=2, tol=None, random_state=0),
        lambda: NeuralClassifier([Dense(5), Dropout(0.2)], warm_start=True, max_epochs=2, tol=None, random_state=0),
    ):
        without, through = make().fit(X, y), WAYS[way](make().fit(X, y))
        assert same(vars(through.fit(X, y)), vars(without.fit(X, y)))


def test_a_copy_does_not_share_what_training_changes():
    model = SGDClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        before = model.coef_.copy()
        other.partial_fit(X, y)
        np.testing.assert_array_equal(model.coef_, before)


def test_unfitted_estimators_and_pipelines_can_be_pickled():
    model = NeuralClassifier([Dense(3)])
    assert pickle.loads(pickle.dumps(model)).get_params() == model.get_params()
    pipe = make_pipeline(StandardScaler(), SGDClassifier(random_state=0)).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipe)).predict(X), pipe.predict(X))


def test_sparse_coefficients_survive():
    model = SGDClassifier(penalty="l1", alpha=0.1, random_state=0).fit(X, y).sparsify()
    again = pickle.loads(pickle.dumps(model))
    assert sp.issparse(again.coef_)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


class Mine(SGDClassifier):
    """A user's subclass, with an attribute and a state of its own."""

    def __init__(self, alpha=1e-4, note="x"):
        super().__init__(alpha=alpha)
        self.note = note


def test_subclasses_pickle_under_their_own_name():
    model = Mine(note="y").fit(X, y)
    model.extra_ = {"a": 1}
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is Mine
    assert (again.note, again.extra_) == ("y", {"a": 1})


# ---- versions ----


@every_model
def test_a_pickle_says_which_version_wrote_it(model):
    state = fitted(model).__getstate__()
    assert state["_fusedgrad_version"] == fusedgrad.__version__
    assert state["_fusedgrad_format"] == 1
    assert not [name for name in vars(pickle.loads(pickle.dumps(fitted(model)))) if "fusedgrad" in name]


def load(model, **changes):
    state = fitted(model).__getstate__()
    state.update(changes)
    again = object.__new__(type(model))
    again.__setstate__({name: value for name, value in state.items() if value is not ...})
    return again


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"_fusedgrad_format": 2, "_fusedgrad_version": "7.3.1"},
            r"was stored by fusedgrad 7\.3\.1, in format 2; fusedgrad .* reads formats up to 1\. Install fusedgrad 7",
        ),
        ({"_fusedgrad_format": ...}, "does not say which version of fusedgrad stored it"),
        ({"_fusedgrad_version": ...}, "does not say which version of fusedgrad stored it"),
        ({"_fusedgrad_format": "one"}, "does not say which version of fusedgrad stored it"),
        ({"_fusedgrad_format": 0}, "does not say which version of fusedgrad stored it"),
    ],
)
@every_model
def test_what_a_newer_version_wrote_is_refused(model, changes, message):
    with pytest.raises(ValueError, match=message):
        load(model, **changes)


@pytest.mark.parametrize("content", [{"slots": ()}, {}, "state", 3, ()])
def test_unknown_content_is_refused(content):
    cases = [(MODELS[2], "_optimizer_state"), (MODELS[8], "_optimizer"), (MODELS[11], "_net")]
    for model, name in cases:
        with pytest.raises(ValueError, match=f"attribute '{name}' of this {type(model).__name__}, stored by fusedgrad"):
            load(model, **{name: content})


@pytest.mark.parametrize(
    "part", [Adam(0.1), Cosine(0.1, steps=3), Dense(3, "relu"), losses.Huber(epsilon=2.0)], ids=repr
)
@pytest.mark.parametrize("state", [{"of_the_future": 1}, {"epsilon": "x", "rate": "x", "units": "x"}, None, 3])
def test_parts_with_unknown_parameters_are_refused(part, state):
    assert pickle.loads(pickle.dumps(part)) == part
    with pytest.raises(ValueError, match=f"A {type(part).__name__} cannot be made of what was stored"):
        object.__new__(type(part)).__setstate__(state)


# ---- public paths ----


@pytest.mark.parametrize("name", PUBLIC)
def test_classes_are_known_by_the_path_that_users_import(name):
    module = getattr(fusedgrad, name)
    for each in module.__all__:
        found = getattr(module, each)
        if isinstance(found, type) or callable(found):
            assert found.__module__ == f"fusedgrad.{name}", each


def test_what_fit_many_returns_can_be_pickled():
    models = fusedgrad.fit_many([SGDClassifier(batch_size=8, max_iter=2, tol=None, random_state=0)], X, y)
    names = Names(pickle.dumps(models))
    again = names.load()
    assert ("fusedgrad.linear_model", "FittedModels") in names.found
    assert again.passes == [[0]]
    assert same(vars(again[0]), vars(models[0]))


def test_skops_is_told_what_to_trust():
    trusted = fusedgrad.skops_trusted_types()
    assert trusted == sorted(set(trusted))
    for module in (layers, linear_model, losses, neural_network, optimizers, schedules):
        classes = [name for name in module.__all__ if isinstance(getattr(module, name), type)]
        assert {f"{module.__name__}.{name}" for name in classes} <= set(trusted)
    assert not [name for name in trusted if re.search(r"\._", name)]


@every_model
def test_skops_stores_estimators(model, tmp_path):
    skops = pytest.importorskip("skops.io", reason="skops is not installed; it is no requirement of the tests")
    model = fitted(model)
    skops.dump(model, tmp_path / "model.skops")
    unknown = skops.get_untrusted_types(file=tmp_path / "model.skops")
    assert {name for name in unknown if name.startswith("fusedgrad")} <= set(fusedgrad.skops_trusted_types())
    assert [name for name in unknown if not name.startswith("fusedgrad")] == []
    again = skops.load(tmp_path / "model.skops", trusted=fusedgrad.skops_trusted_types())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if hasattr(model, "partial_fit"):
        again.partial_fit(X, y)
        model.partial_fit(X, y)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))


@every_model
def test_cloudpickle_stores_estimators(model):
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed; it is no requirement")
    model = fitted(model)
    np.testing.assert_array_equal(pickle.loads(cloudpickle.dumps(model)).predict(X), model.predict(X))
    with_lambda = SGDClassifier(learning_rate=lambda step: 0.1).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(cloudpickle.dumps(with_lambda)).coef_, with_lambda.coef_)


@pytest.mark.filterwarnings("ignore")  # mlflow's own
@pytest.mark.parametrize("model", [MODELS[2], MODELS[11]], ids=lambda model: type(model).__name__)
def test_mlflow_stores_estimators(model, tmp_path):
    mlflow = pytest.importorskip("mlflow.sklearn", reason="mlflow is not installed; it is no requirement of the tests")
    pytest.importorskip("skops", reason="skops is not installed; it is no requirement of the tests")
    model = fitted(model)
    mlflow.save_model(model, str(tmp_path / "model"), skops_trusted_types=fusedgrad.skops_trusted_types())
    np.testing.assert_array_equal(mlflow.load_model(str(tmp_path / "model")).predict(X), model.predict(X))
