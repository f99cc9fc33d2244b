"""What the tests of sources share."""

import numpy as np
import scipy.sparse as sp
from fusedgrad.data import concatenate


def same(a, b):
    """Whether two arrays have the same bits, dtype and shape; labels: the same values."""
    if a is None or b is None:
        return a is b
    if sp.issparse(a) or sp.issparse(b):
        return sp.issparse(a) and sp.issparse(b) and a.dtype == b.dtype and same(a.toarray(), b.toarray())
    if a.dtype.kind in "UO" or b.dtype.kind in "UO":
        return a.tolist() == b.tolist()
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def well_formed(block):
    X = block.X
    assert X.dtype in (np.float32, np.float64)
    if sp.issparse(X):
        assert isinstance(X, sp.csr_array)
        assert X.indices.dtype == X.indptr.dtype
    else:
        assert type(X) is np.ndarray
        assert X.flags.c_contiguous
        assert X.flags.aligned
    if block.y is not None:
        assert block.y.ndim in (1, 2)
        assert len(block.y) == len(block)
    if block.weight is not None:
        assert block.weight.dtype == np.float64
        assert block.weight.shape == (len(block),)
    return block


def check(source, X, y=None, weight=None, sizes=None):
    """A source hands over these rows: twice, by iteration and by group."""
    for _ in range(2):
        with source.open() as reader:
            blocks = [well_formed(block) for block in reader]
            whole = concatenate(blocks)
            assert same(whole.X, X)
            assert same(whole.y, y)
            assert same(whole.weight, weight)
            if sizes is not None:
                assert [len(block) for block in blocks] == sizes
            if reader.groups is None:
                continue
            assert [group.rows for group in reader.groups] == [len(block) for block in blocks]
            for k in reversed(range(len(blocks))):
                again = well_formed(reader.group(k))
                assert same(again.X, blocks[k].X)
                assert same(again.y, blocks[k].y)
                assert same(again.weight, blocks[k].weight)
