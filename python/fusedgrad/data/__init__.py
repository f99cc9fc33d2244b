"""Sources of rows: data that are read block by block, because they do not fit into memory."""

from ._array import Array
from ._array import digest as digest
from ._arrow import Arrow
from ._batches import Batches
from ._block import Block as Block
from ._block import Group as Group
from ._block import concatenate as concatenate
from ._csv import CSV
from ._frames import source_of as source_of
from ._maps import fetch as fetch
from ._npy import Npy
from ._parquet import Parquet
from ._progressive import ProgressiveScores, progressive_validation
from ._reader import Reader as Reader
from ._source import Source
from ._svmlight import SVMLight

__all__ = [
    "CSV",
    "Array",
    "Arrow",
    "Batches",
    "Npy",
    "Parquet",
    "ProgressiveScores",
    "SVMLight",
    "Source",
    "progressive_validation",
]
