"""Networks that are fitted to sources of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from .._threads import threads_for
from .._training.network_records import Goal
from .._training.streams.network import NetworkStream, Rows
from .._training.streams.stream import cast
from .._training.streams.survey import Streamed, Survey, survey
from ..data import Block, Source


class FromSources:
    """What a network does with a source that is read block by block, in every epoch anew."""

    # Of the estimator.
    batch_size: Any
    n_jobs: Any
    _check_parameters: Any
    _check_y: Any
    _constants: Any
    _fit: Any
    _goal: Any
    _in_units: Any
    _net: Any
    _splits: Any
    _weights_of: Any

    def _streams(self, given: dict[str, Any]) -> bool:
        """Whether a source is read in blocks: batches of rows are, unless `fit` must keep rows aside."""
        return self._steps() and self.batch_size != "full" and not (self._splits() and given.get("X_val") is None)

    def _steps(self) -> bool:
        """Whether training makes steps, rather than minimise by a method of another kind."""
        return True

    def _fit_stream(
        self, source: Source, X_val: Any = None, y_val: Any = None, sample_weight_val: Any = None, resume: Any = None
    ) -> Any:
        self._check_parameters()
        rows = survey(source, classes=is_classifier(self), threads=threads_for(self.n_jobs, None, np.inf))
        sample = rows.sample
        streamed = Streamed(source, rows)
        return self._fit(sample.X, sample.y, sample.weight, X_val, y_val, sample_weight_val, resume, streamed)

    def _streaming(self, streamed: Streamed, goal: Goal, dtype: Any) -> NetworkStream:
        """All rows of a source, as the network takes them; `goal` is that of a sample of them."""
        model, factor = self._of_stream(streamed.survey), goal.factor

        def encode(block: Block) -> Rows:
            block = cast(block, dtype)
            model._net.check(block.X)
            y = model._check_y(block.y)
            goal = model._goal(y, dtype)
            goal.factor, goal.constants = factor, model._constants(y)
            return Rows(model._in_units(block.X), goal, model._weights_of(y, block.weight, dtype))

        return NetworkStream(*streamed, encode)

    def _of_stream(self, survey: Survey) -> Any:
        """The model that blocks are encoded by: class weights are those of all rows."""
        return self
