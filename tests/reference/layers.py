"""What tests know of every layer: `KINDS`, by its class, is what they loop over.

A row has the reference of the layer, examples of its options, what its parameters refuse, torch's twin, and how to draw
random ones. `judge_of` makes the reference's network.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from fusedgrad import layers as L
from hypothesis import strategies as st

from . import network
from .activations import KINKS, ROWS

# ---- random layers ----


@dataclass(frozen=True)
class Wish:
    """What random layers may be: their activations, how many units at most, how deep blocks are, whether they draw."""

    activations: tuple = tuple(ROWS)
    most: int = 40
    depth: int = 2
    dropout: bool = True

    @property
    def smooth(self):
        """Whether slopes must not jump."""
        return not set(self.activations) & set(KINKS)


def sizes(low=1, most=67):
    """Whole numbers, small ones often."""
    return st.one_of(st.integers(low, min(most, 6)), st.integers(low, most))


@st.composite
def pairs(draw, low, *most):
    """A number for each axis, or one for both."""
    if draw(st.booleans()):
        return draw(st.integers(low, min(most)))
    return tuple(draw(st.integers(low, one)) for one in most)


def fits(layer, shape):
    try:
        layer.shape(shape)
    except ValueError:
        return False
    return True


def one_or_none(wish):
    return st.sampled_from([None, *wish.activations])


def dense(shape, wish):
    return st.builds(L.Dense, sizes(1, wish.most), one_or_none(wish), bias=st.booleans())


@st.composite
def activation(draw, shape, wish):
    name = draw(st.sampled_from(wish.activations))
    return L.Activation(name, alpha=draw(st.sampled_from([None, 0.3])) if ROWS[name].names else None)


def dropout(shape, wish):
    return st.builds(L.Dropout, st.sampled_from([0.0, 0.2, 0.5])) if wish.dropout else None


EPSILON = st.sampled_from([1e-3, 1e-2])  # against variances of a few numbers, which multiply roundings


def batch_norm(shape, wish):
    return st.builds(L.BatchNorm, affine=st.booleans(), momentum=st.sampled_from([0.1, 0.3, 1.0]), epsilon=EPSILON)


def layer_norm(shape, wish):
    return st.builds(L.LayerNorm, affine=st.booleans(), epsilon=EPSILON)


@st.composite
def block(draw, shape, wish):
    inner = draw(stacks(shape, replace(wish, depth=wish.depth - 1), longest=2))
    after = shape
    for layer in inner:
        after = layer.shape(after)
    if after[:-1] != shape[:-1]:
        inner = [L.Dense(2, draw(one_or_none(wish))), L.Dense(shape[-1])]
    elif after != shape or draw(st.booleans()):
        inner = [*inner, L.Dense(shape[-1])]
    return L.Residual(inner)


def residual(shape, wish):
    return block(shape, wish) if wish.depth else None


def flatten(shape, wish):
    return st.just(L.Flatten()) if len(shape) > 1 else None


@st.composite
def groups_of(draw, channels, most):
    """(groups, filters): none, some, or as many as channels (depthwise)."""
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0 and g <= most]))
    if groups == channels > 1 and draw(st.booleans()):
        return groups, channels
    return groups, groups * draw(st.integers(1, max(1, min(most // groups, 24))))


@st.composite
def convolutions(draw, shape, wish):
    *extent, channels = shape
    groups, filters = draw(groups_of(channels, wish.most)) if draw(st.booleans()) else (1, draw(sizes(1, wish.most)))
    more = {"bias": draw(st.booleans()), "groups": groups}
    activation = draw(one_or_none(wish))
    if len(extent) == 1:
        kernel, stride = draw(st.integers(1, min(5, *extent))), draw(st.integers(1, 3))
        numbers, dilation = st.integers(0, 3), draw(st.integers(1, 3))
        kind = L.Conv1D
    else:
        kernel, stride = draw(pairs(1, *(min(4, size) for size in extent))), draw(pairs(1, 3, 3))
        numbers, dilation = pairs(0, 3, 3), draw(pairs(1, 3, 3))
        kind = L.Conv2D
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), numbers))
    layer = kind(filters, kernel, activation, stride=stride, padding=padding, dilation=dilation, **more)
    if fits(layer, shape):
        return layer
    return kind(filters, kernel, activation, stride=stride, padding=padding, **more)


@st.composite
def pools(draw, shape, kind):
    kernel = draw(pairs(1, *(min(4, size) for size in shape[:2])))
    stride = draw(st.one_of(st.none(), pairs(1, 3, 3)))
    k = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), pairs(0, k[0] - 1, k[1] - 1)))
    return kind(kernel, stride=stride, padding=padding)


@st.composite
def recurrents(draw, kind, wish, **fixed):
    options = {
        "return_sequences": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.integers(0, 3)) > 0,
        "truncate": draw(st.sampled_from([None, None, 1, 2, 3, 20])),
    }
    if kind is L.SimpleRNN:
        options["activation"] = draw(st.sampled_from(["tanh"] if wish.smooth else ["tanh", "relu"]))
    return kind(draw(sizes(1, wish.most)), **{**options, **fixed})


def of_images(make):
    return lambda shape, wish: make(shape, wish) if len(shape) == 3 else None


def of_sequences(make):
    return lambda shape, wish: make(shape, wish) if len(shape) == 2 else None


# ---- the table ----


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What tests know of a kind of layer.

    Attributes
    ----------
    reference : type
        The class of `network` that judges it.
    examples : tuple of (list of layers, shape of a row)
        Small ones, with every option of the layer: the layer, and what it needs behind it. Random weights, rows and
        masks come from the tests, and so do layers before and behind.
    draw : callable
        ``draw(shape, wish)`` returns a strategy of such layers for rows of a shape, or None if it takes none.
    first : strategy or None
        Of (layer, shape of a row), for what must be the first layer.
    needs : dict
        Arguments of the constructor without which there is none.
    refused : dict
        Values that each parameter refuses.
    torch : str or None
        The class of `torch_twins` that computes the same.
    without : dict
        In which kinds of tests it cannot take part, and why.
    """

    reference: type
    examples: tuple
    draw: Callable = lambda shape, wish: None
    first: st.SearchStrategy | None = None
    needs: Mapping = field(default_factory=dict)
    refused: Mapping[str, Sequence]
    torch: str | None
    without: Mapping = field(default_factory=dict)


def alone(shape, *layers):
    return tuple(([layer], shape) for layer in layers)


NOT_FINITE = [np.nan, np.inf, -np.inf]
COUNTS = [0, -1, 2.5, "3", None, True, (2, 2)]
COUNTS_OR_NONE = [0, -1, 2.5, "3", True]
PAIRS = [0, -1, 2.5, "3", True, (3,), (3, 3, 3), (0, 3), (3, -1), (1.5, 2), (True, 2), {3}]
FLAGS = [1, 0, None, "yes"]
INITS = ["xavier", np.nan, np.inf, None, True]
LABEL = {"label": ["", 3, True, ("a",)]}
NAMES = ["rel", 3, True]
EPSILONS = [0.0, -1e-5, *NOT_FINITE, "1e-5", None, True]
CONVOLUTION = {
    "filters": COUNTS,
    "activation": NAMES,
    "groups": COUNTS,
    "bias": FLAGS,
    "init": INITS,
    "bias_init": INITS,
    **LABEL,
}
POOL = {
    "pool_size": [*PAIRS, None],
    "stride": PAIRS,
    "padding": [-1, 2.5, "full", None, True, (0,), (0, -1), 2, (0, 2), 7],
    **LABEL,
}
RECURRENT = {
    "units": COUNTS,
    "return_sequences": FLAGS,
    "bidirectional": FLAGS,
    "truncate": COUNTS_OR_NONE,
    "bias": FLAGS,
    "init": INITS,
    "recurrent_init": INITS,
    "bias_init": INITS,
    **LABEL,
}


def of_cell(kind, **own):
    """Examples of a recurrent layer: all combinations of its options, with padding and without."""
    flags = itertools.product([False, True], repeat=3)
    examples = [
        ([*[L.Masking()] * masked, kind(3, return_sequences=sequences, bidirectional=both_ways, **own)], (5, 2))
        for sequences, both_ways, masked in flags
    ]
    return (
        *examples,
        ([kind(3, bias=False, truncate=2, return_sequences=True, **own)], (5, 2)),
        ([L.Masking(-1.0), kind(2, bias=False, truncate=3, bidirectional=True, **own)], (7, 3)),
        ([kind(17, **own)], (2, 1)),
    )


KINDS = {
    L.Dense: Kind(
        reference=network.Dense,
        examples=(
            *alone((3,), L.Dense(4), L.Dense(5, "tanh", bias=False), L.Dense(1, "relu"), L.Dense(19, "gelu")),
            *alone((2, 3), L.Dense(4, "silu"), L.Dense(2, bias=False)),
        ),
        draw=dense,
        needs={"units": 3},
        refused={"units": COUNTS, "activation": NAMES, "bias": FLAGS, "init": INITS, "bias_init": INITS, **LABEL},
        torch="Dense",
    ),
    L.Activation: Kind(
        reference=network.Activation,
        examples=(
            *alone((3,), *(L.Activation(name) for name in ROWS)),
            *alone((2, 3), L.Activation("leaky_relu", alpha=0.3), L.Activation("elu", alpha=2.0)),
            # not in place, because what enters the block is wanted still
            ([L.Activation("tanh"), L.Residual([L.Activation("silu"), L.Dense(3)])], (3,)),
        ),
        draw=activation,
        needs={"name": "leaky_relu"},
        refused={"name": ["rel", 3, None, True], "alpha": [-1.0, *NOT_FINITE, "0.1", True], **LABEL},
        torch="activation",
    ),
    L.Dropout: Kind(
        reference=network.Dropout,
        examples=(
            *alone((4, 3), L.Dropout(0.5), L.Dropout(0.0), L.Dropout(0.2)),
            # not in place, because what enters the block is wanted still
            ([L.Dropout(0.2), L.Residual([L.Dropout(0.5), L.Residual([L.Dropout(0.0), L.Dense(3)])])], (4, 3)),
        ),
        draw=dropout,
        refused={"rate": [1.0, -0.1, *NOT_FINITE, "0.5", None, True], **LABEL},
        torch=None,
        without={"torch": "what torch drops is drawn otherwise", "epochs": "its noise belongs to the fit"},
    ),
    L.BatchNorm: Kind(
        reference=network.BatchNorm,
        examples=(
            *alone((3,), L.BatchNorm(), L.BatchNorm(affine=False, momentum=0.3), L.BatchNorm(epsilon=0.1)),
            *alone((4, 3), L.BatchNorm(momentum=1.0)),
            *alone((2, 3, 19), L.BatchNorm(affine=False)),
        ),
        draw=batch_norm,
        refused={
            "momentum": [0.0, -0.1, 1.1, *NOT_FINITE, "0.1", None, True],
            "epsilon": EPSILONS,
            "affine": FLAGS,
            **LABEL,
        },
        torch="BatchNorm",
        without={"rows by themselves": "the other rows of a batch change its mean"},
    ),
    L.LayerNorm: Kind(
        reference=network.LayerNorm,
        examples=(
            *alone((3,), L.LayerNorm(), L.LayerNorm(affine=False), L.LayerNorm(epsilon=0.1)),
            *alone((4, 19), L.LayerNorm()),
        ),
        draw=layer_norm,
        refused={"epsilon": EPSILONS, "affine": FLAGS, **LABEL},
        torch="LayerNorm",
    ),
    L.Residual: Kind(
        reference=network.Residual,
        examples=(
            *alone((3,), L.Residual([L.Dense(4, "tanh"), L.Residual([L.Activation("silu")]), L.Dense(3)])),
            *alone((3,), L.Residual([L.BatchNorm(), L.Dense(3, "mish"), L.LayerNorm()])),
            *alone((4, 3, 2), L.Residual([L.Conv2D(2, 3, "tanh", padding="same"), L.MaxPool2D(1)])),
            ([L.Masking(), L.Residual([L.GRU(2, return_sequences=True)]), L.LSTM(3)], (4, 2)),
        ),
        draw=residual,
        needs={"layers": [L.Dense(3)]},
        refused={"layers": [L.Dense(3), 3, None, "relu"], **LABEL},
        torch="Residual",
        without={"documented ranges": "a list of layers has none"},
    ),
    L.Flatten: Kind(
        reference=network.Flatten,
        examples=(([L.Flatten(), L.Dense(3)], (4, 3)),),
        draw=flatten,
        refused=LABEL,
        torch="Flatten",
    ),
    L.Conv2D: Kind(
        reference=network.Conv2D,
        examples=(
            *alone((4, 5, 2), L.Conv2D(3, (2, 3), "tanh"), L.Conv2D(2, 3, "gelu", stride=(2, 1), padding="same")),
            *alone((5, 5, 1), L.Conv2D(2, 2, dilation=(3, 2), padding=(1, 2)), L.Conv2D(3, 1, stride=3, bias=False)),
            *alone((3, 4, 4), L.Conv2D(6, 2, groups=2, padding=1)),
            *alone((4, 4, 3), L.Conv2D(3, 3, "silu", groups=3, padding="same")),  # depthwise
            *alone((4, 4, 3), L.Conv2D(3, (2, 1), groups=3, stride=2, bias=False), L.Conv2D(6, 2, groups=3)),
            *alone((4, 4, 2), L.Conv2D(2, 3, "relu"), L.Conv2D(17, 2, "relu", dilation=2)),
            *alone((5, 5, 4), L.Conv2D(4, 2, "tanh", groups=2, stride=2, padding=1)),
            *alone((3, 2, 2), L.Conv2D(2, 1, padding=1), L.Conv2D(3, (1, 2), padding=(2, 0))),  # wider than the window
        ),
        draw=of_images(convolutions),
        needs={"filters": 4, "kernel_size": 3},
        refused={
            **CONVOLUTION,
            "kernel_size": [*PAIRS, None],
            "stride": [*PAIRS, None],
            "dilation": [*PAIRS, None],
            "padding": [-1, 2.5, "full", None, True, (0,), (0, -1), (1, 1, 1)],
        },
        torch="Convolution",
    ),
    L.Conv1D: Kind(
        reference=network.Conv1D,
        examples=(
            *alone((7, 3), L.Conv1D(4, 3, "tanh", stride=2, padding="same"), L.Conv1D(2, 7, bias=False)),
            *alone((7, 2), L.Conv1D(2, 2, "mish", dilation=3, padding=2, groups=2)),
            # 95 and 96 weights a filter, of which tiles take 16, 24, 32 or 48
            *alone((6, 19), L.Conv1D(2, 5)),
            *alone((5, 24), L.Conv1D(2, 4)),
        ),
        draw=of_sequences(convolutions),
        needs={"filters": 4, "kernel_size": 3},
        refused={
            **CONVOLUTION,
            "kernel_size": COUNTS,
            "stride": COUNTS,
            "dilation": COUNTS,
            "padding": [-1, 2.5, "full", None, True, (1, 1)],
        },
        torch="Convolution",
    ),
    L.MaxPool2D: Kind(
        reference=network.MaxPool2D,
        examples=(
            *alone((4, 5, 2), L.MaxPool2D(2), L.MaxPool2D((1, 3), stride=2)),
            *alone((5, 4, 2), L.MaxPool2D(3, stride=2, padding=1)),
            *alone((4, 4, 2), L.MaxPool2D((2, 3), stride=1, padding="same"), L.MaxPool2D(2)),
            ([L.Conv2D(3, 2, "tanh"), L.MaxPool2D(2)], (5, 5, 2)),  # which takes the activation
        ),
        draw=of_images(lambda shape, wish: None if wish.smooth else pools(shape, L.MaxPool2D)),
        refused=POOL,
        torch="Pool",
    ),
    L.AvgPool2D: Kind(
        reference=network.AvgPool2D,
        examples=(
            *alone((4, 5, 2), L.AvgPool2D(2), L.AvgPool2D((1, 3), stride=2)),
            *alone((5, 4, 2), L.AvgPool2D(3, stride=(2, 1), padding=1)),
            *alone((4, 4, 2), L.AvgPool2D((2, 3), stride=1, padding="same"), L.AvgPool2D(2)),
        ),
        draw=of_images(lambda shape, wish: pools(shape, L.AvgPool2D)),
        refused=POOL,
        torch="Pool",
    ),
    L.GlobalAvgPool2D: Kind(
        reference=network.GlobalAvgPool2D,
        examples=alone((3, 4, 3), L.GlobalAvgPool2D()),
        draw=of_images(lambda shape, wish: st.just(L.GlobalAvgPool2D())),
        refused=LABEL,
        torch="GlobalPool",
    ),
    L.SimpleRNN: Kind(
        reference=network.SimpleRNN,
        examples=(*of_cell(L.SimpleRNN), *of_cell(L.SimpleRNN, activation="relu")),
        draw=of_sequences(lambda shape, wish: recurrents(L.SimpleRNN, wish)),
        needs={"units": 3},
        refused={**RECURRENT, "activation": ["logistic", "rel", None, 3]},
        torch="Recurrent",
    ),
    L.GRU: Kind(
        reference=network.GRU,
        examples=of_cell(L.GRU),
        draw=of_sequences(lambda shape, wish: recurrents(L.GRU, wish)),
        needs={"units": 3},
        refused=RECURRENT,
        torch="Recurrent",
    ),
    L.LSTM: Kind(
        reference=network.LSTM,
        examples=(*of_cell(L.LSTM), *of_cell(L.LSTM, forget_bias=0.0)[:1]),
        draw=of_sequences(lambda shape, wish: recurrents(L.LSTM, wish)),
        needs={"units": 3},
        refused={**RECURRENT, "forget_bias": ["1", None, True, np.nan, np.inf]},
        torch="Recurrent",
    ),
    L.Embedding: Kind(
        reference=network.Embedding,
        examples=(
            *alone((5,), L.Embedding(4, 3), L.Embedding(70, 2)),
            ([L.Embedding(4, 3), L.GRU(3)], (5,)),
            ([L.Embedding(4, 3, padding=1), L.GRU(3)], (5,)),
        ),
        first=st.integers(2, 200).flatmap(
            lambda codes: st.tuples(
                st.builds(
                    L.Embedding,
                    st.just(codes),
                    sizes(1, 20),
                    padding=st.one_of(st.none(), st.integers(0, codes - 1)),
                ),
                st.tuples(st.integers(1, 9)),
            )
        ),
        needs={"codes": 5, "units": 3},
        refused={
            "codes": [*COUNTS, 2**24 + 1],
            "units": COUNTS,
            "padding": [-1, 2.5, "0", True, 5, 6],
            "empty": ["zero", None, True, 0],
            "init": INITS,
            **LABEL,
        },
        torch="Embedding",
        without={
            "slopes of inputs": "codes have none",
            "documented ranges": "its padding is a code",
        },
    ),
    L.Masking: Kind(
        reference=network.Masking,
        examples=(
            ([L.Masking(), L.GRU(3)], (5, 2)),
            ([L.Masking(-1.5), L.Dense(2, "tanh"), L.LSTM(3, return_sequences=True), L.SimpleRNN(2)], (5, 2)),
        ),
        first=st.tuples(st.builds(L.Masking, st.sampled_from([0.0, -1.5])), st.tuples(st.integers(1, 9), sizes(1, 20))),
        refused={"value": [*NOT_FINITE, "0", None, True], "empty": ["zero", None, 0], **LABEL},
        torch="Padding",
    ),
}
SEQUENTIAL = tuple(kind for kind, known in KINDS.items() if issubclass(known.reference, network.Recurrent))


def offered(name):
    """The classes of layers that the library offers."""
    found = getattr(L, name)
    return isinstance(found, type) and found is not L.Layer


LAYERS = [getattr(L, name) for name in L.__all__ if offered(name)]
EXAMPLES = [(kind, layers, shape) for kind, known in KINDS.items() for layers, shape in known.examples]


def made(kind, **parameters):
    """A layer of a kind, with what it needs."""
    return kind(**{**KINDS[kind].needs, **parameters})


# ---- random networks ----


@st.composite
def stacks(draw, shape, wish, *, fewest=1, longest=4, kinds=None):
    """Layers in a row, of every kind that takes what comes out of the ones before."""
    stack = []
    for _ in range(draw(st.integers(fewest, longest))):
        possible = [KINDS[kind].draw(shape, wish) for kind in (KINDS if kinds is None else kinds)]
        stack.append(draw(st.one_of([one for one in possible if one is not None])))
        shape = stack[-1].shape(shape)
    return stack


@st.composite
def networks(draw, wish, *, longest=4, images=8):
    """(layers, shape of a row): flat rows, positions, sequences, images, or rows for a layer that must be the first."""
    firsts = [known.first for known in KINDS.values() if known.first is not None]
    start = draw(st.sampled_from(["flat", "flat", "positions", "sequences", "images", "images", *firsts]))
    if not isinstance(start, str):
        first, shape = draw(start)
        stack, after = [first], first.shape(shape)
        if getattr(first, "padding", None) is not None or isinstance(first, L.Masking):
            through = [kind for kind, known in KINDS.items() if known.reference.told is network.Layer.told]
            stack += draw(stacks(after, wish, fewest=0, longest=1, kinds=through))
            for layer in stack[1:]:
                after = layer.shape(after)
            # Marks of padding need a layer that looks at them.
            stack.append(draw(st.one_of([recurrents(kind, wish) for kind in SEQUENTIAL])))
            after = stack[-1].shape(after)
        return [*stack, *draw(stacks(after, wish, fewest=0, longest=longest - 2))], shape
    sides = st.integers(1, images)
    shape = draw(
        {
            "flat": st.tuples(st.integers(1, wish.most)),
            "positions": st.sampled_from([(4, 3), (5, 1), (1, 6), (2, 3, 2), (2, 1, 2, 3)]),
            "sequences": st.tuples(st.integers(1, 9), sizes(1, 20)),
            "images": st.tuples(sides, sides, sizes(1, 20)),
        }[start]
    )
    return draw(stacks(shape, wish, longest=longest)), shape


# ---- the reference's network ----


class Given:
    """What references are made of: weights and statistics one after another, and masks of dropout.

    ``masks(node, rate, shape)`` gives the mask of a batch; None: there is none.
    """

    def __init__(self, weights, kept, masks=None):
        self._weights, self._kept, self._masks = iter(weights), iter(kept), masks
        self.nodes = 0

    def weight(self):
        return np.array(next(self._weights), dtype=float)

    def kept(self):
        return np.array(next(self._kept), dtype=float)

    def mask(self, rate, shape):
        return None if self._masks is None else self._masks(self.nodes, rate, shape)

    def several(self, layers, shape):
        """The references of layers, for rows of a shape."""
        found = []
        for layer in layers:
            reference = KINDS[type(layer)].reference
            found.append(reference.of(layer, shape, self))
            self.nodes += reference.nodes
            shape = layer.shape(shape)
        return found


def judge_of(layers, shape, weights, kept, masks=None):
    """The reference's network."""
    return network.Network(Given(weights, kept, masks).several(layers, shape), shape)
