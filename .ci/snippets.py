"""Checks the types of the documentation's Python: ``python .ci/snippets.py``.

The ```python blocks of README.md and docs/*.md, the examples of the package's docstrings, and tests/typed_calls.py each
become a file of their own, which mypy reads as a user's: with the package's annotations, without its settings. Messages
name the document and the line. scikit-learn has no annotations, so what comes from it is not checked.
"""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ["--follow-imports=silent", "--allow-redefinition", "--ignore-missing-imports", "--check-untyped-defs"]
CALLS = ROOT / "tests" / "typed_calls.py"


def of_markdown() -> Iterator[tuple[str, str]]:
    """Yield (where, source) of each block, with its lines where they are in the document."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for block in re.finditer(r"^( *)```python\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE):
            before = text[: block.start(2)].count("\n")
            lines = [line.removeprefix(block[1]) for line in block[2].splitlines()]
            yield str(path.relative_to(ROOT)), "\n" * before + "\n".join(lines) + "\n"


def of_docstrings() -> Iterator[tuple[str, str]]:
    """Yield (where, source) of the examples of each docstring, with its lines where they are in the file."""
    for path in sorted((ROOT / "python" / "fusedgrad").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) or not ast.get_docstring(node):
                continue
            lines: list[str] = []
            for example in doctest.DocTestParser().get_examples(ast.get_docstring(node, clean=False) or ""):
                lines += [""] * (node.body[0].lineno + example.lineno - 1 - len(lines))
                lines += example.source.splitlines()
            if lines:
                yield str(path.relative_to(ROOT)), "\n".join(lines) + "\n"


def main() -> int:
    """Write the files, ask mypy, and print what it finds."""
    with tempfile.TemporaryDirectory() as folder:
        where = {}
        snippets = [*of_markdown(), *of_docstrings(), ("tests/typed_calls.py", CALLS.read_text())]
        for k, (name, source) in enumerate(snippets):
            path = Path(folder) / f"snippet_{k:03}.py"
            path.write_text(source)
            where[path.name] = name
        found = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file=", *OPTIONS, folder],
            env={"MYPYPATH": str(ROOT / "python"), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
    said = re.sub(r"^.*?(snippet_\d+\.py)", lambda m: where[m[1]], found.stdout, flags=re.MULTILINE)
    print(f"{len(where)} snippets. {said}{found.stderr}".strip())
    return found.returncode


if __name__ == "__main__":
    sys.exit(main())
