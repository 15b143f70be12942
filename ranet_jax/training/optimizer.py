"""Adam with what surrounds it (paper 3.5: Adam at a constant 1e-5)."""

import functools
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ranet_jax.array_typing import Params
from ranet_jax.errors import InputError

Schedule = Literal["constant", "cosine"]
BACKBONE = "backbone"  # the parameters that come from ImageNet


def make_optimizer(
    *,
    learning_rate: float,
    steps: int,
    warmup_steps: int = 0,
    schedule: Schedule = "constant",
    clip_norm: float | None = None,
    backbone_lr_multiplier: float = 1.0,
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) for the parameters of a RANet.

    Args:
        learning_rate: the largest rate.
        steps: length of the training, at whose end a cosine reaches zero.
        warmup_steps: the rate grows linearly over so many steps.
        schedule: of the rate afterwards.
        clip_norm: gradients whose joint norm is larger are scaled down to it.
        backbone_lr_multiplier: the backbone's rate as a share of the others'; 0 freezes it.

    Raises:
        InputError: for an unknown schedule, or a number out of its range.
    """
    _check(learning_rate, steps, warmup_steps, schedule, clip_norm, backbone_lr_multiplier)
    rate = functools.partial(
        rate_at,
        learning_rate=learning_rate,
        steps=steps,
        warmup_steps=warmup_steps,
        schedule=schedule,
    )
    parts = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
    # As one vector: hundreds of small programs would take longer to compile than the network.
    parts.append(optax.flatten(optax.scale_by_adam()))
    if backbone_lr_multiplier != 1:
        parts.append(optax.masked(optax.scale(backbone_lr_multiplier), _is_backbone))
    adam = optax.chain(*parts, optax.scale_by_learning_rate(rate))
    if backbone_lr_multiplier:
        return adam
    return optax.partition({"frozen": optax.set_to_zero(), "trained": adam}, _frozen_or_trained)


def rate_at(
    step: Int[Array, ""] | int,
    *,
    learning_rate: float,
    steps: int,
    warmup_steps: int = 0,
    schedule: Schedule = "constant",
) -> Float[Array, ""]:
    """The learning rate of a step, counted from 0."""
    step = jnp.asarray(step, jnp.float32)
    rate = learning_rate * jnp.minimum(1.0, (step + 1) / (warmup_steps + 1))
    if schedule == "cosine":
        done = (step - warmup_steps) / max(1, steps - warmup_steps)
        rate *= (1 + jnp.cos(jnp.pi * jnp.clip(done, 0, 1))) / 2
    return rate


def _check(learning_rate, steps, warmup_steps, schedule, clip_norm, backbone_lr_multiplier) -> None:
    if schedule not in get_args(Schedule):
        choices = " or ".join(get_args(Schedule))
        raise InputError(f"The schedule is {schedule!r}; it can be {choices}.")
    if learning_rate <= 0 or steps < 1 or backbone_lr_multiplier < 0 or (clip_norm or 0) < 0:
        raise InputError(
            "The learning rate must be above 0, the steps 1 or more, and clip_norm and "
            f"backbone_lr_multiplier not negative: got {learning_rate}, {steps}, {clip_norm} and "
            f"{backbone_lr_multiplier}."
        )
    if not 0 <= warmup_steps < steps:
        raise InputError(
            f"{warmup_steps} warm-up steps do not fit into {steps} steps: choose from 0 to below "
            "the number of steps."
        )


def _is_backbone(params: Params) -> dict:
    return {name: jax.tree.map(lambda _, n=name: n == BACKBONE, params[name]) for name in params}


def _frozen_or_trained(params: Params) -> dict:
    labels = {True: "frozen", False: "trained"}
    return jax.tree.map(labels.get, _is_backbone(params))
