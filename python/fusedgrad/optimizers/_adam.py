"""Adam and its kin: a mean of gradients over a mean of their size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ._optimizer import Optimizer

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """The mean of gradients over their root mean square, both without the bias of starting from zero.

    ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g**2``,
    ``w -= rate * (m / (1 - beta_1**t)) / (sqrt(v / (1 - beta_2**t)) + epsilon)`` in step t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, after the correction of v.
    amsgrad : bool, default=False
        Whether to divide by the largest v so far: AMSGrad.
    epsilon_hat : bool, default=False
        Whether epsilon is added before the bias correction of v, as in scikit-learn, rather than after it, as in torch.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization"; AMSGrad: Reddi, Kale & Kumar (2018), "On the
    convergence of Adam and beyond".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adam
    >>> w, opt = np.array([1.0, -2.0]), Adam(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99, -2.  ])
    """

    name: ClassVar[str] = "adam"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = 0.01

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    amsgrad: bool = False
    epsilon_hat: bool = False


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """`Adam` with decoupled weight decay: the weights shrink directly, not through the gradient's means.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, after the correction of v.
    amsgrad : bool, default=False
        Whether to divide by the largest v so far: AMSGrad.
    epsilon_hat : bool, default=False
        Whether epsilon is added before the bias correction of v, as in scikit-learn, rather than after it, as in torch.
    weight_decay : float in [0, inf), default=0.01
        Decoupled: the weights shrink by ``rate * weight_decay`` before the step.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Loshchilov & Hutter (2019), "Decoupled weight decay regularization"; in torch's form, where decay follows the rate.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import AdamW
    >>> w, opt = np.array([1.0, -2.0]), AdamW(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.9899, -1.9998])
    """

    name: ClassVar[str] = "adamw"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = 0.01

    weight_decay: float = field(default=0.01, kw_only=True)

    def _decoupled(self) -> bool:
        return True


@dataclass(frozen=True, repr=False)
class Adamax(Optimizer):
    """`Adam` with the largest gradient, slowly forgotten, in place of the root mean square.

    ``m = beta_1 * m + (1 - beta_1) * g``, ``u = max(beta_2 * u, abs(g) + epsilon)``,
    ``w -= rate / (1 - beta_1**t) * m / u`` in step t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.002. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the largest gradient.
    epsilon : float in [0, inf), default=1e-08
        Added to the size of the gradient.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adamax
    >>> w, opt = np.array([1.0, -2.0]), Adamax(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99, -2.  ])
    """

    name: ClassVar[str] = "adamax"
    default_rate: ClassVar[float] = 0.002
    linear_rate: ClassVar[float | None] = 0.01

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True, repr=False)
class NAdam(Optimizer):
    """`Adam` that looks ahead, as Nesterov's momentum does.

    With m and v of Adam and ``mu_t = beta_1 * (1 - 0.96**(t * momentum_decay) / 2)``, step t = 1, 2, ... moves w by
    ``-rate * ((1 - mu_t) / (1 - mu_1 ... mu_t) * g + mu_t+1 / (1 - mu_1 ... mu_t+1) * m)`` over Adam's root.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.002. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, after the correction of v.
    momentum_decay : float in [0, inf), default=0.004
        How fast mu grows to `beta_1`.
    decoupled_weight_decay : bool, default=False
        Whether `weight_decay` shrinks the weights by ``rate * weight_decay`` instead of changing the gradient.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient; or decoupled, see `decoupled_weight_decay`.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Dozat (2016), "Incorporating Nesterov momentum into Adam".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import NAdam
    >>> w, opt = np.array([1.0, -2.0]), NAdam(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.98943548, -2.        ])
    """

    name: ClassVar[str] = "nadam"
    default_rate: ClassVar[float] = 0.002
    linear_rate: ClassVar[float | None] = 0.01

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False

    def _decoupled(self) -> bool:
        return self.decoupled_weight_decay


@dataclass(frozen=True, repr=False)
class RAdam(Optimizer):
    """`Adam` that divides by its root mean square only once enough gradients have been seen to trust it.

    Until then, five steps with the default `beta_2`, it is momentum alone; then the rate grows to its full size.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, before the correction of v, as in torch.
    decoupled_weight_decay : bool, default=False
        Whether `weight_decay` shrinks the weights by ``rate * weight_decay`` instead of changing the gradient.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient; or decoupled, see `decoupled_weight_decay`.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Liu et al. (2020), "On the variance of the adaptive learning rate and beyond".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import RAdam
    >>> w, opt = np.array([1.0, -2.0]), RAdam(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.995, -2.   ])
    """

    name: ClassVar[str] = "radam"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = 0.03

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    decoupled_weight_decay: bool = False

    def _decoupled(self) -> bool:
        return self.decoupled_weight_decay
