"""The example scripts run from any folder, learn, and draw what they say."""

import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from .child import python

EXAMPLES = Path(__file__).parents[1] / "examples"
RUN = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
SAID = re.compile(r"mean squared error (\S+) in epoch 1, (\S+) in epoch 5,000; [\d.]+ s\n")
ACCURACY = re.compile(r"test accuracy ([\d.]+)")
GRID = re.compile(r"600 models in [\d.]+ s; best: alpha=(\S+), eta0=(\S+), log loss ([\d.]+), ")
WAVE = re.compile(r"wave: forecasts are ([\d.]+) off \(RMS\)")


def run(folder, script, *given, **environment):
    """Run an example in a folder; return what it printed."""
    if not EXAMPLES.exists():
        pytest.skip("the tests run outside the repository, without its examples")
    pytest.importorskip("matplotlib")
    process = python(f"import os; os.chdir({str(folder)!r}); {RUN}", str(EXAMPLES / script), *given, **environment)
    assert process.returncode == 0, process.stderr
    return process.stdout


def twice(folder, script, *given, **environment):
    """What two runs at once printed, one without a path and one with."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run, folder, script, *given, *path, **environment) for path in ([], ["own.png"])]
        return [each.result() for each in runs]


def written(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of two runs, and what each printed."""
    folder = tmp_path_factory.mktemp("examples")
    return folder, twice(folder, "seed_network.py")


def test_the_seed_network_learns_the_same_each_time(runs):
    _, (one, other) = runs
    first, last = map(float, SAID.fullmatch(one).groups())
    assert 0 < last < first / 100
    assert SAID.fullmatch(other).groups() == SAID.fullmatch(one).groups()


def test_the_seed_network_draws_its_loss_where_it_is_told(runs):
    folder, _ = runs
    assert written(folder) == {"examples/seed_network.png", "own.png"}
    from matplotlib import pyplot as plt

    for name in written(folder):
        pixels = plt.imread(folder / name)[..., :3]
        red, green, blue = (pixels[..., channel] for channel in range(3))
        assert ((blue > green) & (green > red + 0.1)).mean() > 0.001  # the losses
        assert (red > green + 0.3).mean() > 0.001  # the smoothed ones


@pytest.fixture(scope="module", params=["digits_cnn", "grid_of_models", "sequences_gru"])
def quick(request, tmp_path_factory):
    """A short example's name, the folder of its two runs on scikit-learn's data, and what each printed."""
    folder = tmp_path_factory.mktemp(request.param)
    nowhere = {"FUSEDGRAD_DATA": str(folder / "nowhere")}
    return request.param, folder, twice(folder, f"{request.param}.py", "--quick", **nowhere)


def test_short_examples_learn_the_same_each_time(quick):
    name, _, printed = quick
    one, other = (ACCURACY.findall(said) + WAVE.findall(said) for said in printed)
    assert one == other
    assert float(one[0]) > 0.7  # guessing gets 0.1
    if name == "grid_of_models":
        (alpha, rate, loss), other_best = (GRID.match(said).groups() for said in printed)
        assert (alpha, rate, loss) == other_best
        assert 1e-5 < float(alpha) < 0.1
        assert float(loss) < 0.1  # guessing gets 0.66
    if name == "sequences_gru":
        assert float(one[1]) < 0.4  # a forecast of zeros gets 0.8


def test_short_examples_draw_where_they_are_told(quick):
    name, folder, _ = quick
    assert written(folder) == {f"examples/{name}.png", "own.png"}
    from matplotlib import pyplot as plt

    for path in written(folder):
        pixels = plt.imread(folder / path)[..., :3]
        red, green, blue = (pixels[..., channel] for channel in range(3))
        assert (red > blue + 0.3).mean() > 0.001
        assert (blue > red + 0.2).mean() > 0.001
        assert ((red == green) & (green == blue) & (red < 0.2)).mean() > 0.001  # words


@pytest.mark.parametrize("name", ["digits_cnn", "sequences_gru"])
def test_short_examples_read_mnist_where_it_is(tmp_path, name):
    """Images of one grey each, darker for larger digits, in the files that MNIST comes in."""
    labels = np.arange(1500, dtype=np.uint8) * 7 % 10
    images = np.repeat(25 * labels, 784)
    for kind, start, values in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
        packed = gzip.compress(bytes(start) + values.tobytes())
        (tmp_path / f"mnist10k-{kind}-ubyte.gz").write_bytes(packed)
    said = run(tmp_path, f"{name}.py", "--quick", "own.png", FUSEDGRAD_DATA=str(tmp_path))
    assert float(ACCURACY.search(said)[1]) > 0.5
    if name == "digits_cnn":
        assert "(28, 28, 1)" in said
