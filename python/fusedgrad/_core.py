"""The compiled core of the instruction set in use (see ``_isa``); typed in ``_core.pyi``."""

from ._isa import load

_module = load()

MiniBatch = _module.MiniBatch
Network = _module.Network
NetworkTraining = _module.NetworkTraining
Session = _module.Session
Stepper = _module.Stepper
activation_catalog = _module.activation_catalog
activation_points = _module.activation_points
all_finite = _module.all_finite
build = _module.build
largest_eigenvalue = _module.largest_eigenvalue
loss_catalog = _module.loss_catalog
loss_points = _module.loss_points
max_threads = _module.max_threads
openmp_threads = _module.openmp_threads
outputs_width = _module.outputs_width
product = _module.product
row_order = _module.row_order
rule_catalog = _module.rule_catalog
rule_slots = _module.rule_slots
score_margins = _module.score_margins
set_team_policy = _module.set_team_policy
set_usable_threads = _module.set_usable_threads
team_policy = _module.team_policy
