"""Calls that must fail."""

from dataclasses import dataclass, field


@dataclass
class Call:
    """`fit` or `partial_fit` with good data, in which some arguments are replaced."""

    estimator: str
    message: str
    arguments: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)
    method: str = "fit"

    def on(self, model, X, y, **rest):
        """Make the call; X, y and `rest` are the good data."""
        good = {**rest, **self.arguments}
        return getattr(model, self.method)(good.pop("X", X), good.pop("y", y), **good)

    def __str__(self):
        return f"{self.estimator}-{self.method}-{'-'.join((*self.params, *self.arguments))}-{self.message[:40]}"
