"""Interleaved timing: whatever else the machine does falls on all cases alike."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax


@dataclass(frozen=True)
class Memory:
    """What the compiler plans for one step, in bytes; `templates` are part of the arguments."""

    arguments: int
    results: int
    temporary: int
    templates: int

    @property
    def total(self) -> int:
        """All that is on the device while the step runs."""
        return self.arguments + self.results + self.temporary


@dataclass(frozen=True)
class Case:
    """One program, timed once in every round.

    Attributes:
        label: for the report.
        run: one step, which returns when its result is there.
        compile_seconds: None where nothing is compiled.
        memory: None where nothing is known before it runs.
    """

    label: str
    run: Callable[[], object]
    compile_seconds: float | None = None
    memory: Memory | None = None


@dataclass(frozen=True)
class Times:
    """Seconds of every round; `processor` counts all threads of this process."""

    wall: tuple[float, ...]
    processor: tuple[float, ...]


def interleave(cases: Sequence[Case], rounds: int, profile: Path | None = None) -> list[Times]:
    """Runs all cases one after the other, `rounds` times, after a round that is not counted."""
    measured = [([], []) for _ in cases]
    for case in cases:
        case.run()
    for _ in range(rounds):
        for case, (wall, processor) in zip(cases, measured, strict=True):
            clocks = time.perf_counter(), time.process_time()
            case.run()
            wall.append(time.perf_counter() - clocks[0])
            processor.append(time.process_time() - clocks[1])
    if profile is not None:
        with jax.profiler.trace(profile):
            for case in cases:
                with jax.profiler.TraceAnnotation(case.label):
                    case.run()
    return [Times(tuple(wall), tuple(processor)) for wall, processor in measured]


def ratio(times: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of the ratios round by round."""
    ratios = [a / b for a, b in zip(times, others, strict=True)]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
