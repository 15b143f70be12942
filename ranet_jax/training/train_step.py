"""One training step: a pure function of the state and a batch, mapped over devices by `pmap`.

What surrounds the steps (data, logs, checkpoints, evaluation) is in `loop.py` and `hooks.py`.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from clu import metrics
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from ranet_jax.array_typing import Logits, Params, Probabilities
from ranet_jax.errors import InputError
from ranet_jax.models.ranet import RANet
from ranet_jax.training.augment import STATIC, HostBatch, TrainingBatch, augment_each
from ranet_jax.training.clip import clip_logits
from ranet_jax.training.config import TrainConfig
from ranet_jax.training.losses import overlap, segmentation_loss
from ranet_jax.training.optimizer import BACKBONE
from ranet_jax.training.train_state import TrainState

AXIS = "devices"


def replicate(values: PyTree) -> PyTree:
    """Arrays where a step leaves its state: from elsewhere the first two steps would both compile,
    and what is elsewhere would be moved in every step."""
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()), (AXIS,))
    return jax.device_put(values, NamedSharding(mesh, PartitionSpec()))


@flax.struct.dataclass
class TrainMetrics(metrics.Collection):
    """Means over the steps that were merged.

    Attributes:
        loss: `losses.segmentation_loss`, the mean over examples.
        iou: overlap of the thresholded predictions with the targets, the mean over objects.
        gradient_norm: of all trained parameters together, before clipping.
    """

    loss: metrics.Average.from_output("loss")
    iou: metrics.Average.from_output("iou")
    gradient_norm: metrics.Average.from_output("gradient_norm")


@dataclasses.dataclass(frozen=True)
class Step:
    """A step for all devices of all processes, with the numbers it is called with.

    Steps that differ only in `numbers` are one program: with those of another, `program` is not
    compiled again.

    Attributes:
        program: the mapped `train_step`, of (state, batch, numbers).
        numbers: `augmentation`, those of its settings that are not in `augment.STATIC`, and
            `ema_decay`.
    """

    program: Any
    numbers: Mapping[str, Any]

    def __call__(self, state: TrainState, batch: HostBatch) -> tuple[TrainState, TrainMetrics]:
        """The next state, and what was measured; the memory of `state` is donated."""
        return self.program(state, batch, self.numbers)

    def lower(self, state: TrainState, batch: HostBatch) -> jax.stages.Lowered:
        """The program for arguments of these shapes, not compiled."""
        return self.program.lower(state, batch, self.numbers)


def make_step(
    model: RANet,
    optimizer: optax.GradientTransformation,
    config: TrainConfig,
    devices: Sequence[jax.Device] | None = None,
) -> Step:
    """Compiles nothing yet; returns the step for all devices of all processes.

    The state goes in and comes out whole, as on one device, and its memory is donated. The
    batch has the leading axes [local devices, examples a device]. The same examples in the same
    order give the same result, up to rounding, on any number of devices and processes.

    Args:
        model: the network.
        optimizer: see `optimizer.make_optimizer`.
        config: how examples are augmented, in how many microbatches they are computed, one after
            the other to save memory, and the decay d of the mean of the parameters,
            mean = d mean + (1 - d) params (smaller in the first steps; 0 keeps no mean). The
            gradients of a frozen backbone are not computed.
        devices: to run on; all of them if None.

    Raises:
        InputError: when called with a batch that `optimizer.grad_accum_steps` does not divide.
    """
    devices = list(devices or jax.devices())
    static = {name: value for name, value in config.augmentation.items() if name in STATIC}
    traced = {name: value for name, value in config.augmentation.items() if name not in STATIC}
    step = functools.partial(
        train_step,
        model=model,
        optimizer=optimizer,
        augmentation=static,
        grad_accum_steps=config.optimizer.grad_accum_steps,
        freeze_backbone=config.optimizer.backbone_lr_multiplier == 0,
        through_time=config.optimizer.through_time,
        processes=len({device.process_index for device in devices}),
    )
    program = jax.pmap(
        step,
        axis_name=AXIS,
        in_axes=(None, 0, None),
        out_axes=(None, None),
        donate_argnums=(0,),
        devices=devices,
    )
    numbers = {"augmentation": traced, "ema_decay": config.optimizer.ema_decay}
    return Step(program, jax.tree.map(jnp.float32, numbers))


def train_step(
    state: TrainState,
    batch: HostBatch,
    numbers: Mapping[str, Any],
    *,
    model: RANet,
    optimizer: optax.GradientTransformation,
    augmentation: Mapping[str, Any],
    grad_accum_steps: int,
    freeze_backbone: bool,
    through_time: bool,
    processes: int,
) -> tuple[TrainState, TrainMetrics]:
    """One update from this device's part of a batch; needs the axis `AXIS` (see `make_step`)."""
    keys = _example_keys(state, batch["valid"].shape[0], processes)
    loss = functools.partial(
        _loss,
        model=model,
        augmentation={**augmentation, **numbers["augmentation"]},
        freeze_backbone=freeze_backbone,
        through_time=through_time,
    )
    gradients, sums = _accumulated(loss, state.params, keys, batch, grad_accum_steps)
    gradients, mean_loss = jax.lax.pmean((gradients, sums["loss"]), AXIS)
    overlaps, objects = jax.lax.psum((sums["overlap"], sums["objects"]), AXIS)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema_params = state.ema_params
    if ema_params is not None:
        decay = jnp.minimum(numbers["ema_decay"], (1 + state.step) / (10 + state.step))
        ema_params = optax.incremental_update(params, ema_params, 1 - decay)
    measured = TrainMetrics.single_from_model_output(
        loss=mean_loss,
        iou=overlaps / jnp.maximum(objects, 1),
        gradient_norm=optax.tree.norm(gradients),
    )
    return TrainState(state.step + 1, params, opt_state, ema_params, state.key), measured


@functools.partial(jax.jit, static_argnames=("model", *STATIC))
def predict(
    model: RANet, params: Params, batch: HostBatch, key: Array, **augmentation: Any
) -> tuple[TrainingBatch, Probabilities]:
    """What the network sees of a batch, and what it makes of it: for the sheets of `Hooks`.

    Args:
        model: the network.
        params: its parameters.
        batch: of one device, [b, ...].
        key: of the augmentation.
        **augmentation: arguments of `augment.augment`.
    """
    seen = augment_each(jax.random.split(key, batch["valid"].shape[0]), batch, **augmentation)
    return seen, jax.nn.sigmoid(network_logits(model, params, seen))


def _example_keys(state: TrainState, count: int, processes: int) -> Array:
    """A key for each example by its place in the batch of all processes together.

    Process p of P takes every P-th example from p on, and splits them over its devices in order.
    """
    device = jax.lax.axis_index(AXIS)
    local_devices = jax.lax.axis_size(AXIS) // processes
    place = (device % local_devices) * count + jnp.arange(count)
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, place * processes + device // local_devices)


def network_logits(model: RANet, params: Params, seen: TrainingBatch) -> Logits:
    """What the network makes of an augmented batch, [b, n, H, W]."""
    return model.apply(
        {"params": params},
        seen["template_image"],
        seen["template_masks"],
        seen["image"],
        seen["previous_masks"],
        seen["valid"],
    )


def _loss(params, keys, batch, *, model, augmentation, freeze_backbone, through_time):
    seen = augment_each(keys, batch, **augmentation)
    if freeze_backbone:
        params = {**params, BACKBONE: jax.lax.stop_gradient(params[BACKBONE])}
    valid = seen["valid"]
    if "later_ids" in batch:
        logits, targets = clip_logits(model, params, keys, batch, seen, augmentation, through_time)
        # The frames of a clip count as examples of one batch.
        logits, targets = (x.reshape(-1, *x.shape[2:]) for x in (logits, targets))
        valid = jnp.tile(valid, (len(logits) // len(valid), 1))
    else:
        logits, targets = network_logits(model, params, seen), seen["target_masks"]
    loss = segmentation_loss(logits, targets, valid, model.mode).mean()
    sums = {
        "loss": loss,
        "overlap": overlap(logits, targets, valid, model.mode).sum(),
        "objects": valid.sum(),
    }
    return loss, sums


def _accumulated(loss, params, keys, batch, microbatches: int):
    """Gradients and metrics of all examples, computed in microbatches one after the other."""
    gradient = jax.grad(loss, has_aux=True)
    if microbatches == 1:
        return gradient(params, keys, batch)
    if keys.shape[0] % microbatches:
        raise InputError(
            f"{keys.shape[0]} examples a device cannot be split into {microbatches} equal "
            "microbatches: choose a batch size that is a multiple of devices and microbatches."
        )
    split = jax.tree.map(lambda x: x.reshape(microbatches, -1, *x.shape[1:]), (keys, batch))

    def add(total, microbatch):
        return jax.tree.map(jnp.add, total, gradient(params, *microbatch)), None

    shapes = jax.eval_shape(gradient, params, *jax.tree.map(lambda x: x[0], split))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (gradients, sums), _ = jax.lax.scan(add, zeros, split)
    gradients, mean_loss = jax.tree.map(lambda x: x / microbatches, (gradients, sums["loss"]))
    return gradients, {**sums, "loss": mean_loss}
