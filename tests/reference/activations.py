"""Output and slope of every activation, from its formula; `ROWS` is what tests loop over.

At a kink the slope is torch's: the one from the left, but for hard_swish at 3.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

from . import table

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848  # Klambauer et al. (2017), to 19 digits
ALPHAS = tuple({"alpha": alpha} for alpha in (0.0, 0.01, 0.3, 1.0, 2.5))


@dataclass(frozen=True)
class Row:
    """What tests know of an activation.

    `far` is what output and slope are from a size of 100 on, to 1e-6. `kinks` are inputs where the slope or its
    derivative jumps. `fields` are the values of its parameters to test. ``torch(nn, **fields)`` is torch's module.
    """

    formula: Callable
    far: Callable
    torch: Callable
    kinks: tuple = ()
    fields: tuple = ({},)

    @property
    def names(self):
        """Of its parameters."""
        return list(inspect.signature(self.formula).parameters)[1:]


ROWS = {}
row = table.into(ROWS, Row)


def rectifier(x, scale=1.0, left=0.0):
    """What lies to the right alone."""
    return np.where(x > 0, scale * x, left), np.where(x > 0, scale, 0.0)


@row(far=lambda x: (x, np.ones_like(x)), torch=lambda nn: nn.Identity())
def identity(x):
    return x, np.ones_like(x)


@row(far=lambda x: (np.where(x > 0, 1.0, 0.0), 0 * np.sign(x)), torch=lambda nn: nn.Sigmoid())
def logistic(x):
    return expit(x), expit(x) * expit(-x)


@row(far=lambda x: (np.sign(x), 0 * np.sign(x)), torch=lambda nn: nn.Tanh())
def tanh(x):
    return np.tanh(x), 4 * expit(2 * x) * expit(-2 * x)


@row(far=rectifier, torch=lambda nn: nn.ReLU(), kinks=(0.0,))
def relu(x):
    return np.maximum(x, 0), np.where(x > 0, 1.0, 0.0)


@row(
    far=lambda x, alpha: (np.where(x > 0, x, alpha * x), np.where(x > 0, 1.0, alpha)),
    torch=lambda nn, alpha=0.01: nn.LeakyReLU(alpha),
    kinks=(0.0,),
    fields=ALPHAS,
)
def leaky_relu(x, alpha=0.01):
    """Maas, Hannun & Ng (2013)."""
    return np.where(x > 0, x, alpha * x), np.where(x > 0, 1.0, alpha)


@row(
    far=lambda x, alpha: rectifier(x, left=-alpha),
    torch=lambda nn, alpha=1.0: nn.ELU(alpha),
    kinks=(0.0,),
    fields=ALPHAS,
)
def elu(x, alpha=1.0):
    """Clevert, Unterthiner & Hochreiter (2016), equation 15."""
    left = np.minimum(x, 0)
    return np.where(x > 0, x, alpha * np.expm1(left)), np.where(x > 0, 1.0, alpha * np.exp(left))


@row(
    far=lambda x: rectifier(x, 1.0507009873554805, -1.0507009873554805 * 1.6732632423543772),
    torch=lambda nn: nn.SELU(),
    kinks=(0.0,),
)
def selu(x):
    """Klambauer et al. (2017), equation 2."""
    y, slope = elu(x, SELU_ALPHA)
    return SELU_SCALE * y, SELU_SCALE * slope


@row(far=rectifier, torch=lambda nn: nn.GELU())
def gelu(x):
    """Hendrycks & Gimpel (2016): x times the normal distribution function."""
    return x * ndtr(x), ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


@row(far=rectifier, torch=lambda nn: nn.SiLU())
def silu(x):
    """Elfwing, Uchibe & Doya (2018), equations 5 and 6."""
    return x * expit(x), expit(x) * (1 + x * expit(-x))


@row(far=rectifier, torch=lambda nn: nn.Softplus(threshold=40))
def softplus(x):
    """Dugas et al. (2001)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), expit(x)


@row(far=rectifier, torch=lambda nn: nn.Hardswish(), kinks=(-3.0, 3.0))
def hard_swish(x):
    """Howard et al. (2019), section 5.2: x ReLU6(x + 3) / 6."""
    inside = (2 * x + 3) / 6
    return x * np.clip(x + 3, 0, 6) / 6, np.where(x <= -3, 0.0, np.where(x < 3, inside, 1.0))


@row(far=rectifier, torch=lambda nn: nn.Mish())
def mish(x):
    """Misra (2019): x tanh(softplus(x))."""
    gate, slope = tanh(softplus(x)[0])
    return x * gate, gate + x * slope * expit(x)


ACTIVATIONS = {name: known.formula for name, known in ROWS.items()}
KINKS = {name: known.kinks for name, known in ROWS.items() if known.kinks}
