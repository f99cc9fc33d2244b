"""The compiled core, with the kernels of the instruction set in use (see ``_isa``); typed in ``_core.pyi``."""

# ruff: noqa: F401
from ._bindings import (
    DualAscent,
    Factor,
    MiniBatch,
    Network,
    NetworkTraining,
    RowPass,
    Session,
    Stepper,
    activation_catalog,
    activation_points,
    all_finite,
    build,
    column_moments,
    descend,
    descend_columns,
    gram,
    largest_eigenvalue,
    loss_catalog,
    loss_points,
    max_threads,
    openmp_threads,
    outputs_width,
    product,
    row_order,
    rows_of_columns,
    rule_catalog,
    rule_slots,
    score_margins,
    set_team_policy,
    set_usable_threads,
    solve_positive,
    team_policy,
    transposed_product,
    weighted_gram,
    weighted_squares,
)
from ._isa import load

load()
