"""What a network makes of rows within: hidden features, as a transformer gives them."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._sources import by_blocks


class Features(ClassNamePrefixFeaturesOutMixin, TransformerMixin):  # type: ignore[misc]
    """`transform`: the output of a layer."""

    # Of the estimator.
    _net: Any
    _raw: Any

    @by_blocks
    def transform(self, X: Any, layer: int | str = -2) -> Any:
        """Return what a layer makes of each row: hidden features. (`fit_transform` fits, then returns them.)

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        layer : int or str, default=-2
            Which layer: -1 is the output layer (before softmax, sigmoid or exp), -2 the last hidden one, 0 the first
            one; or the label of a layer.

        Returns
        -------
        features : ndarray of shape (n_samples, ...), of the layer's shape
            After ``set_output(transform="pandas")`` or "polars" a frame, with the names of `get_feature_names_out`.

        Raises
        ------
        ValueError
            If there is no such layer, or if a frame is wanted of another layer than the last hidden one.
        """
        check_is_fitted(self)
        place = self._place(layer)
        features = self._raw(X, place)
        shape = self._net.place(place)[1]
        container = self.__dict__.get("_sklearn_output_config", {}).get("transform", get_config()["transform_output"])
        if container != "default" and shape != self._net.place(self._place(-2))[1]:
            raise ValueError(
                f"set_output(transform={container!r}) makes frames of the last hidden layer alone, whose features have "
                f"names; layer {layer!r} has rows of shape {shape}. Use set_output(transform='default') for it."
            )
        return features.reshape(len(features), *shape)

    def _place(self, layer: int | str) -> int | str:
        """A layer as users count them, as the network does."""
        if isinstance(layer, str):
            return layer
        layers = self._stages()
        if isinstance(layer, bool) or not isinstance(layer, Integral) or not -len(layers) <= layer < len(layers):
            raise ValueError(
                f"layer must be a whole number from {-len(layers)} to {len(layers) - 1}: the network has "
                f"{len(layers)} layers; or a label. Got {layer!r}."
            )
        return layers[int(layer)]

    @property
    def _n_features_out(self) -> int:
        """How many features `transform` gives, which `get_feature_names_out` needs."""
        if "_net" not in self.__dict__:
            raise AttributeError("the network is not made before the first fit")
        return math.prod(self._net.place(self._place(-2))[1])

    def _stages(self) -> list[int]:
        """The layers that users count, as numbers of the network's."""
        return list(range(len(self._net.layers)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
