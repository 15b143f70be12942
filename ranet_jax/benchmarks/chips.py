"""TPUs that programs are compiled for without having one, and what each can do at most."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from ranet_jax.errors import InputError
from ranet_jax.extras import require

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """Figures of what JAX calls one device, from Google's documentation of Cloud TPU.

    That is a chip, and of a v4 half of one.

    Attributes:
        flops: operations a second of matrix products in bfloat16.
        bandwidth: bytes a second between the chip and its memory.
        memory: bytes.
        clock: cycles a second, `flops` by what all matrix units do in one cycle.
        topology: the smallest slice that the compiler knows.
    """

    flops: float
    bandwidth: float
    memory: int
    clock: float
    topology: str


CHIPS = {
    "v4": Chip(275e12 / 2, 1228e9 / 2, 16 * GIB, 1.05e9, "2x2x1"),
    "v5e": Chip(197e12, 819e9, 16 * GIB, 1.5e9, "2x2"),
    "v5p": Chip(459e12, 2765e9, 95 * GIB, 1.75e9, "2x2x1"),
    "v6e": Chip(918e12, 1640e9, 32 * GIB, 1.75e9, "2x2"),
}
# Operations a second in bfloat16 and bytes a second, from NVIDIA's data sheets (SXM modules).
GPUS = {"A100": (312e12, 2.04e12), "H100": (989e12, 3.35e12)}

# What libtpu would ask of the machine that it runs on; the answers do not matter for compiling.
_NO_MACHINE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def parse_target(target: str) -> tuple[str, str]:
    """`v5e` or `v5e:4x4` -> the chip's name and the topology.

    Raises:
        InputError: an unknown chip.
    """
    name, _, shape = target.partition(":")
    if name not in CHIPS:
        raise InputError(
            f"The chip {name!r} is not known; it can be {', '.join(CHIPS)}, and a slice of several "
            "is written as in v5e:4x4."
        )
    return name, shape or CHIPS[name].topology


def open_topology(target: str) -> Sequence[jax.Device]:
    """The devices of a slice that is not there: programs can be compiled for them, and no more.

    Args:
        target: see `parse_target`.

    Raises:
        InputError: an unknown chip or slice, or libtpu, the compiler, is not installed.
    """
    name, shape = parse_target(target)
    require("tpu", "compiling for a TPU")
    from jax.experimental import topologies

    for variable, value in _NO_MACHINE.items():
        os.environ.setdefault(variable, value)
    jax.config.update("jax_platforms", "cpu")  # JAX would look for a TPU where libtpu is installed
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=f"{name}:{shape}").devices
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The slice {name}:{shape} cannot be compiled for: {reason}") from error


def compile_program(
    lowered: jax.stages.Lowered, options: Mapping[str, Any] | None = None
) -> jax.stages.Compiled:
    """Compiles for devices of `open_topology`, past the cache of compiled programs.

    Without the devices a program can be put into that cache, and not be read from it again.

    Args:
        lowered: the program.
        options: of XLA.
    """
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    enabled = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()  # it remembers whether it is in use
    try:
        return lowered.compile(compiler_options=dict(options or {}))
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)
        reset_cache()
