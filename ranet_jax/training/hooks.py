"""Hooks between the steps of a run: lines of the log, images, evaluations, checkpoints."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.experimental import multihost_utils

from data_pipelines import preview
from ranet_jax.array_typing import Params
from ranet_jax.checkpoints.manager import RunCheckpoints
from ranet_jax.io.atomic import make_output_folder, replacing
from ranet_jax.training.augment import HostBatch
from ranet_jax.training.config import TrainConfig
from ranet_jax.training.evaluator import Evaluator
from ranet_jax.training.metric_buffer import MetricBuffer
from ranet_jax.training.metric_writer import Log, StepTimer, device_memory
from ranet_jax.training.preemption import PreemptionGuard
from ranet_jax.training.train_state import TrainState, eval_params, to_saved
from ranet_jax.training.train_step import TrainMetrics

IMAGES = "images"
_ROWS, _TILE_WIDTH = 4, 240


@dataclasses.dataclass(frozen=True)
class Hooks:
    """Does what is due after a step. Every process of a run has one and makes the same calls.

    Attributes:
        config: of the run; it says what is due when. Evaluation and checkpoint also at the end.
        workdir: of the run.
        schedule: learning rate of a step, counted from 0.
        settings: of the run's checkpoints.
        predict: what the network sees of a batch on one device and what it makes of it, from
            parameters, that batch and a key.
        evaluate: measures parameters, or None.
        checkpoints: of the run.
        log: of the run.
        metrics: those since the last line of the log.
        preemption: ends an evaluation early.
        timer: of the steps.
    """

    config: TrainConfig
    workdir: Path
    schedule: optax.Schedule
    settings: Mapping[str, Any]
    predict: Callable[[Params, HostBatch, jax.Array], tuple[Mapping, jax.Array]]
    evaluate: Evaluator | None
    checkpoints: RunCheckpoints
    log: Log
    metrics: MetricBuffer
    preemption: PreemptionGuard
    timer: StepTimer = dataclasses.field(default_factory=StepTimer)

    def before(self, done: int, state: TrainState) -> None:
        """Evaluates what the run starts from, where that was not done yet."""
        if not _due(self.config.eval.every, done):
            return
        evaluated = self.log.evaluated(done)
        if jax.process_count() > 1:
            evaluated = bool(multihost_utils.broadcast_one_to_all(jnp.asarray(evaluated)))
        if not evaluated:
            self._evaluate(done, state)

    def after(
        self,
        done: int,
        state: TrainState,
        measured: TrainMetrics,
        batch: HostBatch,
        position: Mapping[str, Any],
    ) -> bool:
        """Does what is due after a step.

        Args:
            done: steps so far.
            state: after it.
            measured: in it.
            batch: that it trained on, [local devices, examples a device, ...].
            position: of the data after it.

        Returns:
            Whether to stop: everything is saved.

        Raises:
            InputError: a loss is not finite, or something cannot be written.
        """
        last, stopping = done == self.config.steps, self.preemption.reached(done)
        self.metrics.add(done, measured)
        self.log.advance()
        self._count(measured)
        if last or _due(self.config.log.every, done):
            self._write_line(done)
        score = None
        with self.timer.paused():
            if _due(self.config.log.images, done):
                self._draw(done, state, batch)
            if _due(self.config.eval.every, done) or (last and self.config.eval.every):
                score = self._evaluate(done, state)
            stopping = stopping or self.preemption.requested
            if score is not None or last or stopping or _due(self.config.log.checkpoint, done):
                self._save(done, state, position, score)
                self.log.draw_curve(last=last or stopping)
        return last or stopping

    def _count(self, measured: TrainMetrics) -> None:
        if self.timer.started:
            self.timer.step()
        else:  # The first step was compiled; what comes next is worth timing.
            jax.block_until_ready(measured)
            self.timer.start()

    def _write_line(self, done: int) -> None:
        values = self.metrics.mean()
        values["learning_rate"] = float(self.schedule(done - 1))
        seconds = self.timer.seconds_a_step()
        if seconds is not None:
            values["examples_per_second"] = self.config.data.batch_size / seconds
        memory = device_memory()
        if memory is not None:
            values["memory_gib"] = memory
        self.log.write(done, values)
        self.log.show(done, values, seconds)

    def _draw(self, done: int, state: TrainState, batch: HostBatch) -> None:
        """A sheet of the first examples of this process."""
        self.metrics.check()
        if jax.process_index() != 0:
            return
        row = {name: local(array)[0] for name, array in batch.items()}
        key = jax.random.fold_in(jax.random.wrap_key_data(local(state.key)), done)
        seen, predictions = jax.device_get(self.predict(_weights(state), row, key))
        sheet = preview.prediction_sheet(seen, predictions, rows=_ROWS, tile_width=_TILE_WIDTH)
        path = make_output_folder(self.workdir / IMAGES) / f"{done:07d}.png"
        with replacing(path) as part:
            sheet.save(part, format="PNG")

    def _evaluate(self, done: int, state: TrainState) -> float | None:
        """Held-out J; None where the run is to stop before it is known."""
        self.metrics.check()
        try:
            scores = dict(self.evaluate(_weights(state), on_frame=self._check_preemption))
        except EvalInterrupted:
            return None
        self.log.write(done, scores)
        self.log.show(done, scores, None)
        return scores["eval/J"]

    def _check_preemption(self, frames: int) -> None:
        # A process that stopped evaluating alone would leave the others waiting for its scores.
        if self.preemption.requested and jax.process_count() == 1:
            raise EvalInterrupted

    def _save(
        self, done: int, state: TrainState, position: Mapping[str, Any], score: float | None
    ) -> None:
        metrics = self.metrics.to_json()  # Raises before anything poisoned is saved.
        saved = to_saved(
            state, iterator=position, log=metrics, settings={**self.settings, "step": done}
        )
        self.checkpoints.save(done, saved, score=score)


class EvalInterrupted(Exception):  # noqa: N818
    """An evaluation was cut short."""


def local(array: jax.Array) -> jax.Array:
    """The part of an array on the first device of this process; all of one that each has whole."""
    return array.addressable_data(0)


def _weights(state: TrainState) -> Params:
    return jax.tree.map(local, eval_params(state))


def _due(interval: int, done: int) -> bool:
    return bool(interval) and done % interval == 0
