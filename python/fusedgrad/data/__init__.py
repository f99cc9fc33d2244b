"""Sources of rows: data that are read block by block, because they do not fit into memory."""

from ._array import Array
from ._batches import Batches
from ._block import Block as Block
from ._block import Group as Group
from ._block import concatenate as concatenate
from ._frames import source_of as source_of
from ._npy import Npy
from ._reader import Reader as Reader
from ._source import Source

__all__ = ["Array", "Batches", "Npy", "Source"]
