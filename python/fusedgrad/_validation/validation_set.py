"""A user's own validation rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .weights import check_weights


def check_validation(
    check: Callable[[Any, Any], tuple[Any, Any]], X_val: Any, y_val: Any, sample_weight_val: Any
) -> tuple[Any, Any, Any] | None:
    """Return a user's own validation rows, as `check` of X and y returns them, with weights; None: there are none."""
    if X_val is None:
        if y_val is not None or sample_weight_val is not None:
            raise ValueError("y_val and sample_weight_val belong to X_val, which was not given.")
        return None
    if y_val is None:
        raise ValueError("X_val was given without y_val.")
    try:
        X_val, y_val = check(X_val, y_val)
    except (ValueError, TypeError) as error:  # the checks speak of X and y
        text = re.sub(r"\bX (has|must)\b", r"X_val \1", str(error))
        text = re.sub(r"\bInput X\b", "Input X_val", text)
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(re.sub(r"^(Input )?y\b", r"\1y_val", text)) from error
    return X_val, y_val, check_weights(sample_weight_val, X_val, name="sample_weight_val")
