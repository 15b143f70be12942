"""How much memory a training step needs, by the compiler's plan, without running it.

The compiler plans every buffer of a program before it runs. A step is compiled for one and for two
examples a device; what the second one adds is the cost of an example, the rest that of the state.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from data_pipelines.config import DataConfig
from ranet_jax.models.initialization import abstract_params
from ranet_jax.models.platforms import lowering_for
from ranet_jax.training.augment import HostBatch
from ranet_jax.training.config import TrainConfig
from ranet_jax.training.optimizer import make_optimizer
from ranet_jax.training.train_state import TrainState, create_state
from ranet_jax.training.train_step import Step, make_step

GIGABYTE = 1e9
USABLE = 0.9  # of a device's memory: the rest is the runtime's, and lost between buffers


class MemoryEstimate(NamedTuple):
    """Bytes on one device.

    Attributes:
        fixed: whatever the batch: parameters, optimizer, program.
        example: for each example of the batch.
    """

    fixed: float
    example: float

    def largest_batch(self, gigabytes: float) -> int:
        """Examples that fit into a device of so many gigabytes (10^9 bytes)."""
        room = USABLE * gigabytes * GIGABYTE - self.fixed
        return max(0, int(room // self.example))


def table(config: TrainConfig, gigabytes: Sequence[int] = (16, 40, 80)) -> Iterator[str]:
    """The largest batch a device, with and without rematerialization: a line, a Markdown table.

    Args:
        config: whose network, input size, slots and clips to compile; its `remat`, its batch and
            its microbatches do not matter.
        gigabytes: memory of the devices to tell of.
    """
    yield (
        f"Examples a device of {config.name}, {config.data.height}x{config.data.width}, "
        f"{config.data.slots} slots, {config.precision}; by the compiler for "
        f"{jax.devices()[0].device_kind}, using {USABLE:.0%} of the memory:"
    )
    sizes = " | ".join(f"{g} GB" for g in gigabytes)
    yield f"| encoder | state and program | each example | {sizes} |"
    yield f"|---|---|---|{'---|' * len(gigabytes)}"
    for remat, name in ((False, "kept"), (True, "rematerialized")):
        need = measure(dataclasses.replace(config, remat=remat))
        batches = " | ".join(str(need.largest_batch(g)) for g in gigabytes)
        fixed, example = need.fixed / GIGABYTE, need.example / GIGABYTE
        yield f"| {name} | {fixed:.2f} GB | {example:.2f} GB | {batches} |"


def measure(config: TrainConfig) -> MemoryEstimate:
    """What a step needs; compiles it twice."""
    first, second = (step_bytes(config, examples) for examples in (1, 2))
    return MemoryEstimate(fixed=2 * first - second, example=second - first)


def step_bytes(config: TrainConfig, examples: int) -> float:
    """Bytes of all buffers of a step with so many examples on one device."""
    return planned_bytes(lower_step(whole(config), examples, jax.local_devices()[:1]).compile())


def whole(config: TrainConfig) -> TrainConfig:
    """The config with its batch computed at once."""
    optimizer = dataclasses.replace(config.optimizer, grad_accum_steps=1)
    return dataclasses.replace(config, optimizer=optimizer)


def planned_bytes(program: jax.stages.Compiled) -> int:
    """Bytes of all buffers on one device; what is donated counts once."""
    found = program.memory_analysis()
    return (
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        + found.temp_size_in_bytes
        + found.generated_code_size_in_bytes
        - found.alias_size_in_bytes
    )


def lower_step(
    config: TrainConfig, examples: int, devices: Sequence[jax.Device]
) -> jax.stages.Lowered:
    """The step of a config, not compiled.

    Args:
        config: its batch size does not matter.
        examples: for each device.
        devices: of this or of another machine, all processes together.
    """
    step, state, batch = _abstract_step(config, examples, devices)
    with lowering_for(devices[0].platform):
        return step.lower(state, batch)


def trace_step(
    config: TrainConfig, examples: int, devices: Sequence[jax.Device]
) -> core.ClosedJaxpr:
    """The same step traced in the plain way, without what is written for TPUs: for counting."""
    step, state, batch = _abstract_step(config, examples, devices)
    with lowering_for("cpu"):
        return jax.make_jaxpr(step)(state, batch)


def _abstract_step(
    config: TrainConfig, examples: int, devices: Sequence[jax.Device]
) -> tuple[Step, TrainState, HostBatch]:
    model = config.network()
    optimizer = make_optimizer(config.optimizer, config.steps)
    create = functools.partial(
        create_state, optimizer=optimizer, seed=0, ema_decay=config.optimizer.ema_decay
    )
    state = jax.eval_shape(create, abstract_params(model))
    step = make_step(model, optimizer, config, devices)
    return step, state, _batch(len(devices), examples, config.data)


def _batch(devices: int, examples: int, data: DataConfig) -> HostBatch:
    canvas, later = data.canvas, data.clip_length - 1

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((devices, examples, *shape), dtype)

    batch = HostBatch(
        template_image=array(jnp.uint8, *canvas, 3),
        template_ids=array(jnp.uint8, *canvas),
        template_box=array(jnp.float32, 4),
        image=array(jnp.uint8, *canvas, 3),
        ids=array(jnp.uint8, *canvas),
        previous_ids=array(jnp.uint8, *canvas),
        box=array(jnp.float32, 4),
        valid=array(jnp.bool_, data.slots),
        is_static=array(jnp.bool_),
    )
    if later:
        batch["later_images"] = array(jnp.uint8, later, *canvas, 3)
        batch["later_ids"] = array(jnp.uint8, later, *canvas)
        batch["frame_box"] = array(jnp.int32, 4)
    return batch
