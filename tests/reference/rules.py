"""Update rules, from their papers: one step of all coordinates. Where torch differs from the paper, it is followed.

A rule is a function ``rule(w, g, t, rate, s, **fields)`` that returns the new weights; t = 1, 2, ... and s is a
dictionary that starts empty and keeps what the rule keeps. `ROWS` holds the rules, `OPTIMIZERS` the classes of
`fusedgrad.optimizers`; they are what tests loop over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from fusedgrad import optimizers

from . import table


@dataclass(frozen=True)
class Row:
    """What tests know of a rule.

    ``felt(rate, t, s, before, f)`` is what a lasting gradient of 1 would move each coordinate by, given the size of the
    gradients so far: f are the fields, `before` what was kept before the step. `penalty` says how L1 enters: "soft", as
    a proximal step over what is felt; "flow", with L2, as a flow over the time that is felt; "own", by the rule's own
    formula; "sign", as a subgradient.
    """

    formula: Callable
    felt: Callable
    penalty: str = "soft"


ROWS = table.Table("tests/reference/rules.py")
row = table.into(ROWS, Row)


# ---- rates that coordinates feel ----


def felt_plainly(rate, t, s, before, f):
    return rate


def felt_with_momentum(rate, t, s, before, f):
    if not f["momentum"]:
        return rate
    lasting = (1 - f["dampening"]) / (1 - f["momentum"])
    return rate * (1 + f["momentum"] * lasting if f["nesterov"] else lasting)


def felt_by_rmsprop(rate, t, s, before, f):
    variance = np.maximum(0, s["v"] - s["a"] ** 2) if f["centered"] else s["v"]
    return rate / (np.sqrt(variance) + f["epsilon"]) / (1 - f["momentum"])


def felt_by_adam(rate, t, s, before, f):
    v = s["top"] if f.get("amsgrad") else s["v"]
    correction = np.sqrt(1 - f["beta_2"] ** t)
    epsilon = f["epsilon"] / correction if f.get("epsilon_hat") else f["epsilon"]
    return rate / (np.sqrt(v) / correction + epsilon)


def felt_by_nadam(rate, t, s, before, f):
    mu, ahead = (f["beta_1"] * (1 - 0.5 * 0.96 ** (step * f["momentum_decay"])) for step in (t, t + 1))
    factor = (1 - mu) / (1 - s["product"]) + ahead / (1 - s["product"] * ahead) * (1 - f["beta_1"] ** t)
    return factor * felt_by_adam(rate, t, s, before, f)


def felt_by_radam(rate, t, s, before, f):
    power = f["beta_2"] ** t
    longest = 2 / (1 - f["beta_2"]) - 1
    length = longest - 2 * t * power / (1 - power)
    if length <= 5:
        return rate
    rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return rate * np.sqrt(rectified * (1 - power)) / (np.sqrt(s["v"]) + f["epsilon"])


def felt_by_adagrad(rate, t, s, before, f):
    return rate / (1 + f["lr_decay"] * (t - 1)) / (np.sqrt(s["h"]) + f["epsilon"])


def felt_by_adadelta(rate, t, s, before, f):
    return rate * np.sqrt(before.get("u", 0) + f["epsilon"]) / np.sqrt(s["v"] + f["epsilon"])


# ---- rules ----


@row(felt=felt_with_momentum)
def sgd(w, g, t, rate, s, momentum=0.0, dampening=0.0, nesterov=False, rate_inside=False):
    """Polyak (1964); Sutskever et al. (2013), who have the rate inside of m."""
    if momentum == 0:
        return w - rate * g
    g, rate = (rate * g, 1.0) if rate_inside else (g, rate)
    s["m"] = g if t == 1 else momentum * s["m"] + (1 - dampening) * g
    return w - rate * (g + momentum * s["m"] if nesterov else s["m"])


@row(felt=felt_by_adagrad, penalty="flow")
def adagrad(w, g, t, rate, s, lr_decay=0.0, epsilon=1e-10, initial_accumulator=0.0):
    """Duchi, Hazan & Singer (2011), diagonal."""
    s["h"] = s.get("h", initial_accumulator) + g**2
    return w - rate / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["h"]) + epsilon)


@row(felt=felt_by_adadelta)
def adadelta(w, g, t, rate, s, rho=0.9, epsilon=1e-6):
    """Zeiler (2012), algorithm 1."""
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    d = np.sqrt(s.get("u", 0) + epsilon) / np.sqrt(s["v"] + epsilon) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d**2
    return w - rate * d


@row(felt=felt_by_rmsprop)
def rmsprop(w, g, t, rate, s, alpha=0.99, epsilon=1e-8, momentum=0.0, centered=False):
    """Tieleman & Hinton (2012), lecture 6.5; centered: Graves (2013)."""
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    s["a"] = alpha * s.get("a", 0) + (1 - alpha) * g
    variance = np.maximum(s["v"] - s["a"] ** 2, 0) if centered else s["v"]
    d = g / (np.sqrt(variance) + epsilon)
    if momentum == 0:
        return w - rate * d
    s["m"] = momentum * s.get("m", 0) + d
    return w - rate * s["m"]


@row(felt=felt_by_adam)
def adam(w, g, t, rate, s, beta_1=0.9, beta_2=0.999, epsilon=1e-8, amsgrad=False, epsilon_hat=False):
    """Kingma & Ba (2015), algorithm 1, or the end of section 2; AMSGrad: Reddi, Kale & Kumar (2018), algorithm 2."""
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    s["top"] = np.maximum(s.get("top", 0), s["v"])
    v = s["top"] if amsgrad else s["v"]
    if epsilon_hat:
        return w - rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * s["m"] / (np.sqrt(v) + epsilon)
    return w - rate * (s["m"] / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


@row(felt=lambda rate, t, s, before, f: rate / s["u"])
def adamax(w, g, t, rate, s, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Kingma & Ba (2015), algorithm 2."""
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["u"] = np.maximum(beta_2 * s.get("u", 0), np.abs(g) + epsilon)
    return w - rate / (1 - beta_1**t) * s["m"] / s["u"]


@row(felt=felt_by_nadam)
def nadam(w, g, t, rate, s, beta_1=0.9, beta_2=0.999, epsilon=1e-8, momentum_decay=4e-3):
    """Dozat (2016), with the schedule of momentum given there."""

    def mu(step):
        return beta_1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))

    s["product"] = s.get("product", 1.0) * mu(t)
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    g_hat = g / (1 - s["product"])
    m_hat = s["m"] / (1 - s["product"] * mu(t + 1))
    m_bar = (1 - mu(t)) * g_hat + mu(t + 1) * m_hat
    return w - rate * m_bar / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)


@row(felt=felt_by_radam)
def radam(w, g, t, rate, s, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Liu et al. (2020), algorithm 2, with the threshold 5 for 4."""
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    m_hat = s["m"] / (1 - beta_1**t)
    longest = 2 / (1 - beta_2) - 1
    length = longest - 2 * t * beta_2**t / (1 - beta_2**t)
    if length <= 5:
        return w - rate * m_hat
    rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return w - rate * np.sqrt(rectified) * m_hat * np.sqrt(1 - beta_2**t) / (np.sqrt(s["v"]) + epsilon)


@row(felt=felt_plainly, penalty="sign")
def lion(w, g, t, rate, s, beta_1=0.9, beta_2=0.99):
    """Chen et al. (2023), algorithm 2."""
    m = s.get("m", np.zeros_like(w))
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w - rate * np.sign(beta_1 * m + (1 - beta_1) * g)


@row(felt=felt_plainly, penalty="own")
def ftrl(w, g, t, rate, s, beta=1.0, l1=0.0, l2=0.0):
    """McMahan et al. (2013), algorithm 1, with sigma = 1 / eta - 1 / (eta before); z starts so that it answers w."""
    if t == 1:
        s["n"], s["inverse_eta"] = 0.0, beta / rate
        s["z"] = -w * (s["inverse_eta"] + l2) - np.sign(w) * l1
    s["n"] = s["n"] + g**2
    inverse_eta = (beta + np.sqrt(s["n"])) / rate
    s["z"] = s["z"] + g - (inverse_eta - s["inverse_eta"]) * w
    s["inverse_eta"] = inverse_eta
    return np.where(np.abs(s["z"]) <= l1, 0.0, -(s["z"] - np.sign(s["z"]) * l1) / (inverse_eta + l2))


@row(felt=lambda rate, t, s, before, f: rate / (1 + f["lambd"] * rate * (t - 1)) ** f["alpha"])
def asgd(w, g, t, rate, s, lambd=1e-4, alpha=0.75, t0=1e6):
    """Polyak & Juditsky (1992), with the rates of Bottou (2012), "Stochastic gradient descent tricks"."""
    eta = rate / (1 + lambd * rate * (t - 1)) ** alpha
    w = (1 - lambd * eta) * w - eta * g
    average = s.get("average", w)
    s["average"] = average + (w - average) / max(1, t - 1 - t0)
    return w


RULES = {name: known.formula for name, known in ROWS.items()}


# ---- classes ----


class Decaying:
    """For rules whose steps have one size."""

    def __call__(self, step):
        return 0.1 * 0.99**step

    def __repr__(self):  # which names tests, the same in every process
        return "decaying"


decaying = Decaying()


@dataclass(frozen=True)
class Class:
    """What tests know of a class of optimizers.

    `examples` are parameters; together they have every option. `rate` suits rows that are about one long; `optimum`
    leads to the optimum of such a problem while it falls to zero in a few thousand steps, with the gradient then below
    `near`; `bowl` minimises a quadratic function of curvature up to 10. `divides`: steps have the size of the rate,
    whatever the size of the gradient. `linear_rate` is the rate that the class has for linear models. `decoupled`: its
    weight decay shrinks weights rather than entering the gradient. `without` says in which kinds of tests a class, or
    one of its options, cannot take part, and why.
    """

    examples: tuple
    rate: float
    optimum: float
    bowl: optimizers.Optimizer
    linear_rate: float | None
    divides: bool = False
    near: float = 2e-4
    decoupled: bool = False
    without: Mapping = field(default_factory=dict)


OPTIMIZERS = table.Table(
    "OPTIMIZERS of tests/reference/rules.py",
    {
        optimizers.SGD: Class(
            examples=(
                {},
                {"momentum": 0.9},
                {"momentum": 0.9, "dampening": 0.3},
                {"momentum": 0.8, "nesterov": True},
                {"momentum": 0.8, "nesterov": True, "rate_inside": True},
                {"momentum": 0.9, "dampening": 0.3, "rate_inside": True},
            ),
            rate=0.05,
            optimum=1.0,
            bowl=optimizers.SGD(0.05, momentum=0.8, nesterov=True),
            linear_rate=None,
            without={"torch: rate_inside": "torch has the rate outside of the momentum"},
        ),
        optimizers.Adagrad: Class(
            examples=({}, {"lr_decay": 0.1, "initial_accumulator": 0.5, "epsilon": 1e-3}),
            rate=0.1,
            optimum=0.5,
            bowl=optimizers.Adagrad(1.0),
            linear_rate=0.1,
            divides=True,
        ),
        optimizers.Adadelta: Class(
            examples=({}, {"rho": 0.5, "epsilon": 1e-2}),
            rate=1.0,
            optimum=20.0,
            bowl=optimizers.Adadelta(30.0),
            linear_rate=1.0,
            divides=True,
            near=2e-3,
            without={
                "moves without epsilon": "its first step is as large as epsilon",
                "small gradients": "its steps are in proportion to those before, so they cannot be too large",
            },
        ),
        optimizers.RMSprop: Class(
            examples=(
                {},
                {"momentum": 0.5},
                {"centered": True, "alpha": 0.9},
                {"centered": True, "momentum": 0.9, "epsilon": 1e-3},
            ),
            rate=0.02,
            optimum=0.05,
            bowl=optimizers.RMSprop(decaying),
            linear_rate=0.01,
            divides=True,
        ),
        optimizers.Adam: Class(
            examples=(
                {},
                {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 1e-2},
                {"beta_1": 0.0, "beta_2": 0.0},
                {"amsgrad": True, "beta_2": 0.9},
                {"epsilon_hat": True, "beta_2": 0.9, "epsilon": 1e-2},
            ),
            rate=0.02,
            optimum=0.05,
            bowl=optimizers.Adam(0.1),
            linear_rate=0.01,
            divides=True,
            without={"torch: epsilon_hat": "torch corrects the root before it adds epsilon"},
        ),
        optimizers.AdamW: Class(
            examples=({"weight_decay": 0.0}, {"weight_decay": 5e-4, "beta_2": 0.99}),
            rate=0.02,
            optimum=0.05,
            bowl=optimizers.AdamW(0.1, weight_decay=0.0),
            linear_rate=0.01,
            divides=True,
            decoupled=True,
        ),
        optimizers.Adamax: Class(
            examples=({}, {"beta_1": 0.8, "beta_2": 0.9}),
            rate=0.02,
            optimum=0.05,
            bowl=optimizers.Adamax(0.1),
            linear_rate=0.01,
            divides=True,
        ),
        optimizers.NAdam: Class(
            examples=({}, {"momentum_decay": 0.1, "beta_2": 0.9}),
            rate=0.02,
            optimum=0.05,
            bowl=optimizers.NAdam(0.1),
            linear_rate=0.01,
            divides=True,
        ),
        optimizers.RAdam: Class(
            examples=({}, {"beta_2": 0.5}),
            rate=0.02,
            optimum=0.05,
            bowl=optimizers.RAdam(0.1),
            linear_rate=0.03,
            divides=True,
        ),
        optimizers.Lion: Class(
            examples=({}, {"beta_1": 0.5, "beta_2": 0.8}),
            rate=0.01,
            optimum=0.02,
            bowl=optimizers.Lion(decaying),
            linear_rate=0.03,
            near=2e-3,
            decoupled=True,
            without={
                "balanced classes": "they pull alike at first, but for rounding, and it goes by the sign",
                "torch": "torch has no Lion",
                "optimum at a constant rate": "its last steps are as large as its first",
                "constant rates": "weights come back to zero but for rounding, whose sign L1 would see",
            },
        ),
        optimizers.FTRL: Class(
            examples=({}, {"beta": 0.1, "l1": 0.5, "l2": 0.2}),
            rate=0.1,
            optimum=1.0,
            bowl=optimizers.FTRL(1.0),
            linear_rate=0.1,
            without={"torch": "torch has no FTRL"},
        ),
        optimizers.ASGD: Class(
            examples=({}, {"lambd": 0.01, "alpha": 0.5, "t0": 50}, {"lambd": 0.01, "t0": 3}),
            rate=0.05,
            optimum=1.0,
            bowl=optimizers.ASGD(0.1, lambd=1e-9),
            linear_rate=None,
            near=2e-3,
            without={"estimator's average": "it has its own"},
        ),
    },
)
VARIANTS = [kind(**fields) for kind, known in OPTIMIZERS.items() for fields in known.examples]


def suited(optimizer):
    """The rate that suits it in a few steps: momentum and its like make steps longer."""
    return OPTIMIZERS[type(optimizer)].rate / (5 if getattr(optimizer, "momentum", 0) else 1)


def trajectory(rule, w, gradients, rates, *, coupled=0.0, decay=0.0, clip_value=None, clip_norm=None, **fields):
    """Yield the weights after each step, and what the rule keeps, in float64.

    The gradient is cut entry by entry, then shortened (torch.nn.utils.clip_grad_norm_); then comes weight decay.
    """
    w, s = np.array(w, np.float64), {}
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        g = np.array(g, np.float64)
        if clip_value is not None:
            g = np.clip(g, -clip_value, clip_value)
        if clip_norm is not None:
            g = g * min(1, clip_norm / (np.linalg.norm(g) + 1e-6))
        g = g + coupled * w
        w = RULES[rule](w * (1 - rate * decay), g, t, rate, s, **fields)
        yield w, s
