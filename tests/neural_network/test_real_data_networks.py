"""Networks on real data: as good as the peers' on MNIST, and class weights that do what they are for on Adult.

Two accuracies on the same rows are told apart as McNemar's test does it: if neither network were better, the rows that
only one of them gets right would fall to either side by the toss of a coin, so that the difference of the correct rows
has the variance of the number of those rows. What is within three standard deviations counts as noise.
"""

import inspect
from pathlib import Path

import numpy as np
import pytest
from fusedgrad import neural_network
from fusedgrad.layers import Conv2D, Dense, Flatten, MaxPool2D
from sklearn import neural_network as peers
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TRAIN, EPOCHS, BATCH, RATE = 8000, 8, 200, 1e-3
PEOPLE = 24_000  # that are trained on; the others test


def files():
    """The benchmark's way to the data."""
    if not (Path(__file__).parents[2] / "bench" / "quality").exists():
        pytest.skip("the tests run outside the repository, without its benchmark, which finds the data")
    from bench.quality.problems import _files

    return _files


@pytest.fixture(scope="module")
def mnist():
    """Pixels from 0 to 1 in float64, and digits: 8,000 rows to train on, then 2,000 to test."""
    try:
        images, labels = (files().read(f"mnist10k-{name}-ubyte.gz") for name in ("images-idx3", "labels-idx1"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784) / 255
    y = np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
    return X[:TRAIN], y[:TRAIN], X[TRAIN:], y[TRAIN:]


@pytest.fixture(scope="module")
def adult():
    """One-hot rows (CSR float64), and whether the income is above 50,000: rows to train on, then rows to test."""
    files()
    pytest.importorskip("pandas")
    from bench.quality.problems import adult

    try:
        task = adult.make(1.0)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return task.X[:PEOPLE], task.y[:PEOPLE], task.X[PEOPLE:], task.y[PEOPLE:]


def assert_as_good(ours, theirs, y):
    """Check that our predictions are right no less often than theirs, but for noise."""
    only_ours, only_theirs = ((ours == y) & (theirs != y)).sum(), ((ours != y) & (theirs == y)).sum()
    assert only_theirs - only_ours <= 3 * np.sqrt(only_ours + only_theirs), ((ours == y).mean(), (theirs == y).mean())


def fitted(estimator, *data):
    with threadpool_limits(1, user_api="blas"):
        return estimator.fit(*data)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mnist_is_learned_as_scikit_learn_learns_it(mnist, dtype):
    X, y, X_test, y_test = mnist
    X, X_test = X.astype(dtype), X_test.astype(dtype)
    settings = {"hidden_layer_sizes": (100,), "max_iter": EPOCHS, "random_state": 0}
    ours = neural_network.MLPClassifier(**settings).fit(X, y)
    theirs = fitted(peers.MLPClassifier(**settings), X, y)
    a, b = ours.predict(X_test), theirs.predict(X_test)
    accuracy = (b == y_test).mean()
    assert accuracy > 0.9
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9 if dtype == np.float64 else 1e-4)
    if dtype == np.float64:  # the same weights to rounding: rows at a boundary may fall to its other side
        assert (a != b).sum() <= 2
        assert abs((a == y_test).mean() - accuracy) <= 0.001
    else:
        assert_as_good(a, b, y_test)


@pytest.fixture(scope="module")
def torch_digits(mnist):
    """What torch predicts after the same epochs with the same sizes, rule, rate and batches."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small products are slower on more
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    X, y, X_test = (torch.tensor(a, dtype=torch.int64 if a.ndim == 1 else torch.float32) for a in mnist[:3])
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X)).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(X[rows]), y[rows]).backward()
            optimizer.step()
    torch.set_num_threads(threads)
    return net(X_test).argmax(1).numpy()


@pytest.mark.parametrize(
    "estimator",
    [
        neural_network.MLPClassifier((100,), batch_size=BATCH, max_iter=EPOCHS, random_state=0),
        neural_network.NeuralClassifier(
            [Dense(100, "relu")], learning_rate=RATE, batch_size=BATCH, max_epochs=EPOCHS, tol=None, random_state=0
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_mnist_is_learned_as_well_as_by_torch(mnist, torch_digits, estimator):
    X, y, X_test, y_test = mnist
    assert (torch_digits == y_test).mean() > 0.9
    ours = estimator.fit(X.astype(np.float32), y).predict(X_test.astype(np.float32))
    assert_as_good(ours, torch_digits, y_test)


@pytest.mark.parametrize(
    "make",
    [
        lambda weight: neural_network.MLPClassifier((32,), max_iter=EPOCHS, class_weight=weight, random_state=0),
        lambda weight: neural_network.NeuralClassifier(
            [Dense(32, "relu")], batch_size=200, max_epochs=EPOCHS, tol=None, class_weight=weight, random_state=0
        ),
    ],
    ids=["MLPClassifier", "NeuralClassifier"],
)
def test_balanced_classes_find_more_of_the_rare_one(adult, make):
    X, y, X_test, y_test = adult
    assert y.mean() < 0.3
    plain, balanced = (make(weight).fit(X, y).predict(X_test) for weight in (None, "balanced"))
    assert recall_score(y_test, balanced) > recall_score(y_test, plain) + 0.1
    assert balanced_accuracy_score(y_test, balanced) > balanced_accuracy_score(y_test, plain) + 0.02
    assert (plain == y_test).mean() > max(1 - y_test.mean(), (balanced == y_test).mean())  # what it costs


@pytest.mark.skipif(
    "sample_weight" not in inspect.signature(peers.MLPClassifier.fit).parameters,
    reason="this version of scikit-learn knows no weights of rows in networks",
)
def test_balanced_classes_are_scikit_learn_s_sample_weights(adult):
    X, y, X_test, _ = adult
    settings = {"hidden_layer_sizes": (32,), "max_iter": 3, "random_state": 0}
    ours = neural_network.MLPClassifier(**settings, class_weight="balanced").fit(X, y)
    theirs = fitted(peers.MLPClassifier(**settings), X, y, compute_sample_weight("balanced", y))
    np.testing.assert_allclose(ours.predict_proba(X_test), theirs.predict_proba(X_test), atol=1e-8)


def test_a_small_convolutional_network_reads_mnist(mnist):
    X, y, X_test, y_test = mnist
    layers = [
        *(Conv2D(16, 3, "relu", padding="same"), MaxPool2D(2)),
        *(Conv2D(32, 3, "relu", padding="same"), MaxPool2D(2)),
        *(Flatten(), Dense(64, "relu")),
    ]
    net = neural_network.NeuralClassifier(layers, input_shape=(28, 28, 1), max_epochs=10, tol=None, random_state=0)
    assert net.fit(X.astype(np.float32), y).score(X_test.astype(np.float32), y_test) >= 0.975
