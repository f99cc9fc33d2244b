"""What torch's solvers share. torch is optional: without it they do not run."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp

from bench.quality.task import Task

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

VERSION = "missing" if torch is None else torch.__version__


def why_not(task: Task) -> str | None:
    """Return why torch cannot run, or None."""
    if torch is None:
        return "torch is not installed"
    return "no absolute values" if task.l1 else None


def tensor(X: Any) -> Any:
    """Return the tensor of an array, which shares its memory, or of a CSR array."""
    if not sp.issparse(X):
        return torch.from_numpy(X)
    parts = (torch.from_numpy(part) for part in (X.indptr, X.indices, X.data))
    return torch.sparse_csr_tensor(*parts, size=X.shape, check_invariants=False)


def transposed(X: Any) -> Any:
    """Return the tensor of X'; of sparse X in CSR form, whose products are far faster than those of CSC."""
    return tensor(X.T.tocsr()) if sp.issparse(X) else tensor(X).T


def slopes(task: Task, z: Any) -> Any:
    """Return predictions of scores, in their memory."""
    if task.loss == "multinomial":
        return torch.softmax(z, dim=1)
    return torch.sigmoid_(z) if task.loss == "log_loss" else z


def losses(task: Task, z: Any, y: Any) -> Any:
    """Return the mean loss of scores."""
    if task.loss == "multinomial":
        return -(torch.log_softmax(z, dim=1) * y).sum() / len(y)
    if task.loss == "log_loss":
        return torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(y)
    return 0.5 * (z - y).square().mean()
