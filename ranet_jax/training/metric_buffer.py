"""What was measured since the last line of the log, one entry a step."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ranet_jax.errors import InputError
from ranet_jax.io.records import Record, items
from ranet_jax.training.train_step import TrainMetrics

MAX_UNFETCHED = 500  # steps; loaders remember the names of more batches


class NotFiniteError(InputError):
    """The loss or the gradient of a step is not a finite number."""


def _is_step(values: Any) -> bool:
    return (
        isinstance(values, dict)
        and set(values) == set(TrainMetrics.__annotations__)  # its fields include one of clu's own
        and all(type(v) in (int, float) and math.isfinite(v) for v in values.values())
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Measured(Record):
    steps: tuple[dict[str, float], ...] = items(_is_step, "metrics", "of each step")


class MetricBuffer:
    """Metrics of steps, left on the device until they are asked for.

    To look at a step's metrics is to wait for it, and the device for the host.
    """

    def __init__(self, names: Callable[[int], Sequence[str]]):
        """An empty one.

        Args:
            names: of the examples of a batch, by its number from 0; of those lately used.
        """
        self._names = names
        self._unfetched: list[tuple[int, TrainMetrics]] = []
        self._fetched: list[TrainMetrics] = []

    def __len__(self) -> int:
        return len(self._unfetched) + len(self._fetched)

    def add(self, step: int, metrics: TrainMetrics) -> None:
        """Takes the metrics of a step, which counts from 1.

        Raises:
            NotFiniteError: see `check`, which is due here now and then.
        """
        self._unfetched.append((step, metrics))
        if len(self._unfetched) >= MAX_UNFETCHED:
            self.check()

    def check(self) -> None:
        """Waits for all steps so far.

        Raises:
            NotFiniteError: the loss or the gradient of one is not finite; with its number and the
                names of its examples.
        """
        fetched = jax.device_get([metrics for _, metrics in self._unfetched])
        for (step, _), metrics in zip(self._unfetched, fetched, strict=True):
            for name, value in _values(metrics).items():
                if not np.isfinite(value):
                    raise NotFiniteError(self._describe(step, name, value))
        self._fetched += fetched
        self._unfetched = []

    def mean(self) -> dict[str, float]:
        """Means over all steps; the buffer is empty afterwards.

        Raises:
            NotFiniteError: see `check`.
        """
        self.check()
        together = functools.reduce(lambda one, other: one.merge(other), self._fetched)
        self._fetched = []
        return _values(together)

    def to_json(self) -> dict[str, list[dict[str, float]]]:
        """What `from_json` needs; numbers keep their every bit.

        Raises:
            NotFiniteError: see `check`.
        """
        self.check()
        return {"steps": [_values(metrics) for metrics in self._fetched]}

    def from_json(
        self, saved: Mapping[str, list[dict[str, float]]], source: str = "The log in the checkpoint"
    ) -> None:
        """Goes on where `to_json` was called.

        Args:
            saved: from there.
            source: what to call it in an error.

        Raises:
            InputError: that is damaged.
        """
        steps = _Measured.parse(saved, source).steps
        rebuilt = [
            TrainMetrics.single_from_model_output(**{k: np.float32(v) for k, v in step.items()})
            for step in steps
        ]
        self._unfetched, self._fetched = [], jax.device_get(rebuilt)

    def _describe(self, step: int, name: str, value: float) -> str:
        examples = ", ".join(self._names(step - 1))
        return (
            f"The {name.replace('_', ' ')} of step {step} is {value}, over the examples {examples}:"
            " look at these, or train with a lower learning rate or a clip_norm; nothing was saved "
            "since."
        )


def _values(metrics: TrainMetrics) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.compute().items()}
