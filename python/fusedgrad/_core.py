"""The compiled core of the instruction set in use (see ``_isa``); typed in ``_core.pyi``."""

from ._isa import load

_module = load()

Session = _module.Session
all_finite = _module.all_finite
build = _module.build
loss_catalog = _module.loss_catalog
loss_points = _module.loss_points
max_threads = _module.max_threads
