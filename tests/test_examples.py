"""The example scripts run from any folder, learn, and draw what they say."""

import re
from pathlib import Path

import pytest

from .child import python

SCRIPT = Path(__file__).parents[1] / "examples" / "seed_network.py"
RUN = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
SAID = re.compile(r"mean squared error (\S+) in epoch 1, (\S+) in epoch 5,000; [\d.]+ s\n")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of two runs, one with a path and one without, and what each printed."""
    if not SCRIPT.exists():
        pytest.skip("the tests run outside the repository, without its examples")
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("examples")
    done = [python(f"import os; os.chdir({str(folder)!r}); {RUN}", str(SCRIPT), *given) for given in ([], ["own.png"])]
    for process in done:
        assert process.returncode == 0, process.stderr
    return folder, [process.stdout for process in done]


def test_the_seed_network_learns_the_same_each_time(runs):
    _, (one, other) = runs
    first, last = map(float, SAID.fullmatch(one).groups())
    assert 0 < last < first / 100
    assert SAID.fullmatch(other).groups() == SAID.fullmatch(one).groups()


def test_the_seed_network_draws_its_loss_where_it_is_told(runs):
    folder, _ = runs
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {"examples/seed_network.png", "own.png"}
    from matplotlib import pyplot as plt

    for name in written:
        pixels = plt.imread(folder / name)[..., :3]
        red, green, blue = (pixels[..., channel] for channel in range(3))
        assert ((blue > green) & (green > red + 0.1)).mean() > 0.001  # the losses
        assert (red > green + 0.3).mean() > 0.001  # the smoothed ones
