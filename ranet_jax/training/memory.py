"""How much memory a training step needs, read off the compiler without running it.

The compiler plans every buffer of a program before it runs. A step is compiled for one and for two
examples a device; what the second one adds is the cost of an example, the rest that of the state.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ranet_jax.models.initialization import abstract_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training import train_step as train
from ranet_jax.training.augment import HostBatch
from ranet_jax.training.optimizer import make_optimizer

GIGABYTE = 1e9
USABLE = 0.9  # of a device's memory: the rest is the runtime's, and lost between buffers


class Need(NamedTuple):
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


def table(
    model: RANet,
    *,
    size: tuple[int, int],
    slots: int,
    optimizer: Mapping[str, Any],
    step: Mapping[str, Any],
    gigabytes: Sequence[int] = (16, 40, 80),
) -> Iterator[str]:
    """A Markdown table of the largest batch a device, with and without rematerialisation.

    Args:
        model: the network; its own `remat` does not matter.
        size: height and width of the input.
        slots: object slots of an example.
        optimizer: arguments of `optimizer.make_optimizer`.
        step: arguments of `train.make_step`; parts are not accumulated.
        gigabytes: memory of the devices to tell of.
    """
    sizes = " | ".join(f"{g} GB" for g in gigabytes)
    yield f"| encoder | state and program | each example | {sizes} |"
    yield f"|---|---|---|{'---|' * len(gigabytes)}"
    for remat, name in ((False, "kept"), (True, "rematd")):
        variant = model.clone(remat=remat)
        need = measure(variant, size=size, slots=slots, optimizer=optimizer, step=step)
        batches = " | ".join(str(need.largest_batch(g)) for g in gigabytes)
        fixed, example = need.fixed / GIGABYTE, need.example / GIGABYTE
        yield f"| {name} | {fixed:.2f} GB | {example:.2f} GB | {batches} |"


def measure(
    model: RANet,
    *,
    size: tuple[int, int],
    slots: int,
    optimizer: Mapping[str, Any],
    step: Mapping[str, Any],
) -> Need:
    """What a step of this network needs; compiles it twice. Arguments as for `table`."""
    first, second = (
        step_bytes(model, examples, size, slots, optimizer, step) for examples in (1, 2)
    )
    return Need(fixed=2 * first - second, example=second - first)


def step_bytes(
    model: RANet,
    examples: int,
    size: tuple[int, int],
    slots: int,
    optimizer: Mapping[str, Any],
    step: Mapping[str, Any],
) -> float:
    """Bytes of all buffers of a step with so many examples on one device."""
    transformation = make_optimizer(**optimizer)
    arguments = {**step, "grad_accum_steps": 1, "devices": jax.local_devices()[:1]}
    create = functools.partial(
        train.create_state,
        optimizer=transformation,
        seed=0,
        ema_decay=arguments.get("ema_decay", 0.0),
    )
    state = jax.eval_shape(create, abstract_params(model))
    program = train.make_step(model, transformation, **arguments)
    scale = arguments["augmentation"].get("frame_scale", 1)
    batch = _batch(examples, (size[0] * scale, size[1] * scale), slots)
    found = program.lower(state, batch).compile().memory_analysis()
    return (
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        + found.temp_size_in_bytes
        + found.generated_code_size_in_bytes
        - found.alias_size_in_bytes
    )


def _batch(examples: int, canvas: tuple[int, int], slots: int) -> HostBatch:
    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1, examples, *shape), dtype)

    return HostBatch(
        template_image=array(jnp.uint8, *canvas, 3),
        template_ids=array(jnp.uint8, *canvas),
        template_box=array(jnp.float32, 4),
        image=array(jnp.uint8, *canvas, 3),
        ids=array(jnp.uint8, *canvas),
        previous_ids=array(jnp.uint8, *canvas),
        box=array(jnp.float32, 4),
        valid=array(jnp.bool_, slots),
        is_static=array(jnp.bool_),
    )
