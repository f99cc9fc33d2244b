"""Linear models by passes over all rows: `optimizer="auto"`, which needs no tuning and says how far it is from the end.

`solver` decides where to go; `passes` are what it sees of the data, `preconditioners` what it knows of the curvature,
`certificate` what it can say of the optimum; `fit` is a fit as the estimators know it.
"""
