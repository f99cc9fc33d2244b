"""How the rows of a source are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._block import Block, Group
from ._convert import Alike, block_of, matrix_of

if TYPE_CHECKING:
    from typing_extensions import Self

# (X, y, weight) as the source has them, before they become a Block; y and weight may be None.
Found = tuple[Any, Any, Any]


class Reader:
    """An open source; a context manager.

    A reader has groups, and hands over any of them (`find`); or it has none, and hands over all rows in their order
    (`stream`). Whoever derives a class writes one of the two.

    Attributes
    ----------
    names : list of str, or None
        Names of the columns of X where the source has them.
    groups : list of Group, or None
        The groups of rows in the order of the source; None: they are only known by reading.
    """

    names: list[str] | None = None
    groups: list[Group] | None = None

    def __init__(self) -> None:
        self._alike = Alike()

    def find(self, k: int) -> Found:
        """The rows of a group as the source has them."""
        raise TypeError("The groups of this source are only known by reading: iterate over it.")

    def stream(self) -> Iterator[Found]:
        """All rows in their order, as the source has them, a group at a time."""
        yield from (self.find(k) for k in range(len(self.groups or ())))

    def place(self, k: int) -> str:
        """Where the rows of a group are, for messages."""
        return f"group {k}"

    def numbers(self, X: Any, k: int) -> Any:
        """X of a group that was found, as a function of the user's takes it."""
        return matrix_of(X, self.place(k))

    def convert(self, found: Found, k: int) -> Block:
        """The numbers of a group that was found."""
        return block_of(*found, self.place(k))

    def group(self, k: int) -> Block:
        """The rows of a group.

        Parameters
        ----------
        k : int
            Its number, 0 <= k < len(groups).

        Returns
        -------
        block : Block
            Any thread may ask, one at a time.
        """
        return self._alike.check(self.convert(self.find(k), k), self.place(k))

    def __iter__(self) -> Iterator[Block]:
        for k, found in enumerate(self.stream()):
            yield self._alike.check(self.convert(found, k), self.place(k))

    def close(self) -> None:
        """Let go of files and memory. Blocks that were handed over stay valid."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
