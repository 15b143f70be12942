"""A trace of some steps of a run, for XProf or Perfetto."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax

from ranet_jax.io.atomic import make_output_folder

FOLDER = "profile"


class Profiler:
    """Records the steps of a range, of this process, into a folder of the run."""

    def __init__(self, steps: range, workdir: Path):
        """Records nothing yet; an empty range never does.

        Raises:
            InputError: the folder cannot be made.
        """
        self._steps, self._folder = steps, workdir / FOLDER
        if steps:
            make_output_folder(self._folder)
        self._recording = False

    @contextlib.contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Runs a step, counted from 1, and marks it in the trace where it is recorded."""
        if number in self._steps and not self._recording:
            jax.profiler.start_trace(self._folder)
            self._recording = True
        with jax.profiler.StepTraceAnnotation("train", step_num=number):
            yield

    def finish(self, number: int, results: object) -> None:
        """Writes the trace after the last step of the range, when its results are there."""
        if self._recording and number + 1 not in self._steps:
            jax.block_until_ready(results)
            self.close()

    def close(self) -> None:
        """Writes what was recorded, where something was."""
        if self._recording:
            self._recording = False
            jax.profiler.stop_trace()
