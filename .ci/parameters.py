"""Checks that the estimators' docstrings describe each parameter in full, in the words of `.ci/parameters.txt`.

``python .ci/parameters.py`` names the docstrings that differ; with ``--write`` it puts the texts there. Order and
defaults are those of the constructors. Only sources are read, nothing is imported.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "fusedgrad"
WIDTH, INDENT = 120, " " * 4
Texts = dict[str, dict[str, tuple[str, list[str]]]]  # group -> parameter -> (type, paragraphs)

STRATIFIED = {
    "shares": ", to which each class gives its share (one of a single row gives none; of indicator matrices any rows "
    "are taken)"
}
PARTIAL = "; `partial_fit` does not know the end, and needs an object"
CLASSES = {"score": "accuracy", "share": "stratified share", "two rows": "", "pa": "'hinge'", "of the fold": ""}
NUMBERS = {"score": "R²", "share": "share", "two rows": " R² needs two rows.", "pa": "'epsilon_insensitive'"}


@dataclass(frozen=True)
class Estimator:
    """Where a class is, the groups that it takes its parameters from, and its words for the places in <>."""

    path: str
    groups: tuple[str, ...]
    words: dict[str, str] = field(default_factory=dict)
    losses: str = ""  # the file of linear_model that names its losses


ESTIMATORS = {
    "SGDClassifier": Estimator(
        "linear_model/_classifier.py",
        ("linear classifier", "linear"),
        {
            **CLASSES,
            "parallel": ": for the classes of a multi-class fit, and for everything with mini-batches",
            "partial": PARTIAL,
        },
        "_classifier.py",
    ),
    "SGDRegressor": Estimator(
        "linear_model/_regressor.py",
        ("linear regressor", "linear"),
        {**NUMBERS, "parallel": " with mini-batches", "partial": PARTIAL},
        "_regressor.py",
    ),
    "SGDOneClassSVM": Estimator("linear_model/_one_class.py", ("one class", "linear")),
    "SGDClassifierCV": Estimator(
        "linear_model/search/_classifier.py",
        ("search", "linear classifier", "linear"),
        {
            **CLASSES,
            "of the fold": " of the training rows of each fold",
            "partial": "",
            "stratified": ", stratified",
            "every class": " Every class must be among the training rows of every fold.",
            "fast": "'accuracy', 'neg_log_loss' and, for two classes, 'roc_auc'",
            "where": "",
        },
        "_classifier.py",
    ),
    "SGDRegressorCV": Estimator(
        "linear_model/search/_regressor.py",
        ("search", "linear regressor", "linear"),
        {
            **NUMBERS,
            "partial": "",
            "stratified": "",
            "every class": "",
            "fast": "'r2', 'neg_mean_squared_error' and 'neg_root_mean_squared_error'",
            "where": " of `SGDClassifierCV`",
        },
        "_regressor.py",
    ),
    "MLPClassifier": Estimator(
        "neural_network/_mlp_classifier.py",
        ("perceptron", "neural"),
        {"score": "accuracy", **STRATIFIED, "sibling": "`NeuralClassifier`", "and targets": ""},
    ),
    "MLPRegressor": Estimator(
        "neural_network/_mlp_regressor.py",
        ("perceptron regressor", "perceptron", "neural"),
        {"score": "R²", "shares": "", "sibling": "`NeuralRegressor`", "and targets": " and targets"},
    ),
    "NeuralClassifier": Estimator(
        "neural_network/_neural_classifier.py",
        ("layered classifier", "layered", "neural"),
        {"score": "accuracy", **STRATIFIED, "and targets": ""},
    ),
    "NeuralRegressor": Estimator(
        "neural_network/_neural_regressor.py",
        ("layered regressor", "layered", "neural"),
        {"score": "R²", "shares": "", "and targets": " and targets"},
    ),
}


def texts() -> Texts:
    """Read the texts."""
    groups: Texts = {}
    lines = [line for line in Path(__file__).with_suffix(".txt").read_text().splitlines() if not line.startswith("#")]
    for group in re.split(r"^\[(?=\w)", "\n".join(lines), flags=re.MULTILINE)[1:]:
        title, _, body = group.partition("]\n")
        for entry in re.split(r"^(?=\w+ : )", body, flags=re.MULTILINE)[1:]:
            head, _, text = entry.partition("\n")
            name, _, kind = head.partition(" : ")
            paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
            groups.setdefault(title, {})[name] = kind, paragraphs
    return groups


def parameters_of(constructor: ast.FunctionDef, source: str) -> Iterator[tuple[str, str | None]]:
    """Yield (name, default as docstrings write it) of each parameter but self."""
    arguments = constructor.args
    required = [None] * (len(arguments.args) - len(arguments.defaults))
    positional = zip(arguments.args, [*required, *arguments.defaults], strict=True)
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for argument, value in [*positional, *keywords][1:]:
        text = None if value is None else ast.get_source_segment(source, value)
        yield argument.arg, None if text is None else text.replace('"', "'").removeprefix("np.")


def wrapped(text: str, indent: str) -> list[str]:
    """Lines of a paragraph."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def losses_of(file: str) -> str:
    """The losses that ``loss_functions(...)`` of an estimator's file names, as docstrings write them."""

    def assigned(path: Path, name: str) -> ast.expr:
        (found,) = (
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [name]
        )
        return found

    def names(node: ast.expr) -> Iterator[str]:
        if isinstance(node, ast.Constant):
            yield str(node.value)
        elif isinstance(node, ast.Starred):
            yield from names(node.value)
        elif isinstance(node, ast.Tuple):
            for each in node.elts:
                yield from names(each)
        elif isinstance(node, ast.Name):  # a tuple of a module that the estimators import it from
            where = "losses.py" if node.id == "LOG_LINK" else "linear_model/_supervised.py"
            yield from names(assigned(PACKAGE / where, node.id))

    call = assigned(PACKAGE / "linear_model" / file, "loss_functions")
    assert isinstance(call, ast.Call)
    return ", ".join(f"'{name}'" for each in call.args for name in names(each))


def section_of(name: str, constructor: ast.FunctionDef, source: str, table: Texts) -> list[str]:
    """The lines of an estimator's parameters.

    Raises
    ------
    KeyError
        If no group of the estimator has a parameter, or a word in <> is missing.
    """
    estimator = ESTIMATORS[name]
    lines: list[str] = []
    for parameter, default in parameters_of(constructor, source):
        found = [table[group][parameter] for group in estimator.groups if parameter in table[group]]
        if not found:
            raise KeyError(f"{name}: no group of {estimator.groups} describes {parameter}")
        kind, paragraphs = found[0]
        if "<losses>" in kind:
            kind = kind.replace("<losses>", losses_of(estimator.losses))
        head = f"{INDENT}{parameter} : {kind}" + ("" if default is None else f", default={default}")
        while len(head) > WIDTH:  # a backslash at the end of a line goes on in the next one
            at = head.rindex(" ", 0, WIDTH - 1)
            lines.append(head[: at + 1] + "\\")
            head = head[at + 1 :]
        lines.append(head)
        for k, paragraph in enumerate(paragraphs):
            text = re.sub(r"<([a-z][a-z ]*)>", lambda match: estimator.words[match[1]], paragraph)
            lines += ([""] if k else []) + wrapped(text, 2 * INDENT)
    return lines


def main() -> int:
    """Compare, or write, and say what differs."""
    table, wrong = texts(), []
    for name, estimator in ESTIMATORS.items():
        path = PACKAGE / estimator.path
        source = path.read_text()
        lines = source.splitlines()
        tree = ast.parse(source)
        (kind,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
        (constructor,) = (node for node in kind.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
        first = lines.index(f"{INDENT}Parameters", kind.lineno) + 2
        last = next(k for k in range(first, len(lines)) if re.fullmatch(r" {4}-{3,}", lines[k])) - 2
        section = section_of(name, constructor, source, table)
        if lines[first:last] != section:
            wrong.append(name)
            lines[first:last] = section
            if "--write" in sys.argv[1:]:
                path.write_text("\n".join(lines) + "\n")
    if wrong and "--write" not in sys.argv[1:]:
        print(f"Parameters differ from .ci/parameters.txt: {', '.join(wrong)}. Run python .ci/parameters.py --write.")
        return 1
    print(f"Parameters of {len(ESTIMATORS)} estimators" + (f"; written: {', '.join(wrong)}." if wrong else "."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
