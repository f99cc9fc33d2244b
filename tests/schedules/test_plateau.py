"""ReduceOnPlateau, whose rates follow from values: the reference, and its own state."""

import math
import pickle

from fusedgrad.schedules import (
    PlateauState,
    ReduceOnPlateau,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ..reference.schedules import ROWS, plateau_rates


def rates_after(plateau, values):
    state, rates = plateau.start(), []
    assert state.rate == plateau.rate
    for value in values:
        state = plateau.update(state, value)
        rates.append(state.rate)
    return rates


# few values, so that ties and returns to old values are common; the thresholds above are exact on them
WATCHED = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.125, 2.0, math.nan, math.inf]), max_size=40)


@settings(max_examples=300)
@given(chosen=ROWS[ReduceOnPlateau].draw, values=WATCHED)
def test_plateau_equals_reference(chosen, values):
    assert rates_after(ReduceOnPlateau(**chosen), values) == plateau_rates(values, **chosen)


@given(chosen=ROWS[ReduceOnPlateau].draw, values=st.lists(st.floats(), max_size=40))
def test_plateau_rates_only_fall(chosen, values):
    plateau = ReduceOnPlateau(**chosen)
    rates = rates_after(plateau, values)
    assert rates == sorted(rates, reverse=True)
    assert all(plateau.min_rate <= rate <= plateau.rate for rate in rates)
    assert plateau == ReduceOnPlateau(**chosen)


@given(chosen=ROWS[ReduceOnPlateau].draw, values=WATCHED)
def test_plateau_goes_on_from_a_pickled_state(chosen, values):
    plateau, state = ReduceOnPlateau(**chosen), ReduceOnPlateau(**chosen).start()
    for value in values:
        before = tuple(state)
        after = plateau.update(state, value)
        assert tuple(state) == before
        state = pickle.loads(pickle.dumps(after))
        assert state == after
    assert [state.rate] == (rates_after(plateau, values) or [plateau.rate])[-1:]


def test_plateau_counts_patience_and_cooldown():
    plateau = ReduceOnPlateau(1.0, factor=0.5, patience=1, cooldown=2)
    assert plateau.start() == PlateauState(rate=1.0, best=math.inf, waited=0, resting=0)
    #                     best, waits, reduces, rests, rests, waits, reduces
    assert rates_after(plateau, [1] * 7) == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_plateau_makes_no_change_that_is_next_to_none():
    assert rates_after(ReduceOnPlateau(1e-8, factor=0.5, patience=0), [1, 1, 1]) == [1e-8] * 3
    assert rates_after(ReduceOnPlateau(1.0, factor=0.5, patience=0, min_rate=0.4), [1, 1, 1]) == [1.0, 0.5, 0.4]
