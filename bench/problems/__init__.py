"""One problem a file: NAME, GROUP (one of GROUPS) and ``cases(scale)``, which yields cases of that size."""

GROUPS = (
    "One sample a step",
    "Mini-batches",
    "One row",
    "Optimizer steps",
    "Networks",
    "Grids of models",
)
