"""What layers of the reference have in common."""

import numpy as np


class Layer:
    weights, gradients, kept, skipped = (), (), (), None
    nodes = 1  # that the core makes of it

    @classmethod
    def of(cls, layer, shape, given):
        return cls()

    def all(self):
        """This layer and those inside, in the order in which parameters are listed."""
        return [self]

    def matrices(self):
        """What of the weights is penalised."""
        return []

    def told(self, mask):
        self.skipped = mask
        return mask

    def gaps(self):
        """How far the numbers of the last pass were from where the slope jumps."""
        return np.empty(0)

    def to_kink(self):
        """How near the last pass came to a place where the slope jumps."""
        return self.gaps().min(initial=np.inf)
