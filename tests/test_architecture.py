"""The rules that keep the tree in order, checked by reading the sources."""

import ast
import re
from pathlib import Path

import pytest
from fusedgrad import _core, layers, linear_model, losses, neural_network

from .reference.losses import LOSSES
from .reference.rules import RULES

ROOT = Path(__file__).parents[1]
CPP = ROOT / "cpp"
PYTHON = ROOT / "python" / "fusedgrad"
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in (".hpp", ".cpp"))
MODULES = sorted(PYTHON.rglob("*.py"))

IN_BOTH = ("train/losses.hpp", "train/step_loop.hpp", "train/updater.hpp")
RECIPES = ("train/linear/plan.hpp", "train/linear/recipe.hpp", "train/network/recipe.hpp")
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
    # The seam: see test_the_seam_is_plain.
    "engine.hpp": ("core/base.hpp", "kernel/metric.hpp", *RECIPES),
    "engine": ("core", "parts", "kernel", "train", "engine.hpp"),
    "bind": ("engine.hpp",),
}


# Room of the package (a module, or a folder) -> the rooms that it may import from: all of them stand above it. Rooms
# with an underscore are shared by those below them; within the others, what has an underscore is their own.
ROOMS = {
    "exceptions": (),
    "_atomic": (),
    "_isa": ("_bindings",),
    "_core": ("_bindings", "_isa"),
    "_threads": ("_core",),
    "_config": ("_bindings", "_isa", "_core", "_threads"),
    "_validation": ("_core", "_threads"),
    "_parts": ("_validation",),
    "_pairs": (),
    "_whole_files": (),
    "_optional": (),
    "data": ("_core", "_whole_files", "_optional"),
    "losses": ("_core", "_validation", "_parts"),
    "schedules": ("_validation", "_parts"),
    "layers": ("_core", "_validation", "_parts"),
    "optimizers": ("_core", "_threads", "_validation", "_parts", "_pairs", "schedules"),
    "_sources": ("_atomic", "data"),
    "_training": (
        *("exceptions", "_core", "_threads", "_validation", "_pairs", "losses", "schedules", "layers", "optimizers"),
        *("_whole_files", "data"),
    ),
    "_estimator": ("_atomic", "_config", "_parts", "optimizers"),
    "linear_model": (
        *("exceptions", "_atomic", "_threads", "_validation", "losses", "schedules", "optimizers"),
        *("_training", "_estimator", "data", "_sources"),
    ),
    "neural_network": (
        *("exceptions", "_atomic", "_threads", "_validation", "losses", "schedules", "layers", "optimizers"),
        *("_training", "_estimator", "data", "_sources"),
    ),
    "dask": (
        *("_atomic", "_core", "_optional", "_threads", "_validation", "optimizers", "data", "_sources"),
        *("_training", "_estimator", "linear_model"),
    ),
    "callbacks": ("_whole_files", "_training"),
    "_public": (
        "callbacks",
        "dask",
        "data",
        "losses",
        "schedules",
        "layers",
        "optimizers",
        "linear_model",
        "neural_network",
    ),
}
COMPILED = {"_bindings"}
FRONT = ("", "_commands", "__main__")  # the package itself and its command, which may import everything

MOST_LINES = 500  # of a file; in Python docstrings of estimators aside
MOST_LINES_OF_A_FUNCTION = 80  # its docstring aside


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
    """The most special folder that has a rule; a file may have its own."""
    inside = path.relative_to(CPP)
    parents = [inside.as_posix(), *(parent.as_posix() for parent in inside.parents)]
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


def includes_of(path):
    return [found[1] for _, found in lines_of([path], r'#\s*include\s+["<]([^">]+)[">]')]


def all_includes(path):
    """What a file includes, and what its own headers include."""
    seen, waiting = set(), [path]
    while waiting:
        for target in includes_of(waiting.pop()):
            if target not in seen:
                seen.add(target)
                waiting += [CPP / target] if (CPP / target).is_file() else []
    return seen


def test_the_seam_is_plain():
    # the bindings are compiled for any processor: no kernel may be compiled with them
    known = all_includes(CPP / "engine.hpp")
    assert not [name for name in known if "Eigen" in name or "omp.h" in name]
    assert {name for name in known if name.endswith(".hpp")} == {
        *("core/base.hpp", "core/compiler.hpp", "core/part.hpp", "core/rng.hpp"),
        *("kernel/metric.hpp", "kernel/penalty.hpp", "kernel/schedule.hpp", "kernel/settings.hpp"),
        *("parts/spec.hpp", *RECIPES),
    }
    assert all_includes(CPP / "engine" / "arrays.cpp") >= {"Eigen/Core", "omp.h"}


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


def long_parts_in_cpp(lines):
    """(first line, lines) of a file and of its functions, where they are longer than they may be. As clang-format lays
    them out, a function ends where its indentation is met again."""
    if len(lines) > MOST_LINES:
        yield "the file", len(lines)
    for first, line in enumerate(lines):
        other = re.match(r"\s*(struct|class|namespace|enum|extern|for|if|while|switch|do|\}|\)?\s*\{$)", line)
        if line.endswith("{") and "(" in line and not other:
            closing = re.compile(rf"\s{{0,{len(line) - len(line.lstrip())}}}\}}")  # left of initialisers, too
            end = next(k for k in range(first + 1, len(lines)) if closing.match(lines[k]))
            if end - first + 1 > MOST_LINES_OF_A_FUNCTION:
                yield line.strip(), end - first + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(CPP).as_posix())
def test_files_and_functions_in_cpp_are_short(path):
    assert not list(long_parts_in_cpp(path.read_text().splitlines()))


def test_long_functions_in_cpp_are_seen():
    body = ["        x = 1;"] * MOST_LINES_OF_A_FUNCTION
    lines = ["struct Long {", "    void long_one(int x) {", *body, "    }", "    void short_one() {", "    }", "};"]
    assert list(long_parts_in_cpp(lines)) == [("void long_one(int x) {", MOST_LINES_OF_A_FUNCTION + 2)]
    assert list(long_parts_in_cpp(["x = 1;"] * (MOST_LINES + 1))) == [("the file", MOST_LINES + 1)]


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


def bindings_of(path):
    """(absolute dotted name, name in the module) of what a module imports; from a package a name is its submodule."""
    package = ["fusedgrad", *path.relative_to(PYTHON).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}", alias.asname or alias.name) for alias in node.names)


def imports_of(path):
    return (name for name, _ in bindings_of(path))


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


def room_of(module):
    return module.split(".")[0]


def test_every_room_has_a_line():
    assert {room_of(module) for module in GRAPH} == {*ROOMS, *FRONT}


def test_rooms_import_from_rooms_above_them():
    above = set(COMPILED)
    for room, allowed in ROOMS.items():
        assert set(allowed) <= above, f"{room} may import from rooms that stand below it"
        above.add(room)


@pytest.mark.parametrize("module", [module for module in GRAPH if room_of(module) not in FRONT])
def test_modules_import_what_their_room_may(module):
    room = room_of(module)
    assert {room_of(name) for name in GRAPH[module]} <= {room, *ROOMS[room]}


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def crossing_names(path):
    """Private names of other rooms that a module imports, or takes from modules that it has imported."""
    room, known = room_of(module_name(path)), {module_name(other) for other in MODULES} | COMPILED
    modules = {}
    for name, bound in bindings_of(path):
        inside = name.removeprefix("fusedgrad.")
        if name == inside or room_of(inside) == room:
            continue
        if any(map(is_private, inside.split(".")[1:])):
            yield name
        if inside in known:
            modules[bound] = name
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield from [f"{modules[node.value.id]}.{node.attr}"] if is_private(node.attr) else []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_private_name_crosses_rooms(path):
    assert not list(crossing_names(path))


def test_private_names_that_cross_rooms_are_seen(monkeypatch):
    intruder = PYTHON / "linear_model" / "intruder.py"
    imports = "from .. import optimizers as rules\nfrom ..layers._layer import walk\nfrom . import _base\n"
    monkeypatch.setattr(Path, "read_text", lambda path: f"{imports}rules._catalog, _base._x\n")
    assert list(crossing_names(intruder)) == ["fusedgrad.layers._layer.walk", "fusedgrad.optimizers._catalog"]


def test_estimators_reach_the_core_through_training():
    assert "_core" not in {*ROOMS["linear_model"], *ROOMS["neural_network"]}
    for bridge in ("minibatch", "network", "sequential"):
        assert "_core" in GRAPH[f"_training.{bridge}"]


def docstring_lines(node):
    """How many lines the docstring of a class or a function has."""
    first = node.body[0]
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return first.end_lineno - first.lineno + 1 if text else 0


def is_estimator(node):
    return isinstance(node, ast.ClassDef) and node.name in {*linear_model.__all__, *neural_network.__all__}


def long_parts(path):
    """(name, lines) of a file and of its functions, where they are longer than they may be."""
    source = path.read_text()
    tree = ast.parse(source)
    described = [
        inner
        for node in tree.body
        if is_estimator(node)
        for inner in ast.walk(node)
        if isinstance(inner, (ast.ClassDef, ast.FunctionDef))
    ]
    lines = len(source.splitlines()) - sum(map(docstring_lines, described))
    if lines > MOST_LINES:
        yield module_name(path), lines
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno + 1 - docstring_lines(node)
            if lines > MOST_LINES_OF_A_FUNCTION:
                yield node.name, lines


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_files_and_functions_are_short(path):
    assert not list(long_parts(path))


def test_long_files_and_functions_are_seen(monkeypatch):
    body = "".join(f"    x = {k}\n" for k in range(MOST_LINES_OF_A_FUNCTION))
    sources = {
        "long_function": f"def f():\n{body}",
        "long_file": "x = 1\n" * (MOST_LINES + 1),
        "short": f'def f():\n    """A\n    text."""\n{body[: body.rindex("    x")]}',
        "estimator": 'class SGDClassifier:\n    """A\n' + "    text\n" * MOST_LINES + '    """\n',
    }
    monkeypatch.setattr(Path, "read_text", lambda path: sources[path.stem])
    found = {name: list(long_parts(PYTHON / f"{name}.py")) for name in sources}
    assert found == {
        "long_function": [("f", MOST_LINES_OF_A_FUNCTION + 1)],
        "long_file": [("long_file", MOST_LINES + 1)],
        "short": [],
        "estimator": [],
    }


def test_the_kernels_are_loaded_in_one_place():
    assert {module_name(path) for path in MODULES if "_kernels_" in path.read_text()} == {"_isa"}


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
    printing = {(module, scope) for module, scope in printing if module not in FRONT}
    assert printing == {
        ("_training.sequential", "_printer"),
        ("_training.minibatch_training", "Training"),
        ("_training.curvature.fit", "Fit"),
        ("_config", "show_config"),
        ("linear_model.search._training", "Search"),
        ("neural_network._lbfgs", "lbfgs"),
        ("neural_network._mlp", "MLP"),
        ("neural_network._layered", "Layered"),
    }


def test_library_code_does_not_exit():
    assert not [module_name(path) for path in MODULES for name in ("exit", "quit") for _ in calls_of(path, name)]
    assert not [module_name(path) for path in MODULES if re.search(r"sys\.exit|os\._exit", path.read_text())]
