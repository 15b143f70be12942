"""What a training step needs on TPUs that are not there: `ranet train --compile-for`.

The step is the one that a run maps over its devices, compiled for all chips of the slice.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ranet_jax.benchmarks import parts
from ranet_jax.benchmarks.chips import CHIPS, GIB, compile_program, open_topology, parse_target
from ranet_jax.benchmarks.compile_for import describe_program, print_parts
from ranet_jax.benchmarks.memory_plan import plan_memory
from ranet_jax.errors import InputError
from ranet_jax.io.json_files import write_json
from ranet_jax.training.config import TrainConfig
from ranet_jax.training.memory import lower_step, trace_step

MAX_EXAMPLES = 1024  # of one chip
_NEARLY_FULL = 0.75


class Attempt(NamedTuple):
    """What a step needs with so many examples a chip.

    Attributes:
        examples: of one chip.
        used: bytes of its memory.
        fits: whether it has as many.
    """

    examples: int
    used: float
    fits: bool


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
        return _plan(config, count, target)

    asked = attempt(examples)
    found = {
        "target": f"{chip}:{shape}",
        "config": dict(config.flat()),
        "examples": examples,
        "used": asked.used,
        "memory": CHIPS[chip].memory,
        "largest": largest_fitting(attempt, asked, CHIPS[chip].memory),
    }
    if not asked.fits:
        raise InputError(_does_not_fit(found, chip))
    print(f"At most {found['largest']} examples a chip fit.", flush=True)
    found |= _compile(config, examples, devices, chip)
    _print(found, chip, config.data.batch_size)
    if out is not None:
        write_json(out, found)
    return found


def _plan(config: TrainConfig, examples: int, target: str) -> Attempt:
    used, fits = plan_memory(_lower, config, examples, target)
    verdict = "fits" if fits else "does not fit"
    print(f"  {examples} examples a chip: {used / GIB:.2f} GiB, {verdict}", flush=True)
    return Attempt(examples, used, fits)


def _lower(config: TrainConfig, examples: int, target: str) -> jax.stages.Lowered:
    return lower_step(config, examples, open_topology(target))


def _compile(
    config: TrainConfig, examples: int, devices: Sequence[jax.Device], chip: str
) -> dict[str, Any]:
    """What the whole program tells: cycles, and what is exchanged."""
    start = time.perf_counter()
    program = compile_program(lower_step(config, examples, devices))
    seconds = time.perf_counter() - start
    computed = list(parts.operations(trace_step(config, examples, devices).jaxpr))
    return describe_program(program, computed, chip) | {"compile_seconds": seconds}


def largest_fitting(attempt: Callable[[int], Attempt], first: Attempt, memory: float) -> int:
    """The most examples a chip can take, by bisection that memory guides.

    Args:
        attempt: asks for a number of examples.
        first: one that was made already.
        memory: of a chip, bytes.
    """
    fits, fails = ([first], None) if first.fits else ([Attempt(0, 0.0, True)], first)
    while fails is None or fits[-1].examples + 1 < fails.examples:
        made = attempt(min(_next_number(fits, fails, memory), MAX_EXAMPLES))
        if made.fits and made.examples < MAX_EXAMPLES:
            fits.append(made)
        elif made.fits:
            return MAX_EXAMPLES
        else:
            fails = made
    return fits[-1].examples


def _next_number(fits: list[Attempt], fails: Attempt | None, memory: float) -> int:
    """Where memory, taken to grow by as much with every example, is just used up.

    When it is nearly full the compiler saves memory at the cost of time, and more examples may need
    less: from there on a quarter more at once, and halves of what is left.
    """
    last = fits[-1]
    if fails is not None:
        room = (memory - last.used) / (fails.used - last.used) * (fails.examples - last.examples)
        nearest = last.examples + 1
        middle = (last.examples + fails.examples) // 2
        return max(nearest, min(middle, nearest + int(2 * room)))
    if last.used > _NEARLY_FULL * memory:
        return last.examples + max(1, last.examples // 4)
    before = fits[-2] if len(fits) > 1 else Attempt(0, 0.0, True)
    example = max(last.used - before.used, 1.0) / (last.examples - before.examples)
    room = (memory - last.used) / example
    return last.examples + max(1, int(room))


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
        f"compiled in {found['compile_seconds']:.0f} s; {found['code'] / GIB:.2f} GiB of program; "
        f"{cycles / 1e6:.1f} M cycles a step, {cycles / found['examples'] / 1e6:.1f} M an example; "
        f"{found['sent'] / 1e6:.0f} MB are summed over the chips; {1e3 * seconds:.1f} ms a step, "
        f"{batch / seconds:.1f} examples a second, without the exchange between chips",
        flush=True,
    )
