"""What tests of checkpoints share."""

from .streams.test_fits import assert_same_bits

HISTORIES = (
    "loss_curve_",
    "validation_scores_",
    "n_iter_",
    "t_",
    "stop_reason_",
    "gap_curve_",
    "gap_kind_",
    "optimality_gap_",
    "passes_",
)


def assert_same_fit(found, expected):
    assert_same_bits(found, expected)
    for name in HISTORIES:
        if hasattr(expected, name):
            assert getattr(found, name) == getattr(expected, name), name
