"""What a training step needs on TPUs that are not there: `ranet train --compile-for`.

The step is the one that a run maps over its devices, compiled for all chips of the slice.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ranet_jax.benchmarks.chips import CHIPS, GIB, compile_program, open_topology, parse_target
from ranet_jax.benchmarks.compile_for import describe_program, print_parts
from ranet_jax.benchmarks.hlo import costs, read_program
from ranet_jax.errors import InputError
from ranet_jax.io.json_files import write_json
from ranet_jax.training.config import TrainConfig
from ranet_jax.training.memory import lower_step, planned_bytes

MAX_EXAMPLES = 1024  # of one chip
_TOO_MUCH = re.compile(r"Used ([\d.]+)([KMG]) of ([\d.]+)([KMG]) hbm")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


class Attempt(NamedTuple):
    """A step compiled for so many examples a chip.

    Attributes:
        examples: of one chip.
        used: bytes of its memory.
        program: None where they do not fit.
        seconds: that compiling took.
    """

    examples: int
    used: float
    program: jax.stages.Compiled | None
    seconds: float


def compile_training(config: TrainConfig, target: str, out: Path | None = None) -> dict[str, Any]:
    """Compiles a config's step for a slice and prints what it takes and how fast it might be.

    Args:
        config: its batch is shared among the chips.
        target: a slice, such as `v5e:4x4`.
        out: a JSON file for all figures.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: an unknown slice, a missing compiler, a batch that cannot be shared among its
            chips, or one that does not fit into their memory.
    """
    chip, shape = parse_target(target)
    devices = open_topology(target)
    hosts = len({device.process_index for device in devices})
    config.check_batch(devices=len(devices), processes=hosts)
    examples = config.data.batch_size // len(devices)
    print(
        f"{config.name}, {config.data.height}x{config.data.width}, {config.data.slots} slots, "
        f"{config.precision}{', rematerialized' * config.remat}, on {chip}:{shape} ({len(devices)} "
        f"chips, {hosts} host{'s' * (hosts > 1)}): XLA's estimates, nothing was run.",
        flush=True,
    )

    def attempt(count: int) -> Attempt:
        return _compile(config, count, devices)

    asked = attempt(examples)
    largest = largest_fitting(attempt, asked, CHIPS[chip].memory)
    found = {
        "target": f"{chip}:{shape}",
        "config": dict(config.flat()),
        "examples": examples,
        "largest": largest,
        "used": asked.used,
        "memory": CHIPS[chip].memory,
    }
    if asked.program is None:
        raise InputError(_does_not_fit(found, chip))
    found |= describe_program(asked.program, [], chip) | {"compile_seconds": asked.seconds}
    found["sent"] = sum(cost.sent for cost in costs(read_program(asked.program.as_text())))
    _print(found, chip, config.data.batch_size)
    if out is not None:
        write_json(out, found)
    return found


def _compile(config: TrainConfig, examples: int, devices: list[jax.Device]) -> Attempt:
    lowered = lower_step(config, examples, devices)
    start = time.perf_counter()
    try:
        program = compile_program(lowered)
        used = planned_bytes(program)
    except jax.errors.JaxRuntimeError as error:
        program, used = None, memory_asked_for(str(error))
        if used is None:
            raise
    seconds = time.perf_counter() - start
    verdict = f"{used / GIB:.2f} GiB, {'fits' if program else 'does not fit'}"
    print(f"  {examples} examples a chip: {verdict}; compiled in {seconds:.0f} s", flush=True)
    return Attempt(examples, used, program, seconds)


def memory_asked_for(message: str) -> float | None:
    """Bytes of a program that the compiler gave up for its size; None for any other error."""
    found = _TOO_MUCH.search(message)
    return float(found[1]) * _UNITS[found[2]] if found else None


def largest_fitting(attempt: Callable[[int], Attempt], first: Attempt, memory: float) -> int:
    """The most examples a chip can take, by bisection from what the first attempt needed.

    Between the bounds known so far the next attempt is where memory, taken to grow by as much with
    every example, is just used up; so a few suffice.

    Args:
        attempt: compiles for a number of examples.
        first: one that was made already.
        memory: of a chip, bytes.
    """
    fits, fails = (first.examples, MAX_EXAMPLES) if first.program else (0, first.examples)
    known = [first]
    while fits + 1 < fails:
        guess = _extrapolated(known, memory)
        known.append(attempt(min(max(guess, fits + 1), fails - 1)))
        if known[-1].program is None:
            fails = known[-1].examples
        else:
            fits = known[-1].examples
    return fits


def _extrapolated(known: list[Attempt], memory: float) -> int:
    """Examples that just fit, on the line through the last two attempts, or through the origin."""
    last = known[-1]
    if len(known) == 1:
        return int(last.examples * memory / last.used)
    before = known[-2]
    example = (last.used - before.used) / (last.examples - before.examples)
    return int(last.examples + (memory - last.used) / example) if example > 0 else MAX_EXAMPLES


def _does_not_fit(found: dict[str, Any], chip: str) -> str:
    most = found["largest"]
    advice = (
        f"at most {most} fit: choose a smaller data.batch_size or more chips"
        if most
        else "not even one fits: try remat=True, bfloat16 or a smaller input"
    )
    return (
        f"{found['examples']} examples a chip need {found['used'] / GIB:.1f} GiB and a {chip} has "
        f"{found['memory'] / GIB:.0f}; {advice}."
    )


def _print(found: dict[str, Any], chip: str, batch: int) -> None:
    cycles = sum(row["cycles"] for row in found["parts"])
    seconds = cycles / CHIPS[chip].clock
    print_parts(found["parts"])
    print(
        f"{found['used'] / GIB:.2f} of {found['memory'] / GIB:.0f} GiB a chip with "
        f"{found['examples']} examples; at most {found['largest']} examples a chip fit"
    )
    print(
        f"{cycles / 1e6:.1f} M cycles a step, {cycles / found['examples'] / 1e6:.1f} M an example; "
        f"{found['sent'] / 1e6:.0f} MB are summed over the chips; {1e3 * seconds:.1f} ms a step, "
        f"{batch / seconds:.1f} examples a second, without the exchange between chips"
    )
