"""The compiled core, with the kernels of the instruction set in use (see ``_isa``); typed in ``_core.pyi``."""

from ._bindings import (
    MiniBatch as MiniBatch,
    Network as Network,
    NetworkTraining as NetworkTraining,
    Session as Session,
    Stepper as Stepper,
    activation_catalog as activation_catalog,
    activation_points as activation_points,
    all_finite as all_finite,
    build as build,
    largest_eigenvalue as largest_eigenvalue,
    loss_catalog as loss_catalog,
    loss_points as loss_points,
    max_threads as max_threads,
    openmp_threads as openmp_threads,
    outputs_width as outputs_width,
    product as product,
    row_order as row_order,
    rule_catalog as rule_catalog,
    rule_slots as rule_slots,
    score_margins as score_margins,
    set_team_policy as set_team_policy,
    set_usable_threads as set_usable_threads,
    team_policy as team_policy,
)
from ._isa import load

load()
