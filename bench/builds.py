"""Builds of commits and of the working tree, one instruction set each, in folders to import from."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILDS = ROOT / "build" / "compare"  # not in version control; builds of commits are kept there


def folder_of(what: str, isa: str) -> Path:
    """Return a folder with the package: `what` itself if it has one, or a build of this commit, or of the tree ("")."""
    if what and (Path(what) / "fusedgrad" / "__init__.py").exists():
        return Path(what).resolve()
    if not what:
        return build(ROOT, BUILDS / f"tree-{isa}", isa)
    commit = git("rev-parse", "--verify", "--quiet", f"{what}^{{commit}}")
    target = BUILDS / f"{commit[:12]}-{isa}-{sys.implementation.cache_tag}"
    if (target / "fusedgrad").exists():
        return target
    with tempfile.TemporaryDirectory(prefix="fusedgrad-") as temporary:
        source = Path(temporary) / "source"
        git("worktree", "add", "--detach", str(source), commit)
        try:
            return build(source, target, isa)
        finally:
            git("worktree", "remove", "--force", str(source))
            shutil.rmtree(cmake_folder(target), ignore_errors=True)


def build(source: Path, target: Path, isa: str) -> Path:
    """Build a source tree with pip, and return the folder that it is installed in."""
    print(f"building {target.name} ...", file=sys.stderr, flush=True)
    shutil.rmtree(target, ignore_errors=True)
    settings = [f"cmake.define.FUSEDGRAD_ISAS={isa}", f"build-dir={cmake_folder(target)}"]
    options = [word for setting in settings for word in ("--config-settings", setting)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), *options]
    subprocess.run([*command, str(source)], check=True)
    return target


def cmake_folder(target: Path) -> Path:
    """Return where objects are: those of the tree stay, so that only what has changed is compiled again."""
    return target.with_name(f"{target.name}-cmake")


def git(*words: str) -> str:
    """Return what a git command prints."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip() or f"git {' '.join(words)}: not found")
    return done.stdout.strip()
