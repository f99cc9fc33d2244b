"""Networks of `fusedgrad.layers` made in torch, with the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from fusedgrad import layers as kinds
from fusedgrad.layers._layer import walk
from numpy.typing import NDArray
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "logistic": nn.Sigmoid}
RECURRENT = {kinds.GRU: nn.GRU, kinds.LSTM: nn.LSTM}


class LastState(nn.Module):
    """The state of a recurrent module after the last step."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        state = self.module(x)[1]
        return (state[0] if isinstance(state, tuple) else state)[0]


def network(layers: Sequence[kinds.Layer], shape: tuple[int, ...], weights: Sequence[NDArray[Any]]) -> nn.Sequential:
    """Return the modules for layers, which take rows of a shape (images: with channels first), with these weights.

    Only what the benchmark has: odd windows with padding='same' and stride 1, no padding in pools, one direction.
    """
    parts: list[nn.Module] = []
    left = list(weights)
    flattened: tuple[int, ...] | None = None  # the image that was flattened before

    def copy(*targets: Any) -> None:
        with torch.no_grad():
            for target in targets:
                target.copy_(torch.from_numpy(left.pop(0).T.copy()).reshape(target.shape))

    def add_activation(name: str | None) -> None:
        if name is not None:
            parts.append(ACTIVATIONS[name]())

    for _, layer, before, _ in walk(layers, shape):
        if isinstance(layer, kinds.Dense):
            dense = nn.Linear(before[-1], layer.units)
            if flattened is not None:
                height, width, channels = flattened
                left[0] = left[0].reshape(height * width, channels, -1).swapaxes(0, 1).reshape(left[0].shape)
                flattened = None
            copy(dense.weight, dense.bias)
            parts.append(dense)
            add_activation(layer.activation)
        elif isinstance(layer, kinds.Conv2D):
            size = layer.kernel_size
            convolution = nn.Conv2d(before[-1], layer.filters, size, padding=size // 2, bias=layer.bias)
            left[0] = left[0].reshape(size * size, before[-1], -1).swapaxes(0, 1).reshape(left[0].shape)
            copy(convolution.weight, *([convolution.bias] if layer.bias else []))
            parts.append(convolution)
            add_activation(layer.activation)
        elif isinstance(layer, kinds.BatchNorm):
            norm = nn.BatchNorm2d(before[-1], eps=layer.epsilon, momentum=layer.momentum)
            copy(norm.weight, norm.bias)
            parts.append(norm)
        elif isinstance(layer, (kinds.GRU, kinds.LSTM)):
            module = RECURRENT[type(layer)](before[-1], layer.units, batch_first=True)
            copy(module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0, module.bias_hh_l0)
            parts.append(LastState(module))
        elif isinstance(layer, kinds.Activation):
            add_activation(layer.name)
        elif isinstance(layer, kinds.MaxPool2D):
            parts.append(nn.MaxPool2d(layer.pool_size))
        elif isinstance(layer, kinds.Flatten):
            parts.append(nn.Flatten())
            flattened = before
        else:
            raise NotImplementedError(f"{layer!r} has no counterpart here")
    return nn.Sequential(*parts)
