"""Update rules, from their papers: one step of all coordinates. Where torch differs from the paper, it is followed.

A rule is a function ``rule(w, g, t, rate, s, **fields)`` that returns the new weights; t = 1, 2, ... and s is a
dictionary that starts empty and keeps what the rule keeps.
"""

import numpy as np


def sgd(w, g, t, rate, s, momentum=0.0, dampening=0.0, nesterov=False, rate_inside=False):
    """Polyak (1964); Sutskever et al. (2013), who have the rate inside of m."""
    if momentum == 0:
        return w - rate * g
    g, rate = (rate * g, 1.0) if rate_inside else (g, rate)
    s["m"] = g if t == 1 else momentum * s["m"] + (1 - dampening) * g
    return w - rate * (g + momentum * s["m"] if nesterov else s["m"])


def adagrad(w, g, t, rate, s, lr_decay=0.0, epsilon=1e-10, initial_accumulator=0.0):
    """Duchi, Hazan & Singer (2011), diagonal."""
    s["h"] = s.get("h", initial_accumulator) + g**2
    return w - rate / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["h"]) + epsilon)


def adadelta(w, g, t, rate, s, rho=0.9, epsilon=1e-6):
    """Zeiler (2012), algorithm 1."""
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    d = np.sqrt(s.get("u", 0) + epsilon) / np.sqrt(s["v"] + epsilon) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d**2
    return w - rate * d


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


def adam(w, g, t, rate, s, beta_1=0.9, beta_2=0.999, epsilon=1e-8, amsgrad=False, epsilon_hat=False):
    """Kingma & Ba (2015), algorithm 1, or the end of section 2; AMSGrad: Reddi, Kale & Kumar (2018), algorithm 2."""
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    s["top"] = np.maximum(s.get("top", 0), s["v"])
    v = s["top"] if amsgrad else s["v"]
    if epsilon_hat:
        return w - rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * s["m"] / (np.sqrt(v) + epsilon)
    return w - rate * (s["m"] / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def adamax(w, g, t, rate, s, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Kingma & Ba (2015), algorithm 2."""
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["u"] = np.maximum(beta_2 * s.get("u", 0), np.abs(g) + epsilon)
    return w - rate / (1 - beta_1**t) * s["m"] / s["u"]


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


def lion(w, g, t, rate, s, beta_1=0.9, beta_2=0.99):
    """Chen et al. (2023), algorithm 2."""
    m = s.get("m", np.zeros_like(w))
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w - rate * np.sign(beta_1 * m + (1 - beta_1) * g)


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


def asgd(w, g, t, rate, s, lambd=1e-4, alpha=0.75, t0=1e6):
    """Polyak & Juditsky (1992), with the rates of Bottou (2012), "Stochastic gradient descent tricks"."""
    eta = rate / (1 + lambd * rate * (t - 1)) ** alpha
    w = (1 - lambd * eta) * w - eta * g
    average = s.get("average", w)
    s["average"] = average + (w - average) / max(1, t - 1 - t0)
    return w


RULES = {
    function.__name__: function
    for function in (sgd, adagrad, adadelta, rmsprop, adam, adamax, nadam, radam, lion, ftrl, asgd)
}


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
