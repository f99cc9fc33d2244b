"""Fewer cases than all combinations of parameters: any two values of two parameters meet in one of them."""

from itertools import combinations


def pairs(*axes):
    """Rows of a value from each axis, for `parametrize`.

    Each begins with two values that have not met, and takes of every other axis the value that meets most for the
    first time.
    """
    axes = [list(axis) for axis in axes]
    lengths = [len(axis) for axis in axes]
    missing = dict.fromkeys(  # in this order, so that rows are the same each time
        frozenset({(i, a), (j, b)})
        for i, j in combinations(range(len(axes)), 2)
        for a in range(lengths[i])
        for b in range(lengths[j])
    )
    rows = []
    while missing:
        row = dict(next(iter(missing)))
        for axis in range(len(axes)):
            if axis not in row:
                new = [sum(frozenset({(axis, a), one}) in missing for one in row.items()) for a in range(lengths[axis])]
                row[axis] = new.index(max(new))
        for pair in combinations(row.items(), 2):
            missing.pop(frozenset(pair), None)
        rows.append(tuple(axis[row[k]] for k, axis in enumerate(axes)))
    return rows
