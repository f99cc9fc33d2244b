"""How a formula gets into the table of its kind, and what tests of its rows are called."""

import re


def named(part):
    """Its representation without addresses, which differ between processes."""
    return re.sub(r" at 0x\w+", "", repr(part))


class Table(dict):
    """Rows by key, that says where a row is missing."""

    def __init__(self, where, rows=()):
        super().__init__(rows)
        self.where = where

    def __missing__(self, key):
        raise KeyError(f"{getattr(key, '__name__', key)} has no row yet: add it to {self.where}")


def into(rows, Row):
    """Return a decorator that puts a formula into the table, with what is known of it.

    ``@row(**known)`` puts it under its name, ``@row(key, **known)`` under a key, which the row then begins with.
    """

    def row(*key, **known):
        def put(formula):
            rows[key[0] if key else formula.__name__] = Row(*key, formula, **known)
            return formula

        return put

    return row
