"""The slow, obvious versions: float64 NumPy, written from the formulas. They are the judges of the compiled core."""
