"""The layers in torch, and their parameters as ours are laid out. Importing this needs torch.

A twin is made of (layer, shape of a row). Images and sequences have their channels last between twins."""

import math

import numpy as np
import torch
from fusedgrad import layers as L
from torch import nn

from .reference.activations import ROWS
from .reference.layers import KINDS

F = nn.functional


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(x):
    return x.movedim(1, -1)


def same_sides(sizes, kernel, stride, dilation):
    """Zeros around x as `nn.functional.pad` takes them: last axis first, an odd one after."""
    sides = []
    for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
        sides = [total // 2, total - total // 2, *sides]
    return sides


class Convolution(nn.Module):
    def __init__(self, layer, shape):
        super().__init__()
        channels = shape[-1]
        kind, axes = (nn.Conv2d, 2) if isinstance(layer, L.Conv2D) else (nn.Conv1d, 1)
        sizes = [pair(value)[:axes] for value in (layer.kernel_size, layer.stride, layer.dilation)]
        self.sizes = sizes
        self.around = layer.padding == "same" and max(sizes[1]) > 1  # which torch cannot
        padding = 0 if self.around or layer.padding == "valid" else layer.padding
        kernel, stride, dilation = sizes
        self.conv = kind(
            channels,
            layer.filters,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=layer.groups,
            bias=layer.bias,
        )
        self.activation = activation_of(layer.activation)

    def forward(self, x):
        x = channels_first(x)
        if self.around:
            x = F.pad(x, same_sides(x.shape[2:], *self.sizes))
        return self.activation(channels_last(self.conv(x)))


class Pool(nn.Module):
    def __init__(self, layer, shape):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        layer, x = self.layer, channels_first(x)
        kernel = pair(layer.pool_size)
        stride = kernel if layer.stride is None else pair(layer.stride)
        padding = (0, 0) if layer.padding == "valid" else layer.padding
        if padding != "same" and all(2 * p <= k for p, k in zip(pair(padding), kernel, strict=True)):
            options = {"stride": stride, "padding": pair(padding)}
            if isinstance(layer, L.MaxPool2D):
                return channels_last(F.max_pool2d(x, kernel, **options))
            return channels_last(F.avg_pool2d(x, kernel, count_include_pad=False, **options))
        if padding == "same":
            sides = same_sides(x.shape[2:], kernel, stride, (1, 1))
        else:
            sides = [side for p in reversed(pair(padding)) for side in (p, p)]
        if isinstance(layer, L.MaxPool2D):
            return channels_last(F.max_pool2d(F.pad(x, sides, value=-math.inf), kernel, stride))
        sums = F.avg_pool2d(F.pad(x, sides), kernel, stride)
        return channels_last(sums / F.avg_pool2d(F.pad(torch.ones_like(x), sides), kernel, stride))


class GlobalPool(nn.Module):
    def __init__(self, layer, shape):
        super().__init__()

    def forward(self, x):
        return x.mean(dim=(1, 2))


class Recurrent(nn.Module):
    def __init__(self, layer, shape):
        super().__init__()
        features = shape[-1]
        self.layer = layer
        kind = {"SimpleRNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}[type(layer).__name__]
        more = {"nonlinearity": layer.activation} if kind is nn.RNN else {}
        ways = layer.bidirectional
        self.rnn = kind(features, layer.units, bias=layer.bias, batch_first=True, bidirectional=ways, **more)

    def forward(self, x, lengths=None):
        if self.layer.truncate is not None:
            return self.truncated(x)
        steps = x.shape[1]
        if lengths is not None:
            x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(x)
        if not self.layer.return_sequences:
            state = state[0] if isinstance(state, tuple) else state
            return torch.cat(list(state), dim=1)
        if lengths is not None:
            outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=steps)
        return outputs

    def truncated(self, x):
        """One way, with a state that is cut off at times."""
        outputs, state = [], None
        for part in x.split(self.layer.truncate, dim=1):
            if state is not None:
                state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            output, state = self.rnn(part, state)
            outputs.append(output)
        outputs = torch.cat(outputs, dim=1)
        return outputs if self.layer.return_sequences else outputs[:, -1]


class Padding(nn.Module):
    """Nothing but the lengths of rows."""

    def __init__(self, layer, shape):
        super().__init__()
        self.value = layer.padding if isinstance(layer, L.Embedding) else layer.value

    def lengths(self, x):
        real = (x != self.value).flatten(2).any(dim=2) if x.ndim > 2 else x != self.value
        return (real * torch.arange(1, x.shape[1] + 1)).amax(dim=1)

    def forward(self, x):
        return x


class Embedding(Padding):
    def __init__(self, layer, shape):
        super().__init__(layer, shape)
        self.table = nn.Embedding(layer.codes, layer.units)

    def lengths(self, x):
        return None if self.value is None else super().lengths(x)

    def forward(self, x):
        return self.table(x.long())


class Dense(nn.Module):
    def __init__(self, layer, shape):
        super().__init__()
        features = shape[-1]
        self.linear = nn.Linear(features, layer.units, bias=layer.bias)
        self.activation = activation_of(layer.activation)

    def forward(self, x):
        return self.activation(self.linear(x))


class BatchNorm(nn.BatchNorm1d):
    """torch has channels before positions, we have them last."""

    def __init__(self, layer, shape):
        super().__init__(shape[-1], eps=layer.epsilon, momentum=layer.momentum, affine=layer.affine)

    def forward(self, x):
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def LayerNorm(layer, shape):
    return nn.LayerNorm(shape[-1], eps=layer.epsilon, elementwise_affine=layer.affine)


def Flatten(layer, shape):
    return nn.Flatten()


def activation(layer, shape):
    return activation_of(layer.name, **({} if layer.alpha is None else {"alpha": layer.alpha}))


def activation_of(name, **fields):
    return ROWS[name or "identity"].torch(nn, **fields)


class Residual(nn.Module):
    def __init__(self, layer, shape):
        super().__init__()
        self.inner = Sequence(layer.layers, shape)

    def forward(self, x, lengths=None):
        return x + self.inner(x, lengths)


class Sequence(nn.Module):
    def __init__(self, layers, shape):
        super().__init__()
        self.made = nn.ModuleList()
        for layer in layers:
            self.made.append(globals()[KINDS[type(layer)].torch](layer, shape))
            shape = layer.shape(shape)

    def forward(self, x, lengths=None):
        for one in self.made:
            if isinstance(one, Padding):
                lengths = one.lengths(x)
            x = one(x, lengths) if isinstance(one, (Recurrent, Residual)) else one(x)
        return x


def tables_of(module):
    return {id(one.weight) for one in module.modules() if isinstance(one, nn.Embedding)}


def as_ours(array, table=False):
    """A parameter of torch, or its slope, as it lies in ours: inputs (kernel first, then channel) by outputs."""
    if array.ndim == 1:
        return array[None]
    if table:
        return array
    return np.moveaxis(array, (0, 1), (-1, -2)).reshape(-1, array.shape[0])


def ours_of(module, get=lambda parameter: parameter.detach()):
    tables = tables_of(module)
    return [as_ours(get(p).numpy(), id(p) in tables) for p in module.parameters()]


def load(module, weights):
    """Give a module the weights of ours."""
    tables = tables_of(module)
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), weights, strict=True):
            shape = tuple(parameter.shape)
            if parameter.ndim == 1:
                weight = weight[0]
            elif id(parameter) not in tables:
                weight = np.moveaxis(weight.reshape(*shape[2:], shape[1], shape[0]), (-1, -2), (0, 1))
            parameter.copy_(torch.tensor(weight))
    return module


def statistics_of(module):
    norms = [one for one in module.modules() if isinstance(one, BatchNorm)]
    return [r.numpy()[None] for norm in norms for r in (norm.running_mean, norm.running_var)]
