"""Whether tests notice a wrong sign: mutants of the core's parts, one change each, that some test must turn red.

``python -m tests.mutations`` makes the mutants of every part, ``python -m tests.mutations layer/dense cell`` those of a
file and of a room; ``--list`` shows them. It copies the core, builds one instruction set without optimisation, and goes
on where it stopped: results are kept in a file. Several processes share the work by ``--turn 0/4 --folder all/0``,
``--turn 1/4 --folder all/1``, ...; ``--list --folder all`` then shows everything.

Mutants are built together where no test of the one runs code of the other: a loss, an activation and a rule are tested
by themselves, a layer in the examples of its row. Who survives there is built alone and meets all tests of its room.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fusedgrad import optimizers

from .reference.layers import KINDS

ROOT = Path(__file__).parents[1]
ROOMS = ("loss", "rule", "activation", "cell", "layer")
EACH = {"layer": 10, "cell": 8}  # mutants of a file at most, spread evenly; of the others `FEW`
FEW = 4
SECONDS = 900  # of a processor, that a run of tests may take: a loop without end is seen, a busy machine is not

# The layers whose examples test a file; of others all do.
TESTED_BY = {
    "cell/gru": ("GRU",),
    "cell/lstm": ("LSTM",),
    "cell/simple": ("SimpleRNN",),
    "layer/activation_layer": ("Activation",),
    "layer/add": ("Residual",),
    "layer/batch_norm": ("BatchNorm",),
    "layer/convolution": ("Conv2D", "Conv1D"),
    "layer/dense": ("Dense",),
    "layer/depthwise": ("Conv2D",),
    "layer/dropout": ("Dropout",),
    "layer/embedding": ("Embedding",),
    "layer/layer_norm": ("LayerNorm",),
    "layer/pooling": ("MaxPool2D", "AvgPool2D", "GlobalAvgPool2D"),
    "layer/recurrent": ("SimpleRNN", "GRU", "LSTM"),
}
# All tests of a room, for those that survive the examples.
OF_ROOM = {
    "loss": ["tests/losses", "tests/linear_model/test_minibatch_fits.py", "tests/linear_model/test_sequential.py"],
    "rule": ["tests/optimizers", "tests/linear_model/test_minibatch_fits.py", "tests/layers/test_training.py"],
    "activation": [
        "tests/layers/test_activations.py",
        "tests/layers/test_contract.py",
        "tests/layers/test_random_networks.py",
    ],
    "cell": ["tests/layers"],
    "layer": ["tests/layers"],
}

# Mutants that change nothing that can be observed: part of a file's line -> why.
EQUIVALENT = {
    ("layer/dense", "block_(features <= 4"): "where tiles of parameters are cut is a matter of speed",
    ("layer/dense", "workspace_ = "): "a report of memory",
    ("layer/depthwise", "workspace_ = "): "a report of memory",
    ("layer/layer_norm", "workspace_ = "): "a report of memory",
    ("layer/convolution", "(depth_ + block"): "a tile without weights changes nothing",
    ("layer/dropout", "std::copy_n"): "outside training the rows of a member begin at 0",
    ("layer/embedding", "block_(std::max"): "where tiles of parameters are cut is a matter of speed",
    ("layer/embedding", "(codes_ + block_"): "a tile without weights changes nothing",
    ("layer/embedding", "std::clamp"): "Python refuses other codes",
    ("layer/layer", "std::lower_bound"): "where a search begins is a matter of speed",
    ("layer/layer", "double work()"): "an estimate, which chooses the number of threads",
}


@dataclass(frozen=True)
class Mutant:
    """One change of a line of a part."""

    part: str  # room/name
    line: int
    column: int
    kind: str
    before: str
    after: str

    @property
    def room(self):
        return self.part.partition("/")[0]

    @property
    def key(self):
        """The same, wherever in the file the line is."""
        return f"{self.part} | {self.kind} {self.column} | {self.before.strip()}"

    @property
    def equivalent(self):
        """Why it changes nothing that can be observed, if that is known."""
        reasons = [why for (part, text), why in EQUIVALENT.items() if part == self.part and text in self.key]
        return reasons[0] if reasons else None

    def __str__(self):
        return f"{self.part}:{self.line} {self.kind}\n    - {self.before.strip()}\n    + {self.after.strip()}"


# ---- mutants of a file ----

FLIPS = {
    " + ": " - ",
    " - ": " + ",
    " += ": " -= ",
    " -= ": " += ",
    " < ": " > ",
    " > ": " < ",
    " <= ": " >= ",
    " >= ": " <= ",
}
LEFT_ALONE = re.compile(
    r"^\s*(#|//|template|using|static_assert|static constexpr (?!FG)|require|for \(|return \{\"|Field<)"
)


def end_of_term(code, begin):
    """Where the term that begins there ends: before the next sum, comma or closing bracket."""
    depth = 0
    for at in range(begin, len(code)):
        if code[at] in "([{":
            depth += 1
        elif code[at] in ")]}":
            depth -= 1
        if depth < 0 or (depth == 0 and (code[at] in ",;" or re.match(r" (?:[-+?:|&=<>]|[-+<>]=) ", code[at:]))):
            return at
    return len(code)


def changes_of(code):
    """(column, kind, changed line) of a line without its comment."""
    for operator, other in FLIPS.items():
        for found in re.finditer(re.escape(operator), code):
            at, end = found.span()
            yield at, f"{operator.strip()} to {other.strip()}", code[:at] + other + code[end:]
            if operator in (" + ", " - ") and code[end : end_of_term(code, end)].strip():
                yield at, f"no {operator.strip()} term", code[:at] + code[end_of_term(code, end) :]
    for found in re.finditer(r"(?<=[(,{=] )-(?=[A-Za-z(])|(?<=[({])-(?=[A-Za-z(])|(?<=return )-(?=[A-Za-z(])", code):
        yield found.start(), "no minus", code[: found.start()] + code[found.end() :]


def mutants_of(part, text):
    """All mutants of a file: of statements, not of declarations, texts or the heads of loops."""
    lines, found = text.splitlines(), []
    for number, line in enumerate(lines):
        if LEFT_ALONE.match(line) or '"' in line:
            continue
        code = re.split(r"\s*//", line, maxsplit=1)[0]
        for column, kind, changed in sorted(changes_of(code)):
            found.append(Mutant(part, number + 1, column, kind, line, changed))
    return found


def some(mutants, most):
    """Spread evenly."""
    if not most or len(mutants) <= most:
        return mutants
    return [mutants[round(k * (len(mutants) - 1) / (most - 1))] for k in range(most)]


def all_mutants(wanted, each):
    parts = sorted((ROOT / "cpp" / "parts").glob("*/*.hpp"))
    for path in parts:
        part = f"{path.parent.name}/{path.stem}"
        if path.parent.name in ROOMS and (not wanted or part in wanted or path.parent.name in wanted):
            most = EACH.get(path.parent.name, FEW) if each is None else each
            yield from some(mutants_of(part, path.read_text()), most)


# ---- which tests ----


def layers_in(kinds):
    """The names of all layers in the examples of some kinds, which a network before and behind belongs to."""

    def walk(layers):
        for layer in layers:
            yield type(layer).__name__
            yield from walk(getattr(layer, "layers", ()))

    examples = [stack for kind, known in KINDS.items() if kind.__name__ in kinds for stack, _ in known.examples]
    return {"Dense", *(name for stack in examples for name in walk(stack))}


def tested_by(mutant):
    """The kinds of layers whose examples test it; empty: it is tested by itself."""
    if mutant.room in ("loss", "rule", "activation"):
        return ()
    return TESTED_BY.get(mutant.part, tuple(kind.__name__ for kind in KINDS))


def alone(mutant):
    """Whether it changes what tests of others run, too."""
    name = mutant.part.partition("/")[2]
    if mutant.room in ("cell", "layer"):
        return mutant.part not in TESTED_BY or name == "dense"
    return name in ("activation", "point", "tick")


def meet(one, other):
    """Whether a test of the one runs code of the other."""
    if one.part == other.part or alone(one) or alone(other):
        return True
    mine, theirs = tested_by(one), tested_by(other)
    if bool(mine) != bool(theirs):
        return True  # layers train with rules, losses and activations
    return bool(set(mine) & layers_in(theirs) or set(theirs) & layers_in(mine))


def batches_of(mutants):
    """Mutants that can be built together."""
    batches = []
    for mutant in mutants:
        for batch in batches:
            if not any(meet(mutant, other) for other in batch):
                batch.append(mutant)
                break
        else:
            batches.append([mutant])
    return batches


def names_of(mutant):
    """A pattern for the tests of a part that is tested by itself, by what they are called."""
    name = mutant.part.partition("/")[2]
    if mutant.room == "activation":
        return rf"\[(?:.*-)?{name}[-\]]"
    if mutant.room == "loss":
        return rf"\[{name.title().replace('_', '')}\(|\[{name}-"
    kinds = [kind.__name__ for kind in map(type, map(optimizers.get, optimizers.names())) if kind().rule[0] == name]
    return "|".join(rf"[\[-]{kind}[(-]" for kind in dict.fromkeys(kinds))


BY_THEMSELVES = {
    "loss": "tests/losses/test_losses.py",
    "activation": "tests/layers/test_activations.py",
    "rule": "tests/optimizers/test_steps.py",
}


# ---- building and running ----


class Workshop:
    """A copy of the core that is built with mutants in it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        names = ("source", "build", "python", "clean")
        self.source, self.build, self.python, self.clean = (self.folder / name for name in names)
        self.always = set()  # tests that fail without mutants, too
        for name in ("cpp", "CMakeLists.txt"):
            self.copy(ROOT / name, self.source / name)
        for place in (self.python, self.clean):
            shutil.copytree(ROOT / "python" / "fusedgrad", place / "fusedgrad", dirs_exist_ok=True)
        if not (self.build / "build.ninja").exists():
            found = subprocess.check_output([sys.executable, "-m", "pybind11", "--cmakedir"], text=True).strip()
            options = ["-DCMAKE_BUILD_TYPE=Quick", "-DCMAKE_CXX_FLAGS=-O1 -DNDEBUG", f"-DFUSEDGRAD_ISAS={best()}"]
            options += [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={found}"]
            self.run("cmake", "-S", self.source, "-B", self.build, "-G", "Ninja", *options)
        self.make([])
        for module in self.build.glob("*.so"):
            shutil.copy(module, self.clean / "fusedgrad" / module.name)

    def run(self, *command):
        return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)

    def copy(self, source, target):
        """What has changed, so that nothing else is built again."""
        if source.is_dir():
            for inner in source.iterdir():
                self.copy(inner, target / inner.name)
        elif not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())

    def make(self, mutants):
        """Build with these mutants; return those that do not compile, which are left out."""
        self.copy(ROOT / "cpp", self.source / "cpp")
        for mutant in mutants:
            path = self.source / "cpp" / "parts" / f"{mutant.part}.hpp"
            lines = path.read_text().splitlines(keepends=True)
            lines[mutant.line - 1] = mutant.after + "\n"
            path.write_text("".join(lines))
        done = subprocess.run(["ninja", "-k0", "-C", str(self.build)], capture_output=True, text=True)
        if done.returncode:
            wrong = {m for m in mutants if re.search(rf"parts/{m.part}\.hpp:\d+:.*error", done.stdout)} or set(mutants)
            if not mutants:
                raise RuntimeError(done.stdout[-3000:])
            return wrong | self.make([m for m in mutants if m not in wrong])
        for module in self.build.glob("*.so"):
            shutil.copy(module, self.python / "fusedgrad" / module.name)
        return set()

    def failures(self, tests, *options):
        """The tests that fail, but for those that fail without mutants; a crash or a test without end counts, too."""
        while True:
            failed = self.outcome(self.python, tests, *options, *(f"--deselect={test}" for test in self.always))
            named = [test for test in failed if "::" in test]
            known = set(named) & set(self.outcome(self.clean, named)) if named else set()
            self.always |= known
            if not known or set(failed) - known:
                return [test for test in failed if test not in known]

    def outcome(self, package, tests, *options):
        """The tests that fail with a package."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=0", "--tb=no", "-rfE"]
        command += [*options, *tests]
        environment = {**os.environ, "PYTHONPATH": str(package)}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS)),
        )
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+?(?:\[.*?\])?)(?: - .*)?$", done.stdout, re.MULTILINE)
        if done.returncode not in (0, 1, 5):  # 5: no test is left
            return [*failed, f"exit status {done.returncode}"]
        return failed


def best():
    """The best instruction set of this machine."""
    from fusedgrad import _core

    return _core.build()["isa"]


def judged(workshop, batch):
    """(mutant, the test that sees it, or None), for mutants that are in the build together."""
    first = [m for m in batch if not tested_by(m)]
    for room in sorted({m.room for m in first}):
        failed = workshop.failures([BY_THEMSELVES[room]])
        for mutant in first:
            if mutant.room == room:
                seen = [test for test in failed if alone(mutant) or re.search(names_of(mutant), test)]
                yield mutant, seen[0] if seen else None
    for mutant in batch:
        if tested_by(mutant):
            chosen = " or ".join(f"{kind}-[" for kind in tested_by(mutant))
            failed = workshop.failures(["tests/layers/test_contract.py"], "-x", "-k", chosen)
            yield mutant, failed[0] if failed else None


# ---- the run ----


class Results:
    """What became of each mutant, in a file of the folder; files of folders within it are read, too."""

    def __init__(self, folder):
        self.path = Path(folder) / "results.json"
        self.own = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.known = {}
        for path in sorted(Path(folder).rglob("results.json")):
            self.known |= json.loads(path.read_text())

    def put(self, mutant, result):
        self.known[mutant.key] = self.own[mutant.key] = result
        self.path.write_text(json.dumps(self.own, indent=1))
        print(f"{time.strftime('%H:%M:%S')} {result[:100]:100} {mutant.key}", flush=True)

    def summary(self, mutants):
        survived = []
        counts = dict.fromkeys(("killed", "survived", "equivalent", "does not compile", "not tried"), 0)
        for mutant in mutants:
            result = self.known.get(mutant.key, "not tried").partition(":")[0]
            if result == "survived":
                result = "equivalent" if mutant.equivalent else "survived"
                survived.append(mutant)
            counts[result] += 1
        for mutant in survived:
            print(mutant, *[f"    {mutant.equivalent}"] * bool(mutant.equivalent), sep="\n")
        print(", ".join(f"{count} {name}" for name, count in counts.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help="rooms, or room/name")
    parser.add_argument("--folder", default="build/mutations", help="where to build")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="when to stop")
    parser.add_argument("--turn", default="0/1", metavar="K/N", help="only every N-th build, from the K-th (0, 1, ...)")
    parser.add_argument("--each", type=int, help="mutants of a file at most; 0: all")
    parser.add_argument("--list", action="store_true", help="show the mutants, and what is known of them")
    given = parser.parse_args()
    mutants = list(all_mutants(given.parts, given.each))
    results = Results(given.folder)
    if given.list:
        for mutant in mutants:
            print(mutant, f"    {results.known.get(mutant.key, 'not tried')}", sep="\n")
        results.summary(mutants)
        return
    workshop, end = Workshop(Path(given.folder).absolute()), time.monotonic() + 60 * given.minutes
    turn, processes = map(int, given.turn.split("/"))
    for batch in batches_of([m for m in mutants if m.key not in results.known])[turn::processes]:
        if time.monotonic() > end:
            break
        for mutant in workshop.make(batch):
            results.put(mutant, "does not compile")
        left = []
        for mutant, seen in judged(workshop, [m for m in batch if m.key not in results.known]):
            if seen:
                results.put(mutant, f"killed: {seen}")
            else:
                left.append(mutant)
        for mutant in left:
            workshop.make([mutant])
            seen = workshop.failures(OF_ROOM[mutant.room], "-x")
            results.put(mutant, f"killed: {seen[0]}" if seen else "survived")
    results.summary(mutants)


if __name__ == "__main__":
    main()
