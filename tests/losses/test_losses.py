"""Every loss of the catalog equals its reference, and its slope is the derivative of its value."""

import inspect
import pickle
import re

import numpy as np
import pytest
from fusedgrad import losses

from ..reference.losses import KINKS, LOSSES, ROWS, coded

VARIANTS = [losses.get(name, **fields) for name, known in ROWS.items() for fields in known.fields]
every_loss = pytest.mark.parametrize("loss", VARIANTS, ids=repr)


def points(loss):
    """(target, prediction) pairs: random, extreme, at the kinks and next to them."""
    rng = np.random.default_rng(0)
    for y in dict.fromkeys(coded(loss.name, np.array([1.0, -1.0, 0.0, 2.75, -1e3])).tolist()):
        kinks = np.array(KINKS[loss.name](y, **loss.fields))
        ps = [rng.normal(0, 3, 50), y + rng.normal(0, 1, 50), [0.0, 700.0, -700.0, 1e4, -1e4]]
        ps += [kinks, np.nextafter(kinks, np.inf), np.nextafter(kinks, -np.inf)]
        for p in np.concatenate(ps):
            yield y, float(p)


def at_kink(loss, y, p, within):
    return any(abs(p - kink) <= within for kink in KINKS[loss.name](y, **loss.fields))


def test_every_loss_has_a_reference():
    assert set(losses.names()) == set(ROWS)
    for name, known in ROWS.items():
        assert not known.classifies or losses.get(name).negative == coded(name, np.array(-1.0))
        assert [set(fields) for fields in known.fields] == [set(losses.get(name).fields)] * len(known.fields)
        assert len(known.fields) > 1 or not losses.get(name).fields
        assert (known.least is None) == (losses.get(name).curvature < np.inf)


@every_loss
def test_value_equals_reference(loss):
    y, p = np.array(list(points(loss))).T
    expected, _ = LOSSES[loss.name](y, p, **loss.fields)
    # e^-700 is far below the absolute tolerance of any test but a relative one
    np.testing.assert_allclose(loss.value(y, p), expected, rtol=1e-13, atol=1e-307)


@every_loss
def test_slope_equals_reference(loss):
    for y, p in points(loss):
        # the last bits of y and epsilon decide on which side of the kink such a point is
        if not at_kink(loss, y, p, within=1e-12 * max(1, abs(y))):
            _, expected = LOSSES[loss.name](y, p, **loss.fields)
            np.testing.assert_allclose(loss.slope(y, p), expected, rtol=1e-13, atol=1e-307, err_msg=f"y={y}, p={p}")


@every_loss
def test_slope_is_the_derivative_of_the_value(loss):
    h = 1e-6
    checked = 0
    for y, p in points(loss):
        if abs(p) > 30 or abs(y) > 30 or at_kink(loss, y, p, within=2 * h):
            continue
        checked += 1
        difference = (loss.value(y, p + h) - loss.value(y, p - h)) / (2 * h)
        np.testing.assert_allclose(loss.slope(y, p), difference, rtol=1e-6, atol=1e-8, err_msg=f"y={y}, p={p}")
    assert checked > 100


def test_the_exponential_of_poisson_is_cut():
    loss = losses.get("poisson")
    np.testing.assert_allclose(loss.slope(0.0, [-1e4, 1e4]), np.exp([-708, 708]), rtol=1e-13)
    np.testing.assert_allclose(loss.value(2.0, [-1e4]), 2e4)


@pytest.mark.parametrize("loss", [losses.get(name) for name in losses.names()], ids=repr)
def test_curvature_is_the_largest_second_difference(loss):
    h = 1e-3
    largest = 0.0
    for y, p in points(loss):
        if abs(p) > 30 or abs(y) > 30 or (loss.curvature == 0 and at_kink(loss, y, p, within=2 * h)):
            continue
        below, here, above = loss.value(y, np.array([p - h, p, p + h]))
        largest = max(largest, (above - 2 * here + below) / h**2)
    if loss.curvature == np.inf:
        assert largest > 1e3
    else:
        np.testing.assert_allclose(largest, loss.curvature, rtol=1e-2, atol=1e-7)


@every_loss
def test_targets_and_predictions_broadcast(loss):
    y = np.array([[1.0], [loss.negative]])
    p = np.linspace(-2, 2, 7)
    values, slopes = loss.value(y, p), loss.slope(y, p)
    assert values.shape == slopes.shape == (2, 7)
    assert values[1, 3] == loss.value(loss.negative, 0.0)
    assert loss.value(1.0, 0.5).shape == ()
    assert loss.value([], []).shape == (0,)
    # every other column: the memory is not contiguous
    np.testing.assert_array_equal(loss.value(1.0, np.repeat(p, 2)[::2]), values[0])


def test_unknown_name_is_an_error_that_lists_the_losses():
    with pytest.raises(ValueError, match="'hing'.*hinge.*log_loss"):
        losses.get("hing")


def test_unknown_class_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Hing.*Hinge"):
        losses.Hing  # noqa: B018


def test_unknown_hyper_parameter_is_an_error():
    with pytest.raises(TypeError, match="Hinge.*'epsilon'.*none"):
        losses.get("hinge", epsilon=1.0)
    with pytest.raises(TypeError, match="Huber.*'delta'.*epsilon"):
        losses.get("huber", delta=1.0)


@pytest.mark.parametrize("epsilon", [-0.1, -np.inf, np.inf, np.nan])
def test_hyper_parameter_out_of_range_is_an_error(epsilon):
    with pytest.raises(ValueError, match=f"epsilon of Huber.*0.*{epsilon}"):
        losses.get("huber", epsilon=epsilon)


@pytest.mark.parametrize("quantile", [-0.1, 0.0, 1.0, 1.5, np.nan])
def test_the_ends_of_an_open_range_are_not_allowed(quantile):
    with pytest.raises(ValueError, match=rf"quantile of Quantile.*\(0\.0, 1\.0\).*{quantile}"):
        losses.get("quantile", quantile=quantile)


@every_loss
def test_repr_rebuilds_the_loss(loss):
    assert eval(repr(loss), vars(losses)) == loss


@every_loss
def test_equality_hash_and_pickle(loss):
    copy = pickle.loads(pickle.dumps(loss))
    assert copy == loss and hash(copy) == hash(loss)
    assert copy != losses.get("hinge" if loss.name != "hinge" else "perceptron")
    assert loss != loss.name
    for field, value in loss.fields.items():
        assert loss != losses.get(loss.name, **{**loss.fields, field: value / 2 + 0.01})


@pytest.mark.parametrize("name", losses.names())
def test_documentation(name):
    kind = type(losses.get(name))
    assert kind.__name__ == name.title().replace("_", "")
    assert getattr(losses, kind.__name__) is kind and kind.__name__ in losses.__all__
    assert kind.__module__ == "fusedgrad.losses"
    doc = inspect.getdoc(kind)
    assert len(doc.splitlines()[0]) > 10
    for field, default in losses.get(name).fields.items():
        assert re.search(
            rf"^{field} : float in [\[(][-\d.inf]+, [-\d.inf]+[\])], default={default}$", doc, re.MULTILINE
        )


@pytest.mark.parametrize("name, edge", [(name, edge) for name, known in ROWS.items() for edge in known.edges])
def test_slope_at_a_kink_is_the_documented_side(name, edge):
    """Where y, p and the kink are exact."""
    y, p, slope, fields = edge
    assert losses.get(name, **fields).slope(y, p) == slope == LOSSES[name](y, p, **fields)[1]


def test_every_kink_has_an_edge():
    for name, known in ROWS.items():
        for fields in known.fields[-1:]:
            assert bool(known.edges) == bool(known.kinks(1.0, **fields)), name
