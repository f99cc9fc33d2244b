"""The rules that keep the tree in order, checked by reading the sources."""

import ast
import re
from pathlib import Path

import pytest
from fusedgrad import _core, layers, losses

from .reference.losses import LOSSES
from .reference.rules import RULES

ROOT = Path(__file__).parents[1]
CPP = ROOT / "cpp"
PYTHON = ROOT / "python" / "fusedgrad"
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in (".hpp", ".cpp"))
MODULES = sorted(PYTHON.rglob("*.py"))

IN_BOTH = ("train/losses.hpp", "train/step_loop.hpp", "train/updater.hpp")
# Folder -> what its files may include, besides their own folder. Each line names all that stands below.
MAY_INCLUDE = {
    "core": (),
    "parts": ("core",),
    # Layers are made of products, activations and cells.
    "parts/layer": ("core", "kernel", "parts/cell"),
    # What a loss and a rule answer; they themselves enter as templates.
    "kernel": ("core", "parts/loss/point.hpp", "parts/rule/tick.hpp"),
    "train": ("core", "parts", "kernel"),
    # Linear models and networks know nothing of each other.
    "train/linear": ("core", "parts", "kernel", *IN_BOTH),
    "train/network": ("core", "parts", "kernel", *IN_BOTH),
    "inst": ("core", "parts", "kernel", "train"),
    "bind": ("core", "parts", "kernel", "train"),
}


def lines_of(paths, pattern):
    """(file relative to its root, match) for every line that matches."""
    for path in paths:
        for line in path.read_text().splitlines():
            if found := re.search(pattern, line):
                yield path, found


def test_the_tree_is_where_the_tests_look_for_it():
    assert len(SOURCES) > 20
    assert len(MODULES) > 5


def folder_of(path):
    """The most special folder that has a rule."""
    parents = [parent.as_posix() for parent in path.relative_to(CPP).parents]
    return next((parent for parent in parents if parent in MAY_INCLUDE), parents[-2])


# ---- C++ ----


def test_includes_point_one_way():
    wrong = []
    for path, found in lines_of(SOURCES, r'#\s*include\s+"([^"]+)"'):
        folder, target = folder_of(path), found[1]
        assert (CPP / target).is_file(), f"{path}: includes are relative to cpp/, not {target}"
        if not any(target == allowed or target.startswith(f"{allowed}/") for allowed in (folder, *MAY_INCLUDE[folder])):
            wrong.append(f"{path.relative_to(CPP)} includes {target}")
    assert not wrong


def test_every_folder_has_a_rule():
    assert {folder_of(path) for path in SOURCES} == set(MAY_INCLUDE)


def test_only_the_team_opens_parallel_regions():
    pattern = r"#\s*pragma\s+omp\s.*\b(parallel|task|teams|target)\b"
    assert {path.relative_to(CPP).as_posix() for path, _ in lines_of(SOURCES, pattern)} == {"core/team.hpp"}


@pytest.mark.parametrize("word", ["pybind11", "Python.h", "py::"])
def test_only_bindings_know_python(word):
    folders = {path.relative_to(CPP).parts[0] for path, _ in lines_of(SOURCES, re.escape(word))}
    assert folders <= {"bind"}
    assert folders or word == "Python.h"


def test_headers_are_included_once():
    assert all("#pragma once" in path.read_text() for path in SOURCES if path.suffix == ".hpp")


def test_the_core_never_prints_or_exits():
    pattern = r"\b(std::cout|std::cerr|f?printf|puts|std::exit|std::abort|abort|exit)\b\s*[(<]"
    assert not [f"{path.relative_to(CPP)}: {found[0]}" for path, found in lines_of(SOURCES, pattern)]


def test_no_flag_gives_up_ieee_arithmetic():
    # -ffast-math links a file that switches the whole process to flush-to-zero; its parts lose NaN or infinity
    build = (ROOT / "CMakeLists.txt").read_text()
    flags = "\n".join(line.split("#")[0] for line in build.splitlines())
    assert "-O3" in flags
    assert not re.search(r"-Ofast|-ffast-math|-ffinite-math|-funsafe-math|-fassociative-math|-freciprocal-math", flags)


def test_every_loss_of_the_tree_is_in_the_catalog():
    files = {path.stem for path in (CPP / "parts" / "loss").glob("*.hpp")} - {"point"}
    assert files == set(losses.names())


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_has_a_reference(name):
    assert name in LOSSES, f"write {name} in tests/reference/losses.py"


def test_every_rule_of_the_tree_is_in_the_catalog():
    files = {path.stem for path in (CPP / "parts" / "rule").glob("*.hpp")} - {"tick"}
    assert files == {name for name, *_ in _core.rule_catalog()}


@pytest.mark.parametrize("name", [name for name, *_ in _core.rule_catalog()])
def test_every_rule_has_a_reference(name):
    assert name in RULES, f"write {name} in tests/reference/rules.py"


def test_every_activation_of_the_tree_is_in_the_catalog():
    files = {path.stem for path in (CPP / "parts" / "activation").glob("*.hpp")} - {"activation"}
    assert files == set(layers.activations())


# ---- Python ----


def module_name(path):
    """The dotted name within the package; a package's own file has the package's name."""
    parts = path.relative_to(PYTHON).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """Absolute dotted names of what a module imports; a name imported from a package counts as its submodule."""
    package = ["fusedgrad", *path.relative_to(PYTHON).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def inner_imports(path):
    """The modules of this package that a module imports."""
    known = {module_name(other) for other in (*MODULES, *PYTHON.glob("*.pyi"))}  # compiled ones have a stub
    for name in imports_of(path):
        if name.startswith("fusedgrad."):
            inside = name.removeprefix("fusedgrad.")
            yield inside if inside in known else inside.rpartition(".")[0]


GRAPH = {module_name(path): set(inner_imports(path)) - {module_name(path)} for path in MODULES}


def reaches(start):
    """All modules that importing `start` brings in, by what the modules themselves name."""
    seen, waiting = set(), [start]
    while waiting:
        for name in GRAPH.get(waiting.pop(), ()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen


@pytest.mark.parametrize("module", GRAPH)
def test_imports_have_no_cycle(module):
    assert module not in reaches(module)


def test_estimators_reach_the_core_through_their_bridge():
    bridges = {"linear_model": "_fit", "neural_network": "_network"}
    estimators = [name for name in GRAPH if name.split(".")[0] in ("linear_model", "neural_network")]
    assert estimators
    for name in estimators:
        assert "_core" not in GRAPH[name], f"{name} goes round its bridge"
    for package, bridge in bridges.items():
        assert "_core" in GRAPH[bridge]
        assert bridge in set().union(*(GRAPH[name] for name in estimators if name.startswith(package)))


BELOW = [
    "_batches",
    "_callbacks",
    "_checks",
    "_config",
    "_core",
    "_fit",
    "_isa",
    "_minibatch",
    "_minimize",
    "_network",
    "_rates",
    "_scores",
    "_threads",
    "layers",
    "losses",
    "optimizers",
    "schedules",
]


@pytest.mark.parametrize("module", BELOW)
def test_nothing_below_knows_the_estimators(module):
    assert not {name for name in reaches(module) if name.split(".")[0] in ("linear_model", "neural_network")}


def test_the_core_is_loaded_in_one_place():
    assert {module_name(path) for path in MODULES if re.search(r"_core_[{vb]", path.read_text())} == {"_isa"}


def test_no_private_module_of_scikit_learn_is_imported():
    private = {
        f"{module_name(path)}: {name}"
        for path in MODULES
        for name in imports_of(path)
        if name.startswith("sklearn.") and any(part.startswith("_") for part in name.split("."))
    }
    assert not private


def calls_of(path, name):
    """The functions in which a built-in function is called, as dotted names within the module."""

    def visit(node, scope):
        for inner in ast.iter_child_nodes(node):
            named = isinstance(inner, (ast.FunctionDef, ast.ClassDef))
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == name:
                yield ".".join(scope)
            yield from visit(inner, (*scope, inner.name) if named else scope)

    yield from visit(ast.parse(path.read_text()), ())


def test_library_code_does_not_print():
    printing = {(module_name(path), scope.split(".")[0]) for path in MODULES for scope in calls_of(path, "print")}
    printing = {(module, scope) for module, scope in printing if module != "__main__"}
    assert printing == {
        ("_fit", "_narrator"),
        ("_minibatch", "_Training"),
        ("_config", "show_config"),
        ("linear_model._cv", "_Search"),
        ("neural_network._mlp", "MLP"),
        ("neural_network._layered", "Layered"),
    }


def test_library_code_does_not_exit():
    assert not [module_name(path) for path in MODULES for name in ("exit", "quit") for _ in calls_of(path, name)]
    assert not [module_name(path) for path in MODULES if re.search(r"sys\.exit|os\._exit", path.read_text())]
