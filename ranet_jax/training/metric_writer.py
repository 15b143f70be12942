"""Logs of a run: JSON lines, a curve, TensorBoard's files, lines on the screen."""

import dataclasses
import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from clu import parameter_overview
from tqdm import tqdm

from ranet_jax.array_typing import Params
from ranet_jax.errors import InputError
from ranet_jax.evaluation import plots
from ranet_jax.io.atomic import replacing
from ranet_jax.io.json_files import parse_json
from ranet_jax.io.paths import is_address
from ranet_jax.io.records import Record
from ranet_jax.io.settings import whole

METRICS, CURVE, TENSORBOARD = "metrics.jsonl", "curve.png", "tensorboard"
_CURVE_SECONDS = 30  # from one drawing of the curve to the next
Values = dict[str, Any]


class JsonlWriter:
    """A file of JSON objects, one a line, each with its `step`."""

    def __init__(self, path: Path):
        self._path, self._sent = path, ""

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes a line at once."""
        line = json.dumps(record) + "\n"
        if is_address(self._path):  # Nothing is appended to there: the whole is sent again.
            self._sent = (self._sent or self._text()) + line
            self._path.write_text(self._sent, encoding="utf-8")
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)

    def read(self) -> list[Values]:
        """All lines; a last one that was cut off is as if it had never been written.

        Raises:
            InputError: another line is damaged.
        """
        return list(_whole(self._text(), self._path))

    def cut(self, step: int) -> None:
        """Removes what came after a step: it will be written again."""
        kept = [record for record in self.read() if record["step"] <= step]
        with replacing(self._path) as path:
            path.write_text("".join(json.dumps(record) + "\n" for record in kept))
        self._sent = ""

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        except UnicodeDecodeError:
            raise InputError(f"{self._path} is damaged: it is no text; move it away.") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line(Record):
    """What a line is known by; it has numbers beside."""

    step: int = whole(0, 10**9, "that it tells of")


def _whole(text: str, path: Path) -> Iterator[Values]:
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        # A run that was killed may leave the last line cut off.
        if number == len(lines) and not line.endswith("\n"):
            return
        source = f"Line {number} of {path}"
        values = parse_json(line, source)
        _Line.parse(values, source)
        if bad := [name for name, value in values.items() if not _is_number(value)]:
            raise InputError(f"{source} is damaged or was edited: {bad[0]} is no number.")
        yield values


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < math.inf


class StepTimer:
    """Time spent on steps alone."""

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self._now, self._since, self._away, self._steps = now, None, 0.0, 0

    def start(self) -> None:
        """Counts from here; the first step, which compiles, comes before."""
        self._since, self._away, self._steps = self._now(), 0.0, 0

    def step(self) -> None:
        """Another step was made."""
        self._steps += 1

    @property
    def started(self) -> bool:
        """Whether it counts."""
        return self._since is not None

    def seconds_a_step(self) -> float | None:
        """Since the last time this was asked; None before there is a step to go by."""
        if not self.started or not self._steps:
            return None
        seconds = (self._now() - self._since - self._away) / self._steps
        self.start()
        return seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in this context does not count for the steps."""
        before = self._now()
        try:
            yield
        finally:
            self._away += self._now() - before


class Log:
    """Writes the records of a run to all logs. Only the first process of a run writes; the logs of
    the others do nothing.
    """

    def __init__(self, workdir: Path, *, name: str, first: int, steps: int, active: bool = True):
        """Removes what was written after step `first`, and resumes from there.

        Args:
            workdir: the folder of the run.
            name: of the run, for the screen.
            first: steps already made.
            steps: to be made in all.
            active: False for a process that writes nothing.
        """
        self._workdir, self._steps, self._active = workdir, steps, active
        self._drawn = time.monotonic()
        self._lines = JsonlWriter(workdir / METRICS)
        self._bar = tqdm(
            total=steps, initial=first, desc=name, unit="step", disable=None if active else True
        )
        self._tensorboard_writer = None
        if active:
            self._lines.cut(first)
            self._tensorboard_writer = self._open_tensorboard(first)

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
        if self._tensorboard_writer:
            self._tensorboard_writer.close()

    def say(self, text: str) -> None:
        """Prints, above the progress bar where there is one."""
        if self._active:
            tqdm.write(text)
            sys.stdout.flush()  # a line at a time, into files as well

    def overview(self, params: Params) -> None:
        """Prints the table of parameters."""
        if self._active:
            shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
            self.say(parameter_overview.get_parameter_overview(shapes, include_stats=False))

    def advance(self) -> None:
        """Another step was made."""
        self._bar.update()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes what was measured at a step."""
        if not self._active:
            return
        self._lines.append({"step": step, **values})
        if self._tensorboard_writer:
            for name, value in values.items():
                self._tensorboard_writer.add_scalar(name, value, step)

    def show(self, step: int, values: Mapping[str, float], seconds_a_step: float | None) -> None:
        """On the screen: in the progress bar, or as a line where the output is no terminal."""
        text = ", ".join(
            f"{_SHORT[name]} {value:.4g}" for name, value in values.items() if name in _SHORT
        )
        if not self._bar.disable:
            self._bar.set_postfix_str(text)
        elif seconds_a_step is None:
            self.say(f"step {step}/{self._steps}: {text}")
        else:
            left = timedelta(seconds=round(seconds_a_step * (self._steps - step)))
            self.say(f"step {step}/{self._steps}: {text}, {left} left")

    def evaluated(self, step: int) -> bool:
        """Whether held-out videos were evaluated at this step."""
        return any(r["step"] == step and "eval/J" in r for r in self._lines.read())

    def draw_curve(self, *, last: bool) -> None:
        """Redraws `curve.png` at the end, and where it is old: meanwhile the device waits."""
        if not self._active or not (last or time.monotonic() > self._drawn + _CURVE_SECONDS):
            return
        if records := self._lines.read():
            draw_curve(records, self._workdir / CURVE)
        self._drawn = time.monotonic()

    def _open_tensorboard(self, first: int) -> Any:
        """A writer of TensorBoard's files, or None where its package is not installed."""
        if is_address(self._workdir):
            self.say(
                "No files for TensorBoard: they are written to a folder of this machine alone."
            )
            return None
        if not importlib.util.find_spec("tensorboardX"):
            self.say(
                "No files for TensorBoard: tensorboardX is not installed (pip install "
                "'ranet-jax[tensorboard]')."
            )
            return None
        from tensorboardX import SummaryWriter

        return SummaryWriter(str(self._workdir / TENSORBOARD), purge_step=first + 1)


_SHORT = {
    "loss": "loss",
    "iou": "IoU",
    "examples_per_second": "examples/s",
    "memory_gib": "GiB",
    "eval/J": "eval J",
    "eval/F": "F",
}


def device_memory() -> float | None:
    """The most memory that the first local device has had in use, in GiB, where it tells."""
    told = jax.local_devices()[0].memory_stats() or {}
    peak = told.get("peak_bytes_in_use")
    return None if peak is None else peak / 2**30


def draw_curve(records: list[Values], path: Path) -> None:
    """Writes a PNG: the loss, and held-out J where it was measured, against the step."""
    figure = plots.new_figure(7, 4)
    axes = figure.add_subplot()
    plots.tidy(axes)
    axes.set_xlabel("step")
    axes.set_ylabel("loss", color=plots.BLUE)
    axes.plot(*_series(records, "loss"), color=plots.BLUE)
    axes.set_ylim(bottom=0)
    steps, values = _series(records, "eval/J")
    if steps:
        other = axes.twinx()
        other.spines[["top", "left"]].set_visible(False)
        other.set_ylim(0, 1)
        other.set_ylabel("eval J", color=plots.RED)
        other.plot(steps, values, color=plots.RED, marker="o", markersize=4)
    plots.save(figure, path)


def _series(records: list[Values], name: str) -> tuple[list[int], list[float]]:
    found = [(record["step"], record[name]) for record in records if name in record]
    return [step for step, _ in found], [value for _, value in found]
