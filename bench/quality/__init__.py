"""The race to quality: seconds until the objective is within 0.1 % of its optimum. Run ``python -m bench.quality``."""
