"""The slow, obvious versions: float64 NumPy, written from the formulas. They are the judges of the compiled core.

Each module has a table of what tests loop over: a loss, an activation, a rule, a class of optimizers, a schedule, a
kind of layer is a row, with its reference, examples, and the kinds of tests in which it cannot take part, and why. A
part of the library without a row is a red test.
"""

from . import activations, layers, losses, rules, schedules

__all__ = ["activations", "layers", "losses", "rules", "schedules"]
