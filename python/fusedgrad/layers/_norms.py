"""Normalisation of a batch, and of each row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .._validation.parameters import BOOLEAN, Number
from ._layer import Layer, Plan, Shape, Weight, features_of

__all__ = ["BatchNorm", "LayerNorm"]


def _affine(features: int, affine: bool) -> list[Weight]:
    return [_constant(features, 1.0), _constant(features, 0.0)] if affine else []


def _constant(features: int, value: float) -> Weight:
    return Weight((1, features), lambda rng: np.full((1, features), value))


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Batch normalisation: each feature gets mean 0 and variance 1 over the batch, then a scale and a shift.

    Rows of more than one dimension are normalised by their last one, the channels. Predictions use running means and
    variances: ``r += momentum * (batch's - r)``.

    Parameters
    ----------
    momentum : float in (0, 1], default=0.1
        The share of the batch in the running means. (torch's convention; in other libraries it is
        ``1 - momentum``.)
    epsilon : float in (0, inf), default=1e-5
        Added to the variance.
    affine : bool, default=True
        Whether to learn a scale and a shift.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization: accelerating deep network training by reducing internal covariate
    shift". A batch with a single number per feature is normalised to 0 (torch raises an error).

    Examples
    --------
    >>> from fusedgrad.layers import BatchNorm
    >>> BatchNorm(momentum=0.01)
    BatchNorm(momentum=0.01)
    """

    momentum: float = field(default=0.1, kw_only=True)
    epsilon: float = field(default=1e-5, kw_only=True)
    affine: bool = field(default=True, kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "momentum": Number(low=0, high=1, open_low=True),
        "epsilon": Number(low=0, high=math.inf, open_low=True, open_high=True),
        "affine": BOOLEAN,
    }

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        features, positions = features_of(self, shape)
        values = {
            "features": features,
            "positions": positions,
            "epsilon": float(self.epsilon),
            "momentum": float(self.momentum),
            "affine": float(self.affine),
        }
        statistics = [_constant(features, 0.0), _constant(features, 1.0)]  # mean and variance
        plan.add("batch_norm", shape, shape, values, weights=_affine(features, self.affine), statistics=statistics)


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Layer normalisation: the features of each row get mean 0 and variance 1, then a scale and a shift each.

    Rows of more than one dimension are normalised along the last one, position by position.

    Parameters
    ----------
    epsilon : float in (0, inf), default=1e-5
        Added to the variance.
    affine : bool, default=True
        Whether to learn a scale and a shift.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    References
    ----------
    Ba, Kiros & Hinton (2016), "Layer normalization".

    Examples
    --------
    >>> from fusedgrad.layers import LayerNorm
    >>> LayerNorm()
    LayerNorm()
    """

    epsilon: float = field(default=1e-5, kw_only=True)
    affine: bool = field(default=True, kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "epsilon": Number(low=0, high=math.inf, open_low=True, open_high=True),
        "affine": BOOLEAN,
    }

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        features, positions = features_of(self, shape)
        values = {
            "features": features,
            "positions": positions,
            "epsilon": float(self.epsilon),
            "affine": float(self.affine),
        }
        plan.add("layer_norm", shape, shape, values, weights=_affine(features, self.affine))
