"""One step of the network as a program to time: compiled by XLA, or in PyTorch."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ranet_jax.array_typing import Frame, HostMask, ObjectMasks, Params, Size
from ranet_jax.benchmarks.interleave import Case, Memory
from ranet_jax.demo.clip import render_clip
from ranet_jax.errors import InputError
from ranet_jax.evaluation.machine import usable_cores
from ranet_jax.models.initialization import prepare_params
from ranet_jax.models.memory import EncodedTemplate, first_template, remember
from ranet_jax.models.ranet import RANet

# How the programs are called in reports.
PLAIN, TORCH = "ranet-jax", "PyTorch"


class NetworkInputs(NamedTuple):
    """Arguments of `RANet.segment` after the parameters."""

    template: EncodedTemplate
    frame: Frame
    previous_masks: ObjectMasks
    valid: Bool[Array, "b n"]


def network_inputs(
    model: RANet, params: Params, size: Size, objects: int, batch: int
) -> NetworkInputs:
    """Two frames of the demo's clip, with its object cut into as many as are wanted."""
    clip = render_clip(2, *size)
    template_labels, previous = (split_objects(labels, objects) for labels in clip.labels)
    samples, slots = (batch * objects, 1) if model.mode == "single" else (batch, objects)

    def masks(labels: HostMask) -> ObjectMasks:
        each = labels == np.arange(1, objects + 1, dtype=labels.dtype)[:, None, None]
        return jnp.asarray(np.tile(each, (batch, 1, 1)).reshape(samples, slots, *size), jnp.float32)

    def image(frame: np.ndarray) -> Frame:
        return jnp.asarray(frame[None], jnp.float32) / 255

    encode = jax.jit(lambda p, f, m: model.apply({"params": p}, f, m, method="encode_template"))
    pooled = encode(params, image(clip.frames[0]), jnp.ones((1, 1, *size))).features[:, 0]
    pooled = jnp.repeat(pooled, samples, axis=0)
    areas, everywhere = masks(template_labels), jnp.ones(samples, bool)
    template = first_template(pooled, areas, model.memory)
    for slot in range(1, 1 + model.memory):
        template = remember(template, pooled, areas, slot, everywhere)
    current = jnp.repeat(image(clip.frames[1]), samples, axis=0)
    return NetworkInputs(template, current, masks(previous), jnp.ones((samples, slots), bool))


def split_objects(labels: HostMask, objects: int) -> HostMask:
    """Cuts what is marked into upright strips of equal area, with the ids 1 to `objects`."""
    rows, columns = np.nonzero(labels)
    order = np.argsort(columns, kind="stable")
    split = np.zeros_like(labels)
    split[rows[order], columns[order]] = 1 + np.arange(len(order)) * objects // len(order)
    return split


def compile_with(
    lowered: jax.stages.Lowered, options: Mapping[str, str | bool] | None
) -> jax.stages.Compiled:
    """Compiles with options of XLA, by their names.

    Raises:
        InputError: XLA does not know an option or its value.
    """
    try:
        return lowered.compile(dict(options) if options else None)
    except jax.errors.JaxRuntimeError as error:
        if not options:
            raise
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"XLA refuses {dict(options)}: {reason}.") from error


def compiled_case(
    model: RANet,
    params: Params,
    size: Size,
    objects: int,
    batch: int,
    options: Mapping[str, str] | None = None,
) -> Case:
    """The network of this package; with memory, the frame is written into a slot, too.

    Args:
        model: its settings.
        params: its parameters.
        size: height and width of the input.
        objects: how many.
        batch: number of videos.
        options: of XLA, by their names.

    Raises:
        InputError: XLA does not know an option or its value.
    """
    inputs = network_inputs(model, params, size, objects, batch)
    params = prepare_params(params, model.dtype)

    def step(params: Params, inputs: NetworkInputs):
        found = model.apply({"params": params}, *inputs, method="segment_and_pool")
        if not model.memory:
            return found[0]
        written = remember(
            inputs.template, found[1], inputs.previous_masks, 1, inputs.valid.any(axis=1)
        )
        return found[0], written

    start = time.perf_counter()
    program = compile_with(jax.jit(step).lower(params, inputs), options)
    seconds = time.perf_counter() - start
    plan = program.memory_analysis()
    memory = Memory(
        plan.argument_size_in_bytes,
        plan.output_size_in_bytes,
        plan.temp_size_in_bytes,
        sum(part.nbytes for part in inputs.template),
    )
    label = ", ".join([PLAIN, *(f"{name}={value}" for name, value in (options or {}).items())])
    return Case(label, lambda: jax.block_until_ready(program(params, inputs)), seconds, memory)


def torch_case(model: RANet, params: Params, size: Size, objects: int, batch: int) -> Case:
    """The same layers and parameters in PyTorch, in whichever layout is faster."""
    from ranet_jax.benchmarks.torch_reference import fastest_step

    inputs = network_inputs(model, params, size, objects, batch)
    layout, step = fastest_step(
        model,
        params,
        (np.asarray(inputs.template.features[:, 0]), np.asarray(inputs.template.masks[:, :, 0])),
        np.asarray(inputs.frame),
        np.asarray(inputs.previous_masks),
        threads=usable_cores(),
    )
    return Case(f"{TORCH}, {layout}", step)
