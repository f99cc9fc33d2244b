"""What the documentation says is so: examples run, parameters are all documented, the README's code works."""

import doctest
import inspect
import json
import re
import sys
from pathlib import Path

import fusedgrad
import pytest
from fusedgrad import (
    callbacks,
    dask,
    data,
    exceptions,
    layers,
    linear_model,
    losses,
    neural_network,
    optimizers,
    schedules,
)

LINEAR = [found for name in linear_model.__all__ if inspect.isclass(found := getattr(linear_model, name))]
NEURAL = [getattr(neural_network, name) for name in neural_network.__all__]
ESTIMATORS = LINEAR + NEURAL
DASK = [getattr(dask, name) for name in dask.__all__]
ROOT = Path(__file__).parents[1]


MODULES = [fusedgrad, callbacks, data, exceptions, layers, linear_model, losses, neural_network, optimizers, schedules]


def examples_of(module):
    """The doctests of a module and of what it offers and inherits, wherever that is defined."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    yield from finder.find(module, module.__name__, module=module)
    for found in (getattr(module, name) for name in module.__all__):
        if inspect.isfunction(found) or inspect.isclass(found):
            for each in inspect.getmro(found) if inspect.isclass(found) else [found]:
                if each.__module__.startswith(("fusedgrad._", module.__name__)):
                    name = f"{each.__module__}.{each.__qualname__}"
                    yield from finder.find(each, name, module=False, globs={})


@pytest.mark.parametrize("module", [*MODULES, dask], ids=lambda module: module.__name__)
def test_examples_in_docstrings_run(module):
    if module is dask:
        pytest.importorskip("distributed", reason="Dask is an extra")
    tests = {test.name: test for test in examples_of(module) if test.examples}
    results = [doctest.DocTestRunner().run(test) for test in tests.values()]
    assert results
    assert not any(result.failed for result in results)


def test_examples_of_methods_and_functions_are_among_them():
    names = {test.name for module in MODULES for test in examples_of(module) if test.examples}
    assert {
        "fusedgrad.layers.Dense",
        "fusedgrad.linear_model.fit_many",
        "fusedgrad.neural_network._layered.Layered.summary",
        "fusedgrad.optimizers.Optimizer.__call__",
        "fusedgrad._public.skops_trusted_types",
    } <= names


def sections(doc):
    """The numpydoc sections of a docstring: title to text."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", inspect.cleandoc(doc), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(text):
    return [name for names in re.findall(r"^\**(\w[\w, ]*) :", text, flags=re.MULTILINE) for name in names.split(", ")]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_constructor_parameters_are_documented_in_order(estimator):
    names = list(inspect.signature(estimator).parameters)
    assert documented(sections(estimator.__doc__)["Parameters"]) == names


@pytest.mark.parametrize("estimator", ESTIMATORS + DASK)
def test_methods_document_their_parameters(estimator):
    for name, method in inspect.getmembers(estimator, inspect.isfunction):
        if name.startswith("_") or not method.__module__.startswith("fusedgrad"):
            continue
        parameters = [p for p in inspect.signature(method).parameters if p != "self"]
        found = documented(sections(method.__doc__)["Parameters"]) if parameters else []
        assert found == parameters, name


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_fitted_attributes_are_documented(estimator):
    import numpy as np

    X = np.random.RandomState(0).randn(30, 3)
    if estimator in LINEAR:
        model = estimator(max_iter=5, tol=None)
    elif estimator.__name__.startswith("MLP"):
        model = estimator(max_iter=5, batch_norm=True)
    else:
        model = estimator([layers.Dense(4), layers.BatchNorm()], max_epochs=5)
    model.fit(X, (X[:, 0] > 0).astype(int))
    fitted = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert fitted <= set(documented(sections(estimator.__doc__)["Attributes"]))


def test_the_readme_examples_run(capsys):
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("the tests run outside the repository, without its README")
    fit, network, steps = re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.DOTALL)
    exec(compile(fit, "README.md", "exec"), {})
    accuracy, gap = re.match(r"accuracy ([\d.]+), within (\S+) of the optimum", capsys.readouterr().out).groups()
    assert float(accuracy) > 0.9
    assert float(gap) <= 1e-3
    exec(compile(network, "README.md", "exec"), {})
    assert float(re.search(r" bytes\naccuracy ([\d.]+)\n$", capsys.readouterr().out)[1]) > 0.95
    exec(compile(steps, "README.md", "exec"), {})
    assert capsys.readouterr().out == "[1. 2. 3.] True\n"


def documents():
    if not (ROOT / "README.md").exists():
        pytest.skip("the tests run outside the repository, without its documents")
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]


def test_links_lead_to_files_and_every_picture_is_linked():
    linked = set()
    for document in documents():
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
            if "://" not in target:
                path = (document.parent / target).resolve()
                assert path.exists(), (document.name, target)
                linked.add(path)
    assert {path.resolve() for path in (ROOT / "docs").glob("*.png")} <= linked


def test_the_readme_names_what_the_examples_need():
    (readme, *_), extras = documents(), (ROOT / "pyproject.toml").read_text()
    scripts = "".join(path.read_text() for path in (ROOT / "examples").glob("*.py"))
    ours = {"fusedgrad", "numpy", "scipy", "sklearn", *sys.stdlib_module_names}
    needed = set(re.findall(r"^(?:import|from) (\w+)", scripts, flags=re.MULTILINE)) - ours
    assert needed
    (extra,) = re.findall(r"^examples = \[(.*)\]", extras, flags=re.MULTILINE)
    assert needed <= set(re.findall(r'"(\w+)', extra))
    assert '".[examples]"' in readme.read_text()


def test_show_config_tells_what_is_running(capsys):
    fusedgrad.show_config()
    shown = capsys.readouterr().out
    for word in ("instruction set", "threads", "blas", "scikit-learn", fusedgrad.__version__):
        assert word in shown


def test_the_readme_table_is_the_newest_report():
    reports = sorted((ROOT / "bench" / "results").glob("*-*-*-*.json"))
    if not reports:
        pytest.skip("the tests run outside the repository, without its benchmark")
    from bench import quality, summary

    newest = quality.newest()
    search = None if newest is None else json.loads(newest.read_text())
    shown = re.search(r"<!-- table: begin -->\n(.*?)\n<!-- table: end -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown.group(1).strip() == summary.readme(json.loads(reports[-1].read_text()), search).strip()
