"""Between the estimators and the core: what a fit is made of, when it stops, and the loops that train."""
