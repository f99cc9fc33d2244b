"""Sparse rows of more columns than rows, on which solvers begin by dual coordinate ascent."""

import numpy as np
import scipy.sparse as sp


def text(n=1500, d=4000):
    """Rows of about 30 of many columns by Zipf's law, of unit norm; what a line says of them, and noise."""
    rng = np.random.default_rng(0)
    frequencies = (np.arange(d) + 10.0) ** -1.05
    columns = rng.choice(d, p=frequencies / frequencies.sum(), size=(n, 30))
    X = sp.csr_array((np.ones(columns.size), columns.ravel(), np.arange(0, columns.size + 1, 30)), (n, d))
    X.sum_duplicates()
    X.data *= np.log(n / np.bincount(X.indices, minlength=d).clip(1))[X.indices]
    X = sp.csr_array(sp.diags_array(1 / np.sqrt(X.multiply(X).sum(axis=1))) @ X)
    return X, X @ rng.normal(size=d) + 0.1 * rng.normal(size=n)
