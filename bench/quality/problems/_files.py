"""Where real data are: the folder of FUSEDGRAD_DATA, else ``../shared/data`` beside the repository."""

from __future__ import annotations

import gzip
import os
from pathlib import Path


def read(name: str) -> bytes:
    """Return the content of a gzip file of the data folder."""
    folder = Path(os.environ.get("FUSEDGRAD_DATA", Path(__file__).parents[4] / "shared" / "data"))
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"no {name}; FUSEDGRAD_DATA names the folder that it is looked for in")
    return gzip.decompress(path.read_bytes())
