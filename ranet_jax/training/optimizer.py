"""Adam, clipping, rates and schedules (paper 3.5: Adam at a constant 1e-5)."""

import jax
import optax

from ranet_jax.array_typing import Params
from ranet_jax.training.config import OptimizerConfig

BACKBONE = "backbone"  # the parameters that come from ImageNet


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) for the parameters of a RANet.

    Args:
        config: its settings.
        steps: length of the training, at whose end a cosine reaches zero.
    """
    parts = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []
    # As one vector: hundreds of small programs would take longer to compile than the network.
    parts.append(optax.flatten(optax.scale_by_adam()))
    if config.backbone_lr_multiplier != 1:
        parts.append(optax.masked(optax.scale(config.backbone_lr_multiplier), _is_backbone))
    adam = optax.chain(*parts, optax.scale_by_learning_rate(make_schedule(config, steps)))
    if config.backbone_lr_multiplier:
        return adam
    return optax.partition({"frozen": optax.set_to_zero(), "trained": adam}, _frozen_or_trained)


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """The learning rate by step, counted from 0: a linear warm-up, then constant or a cosine."""
    rate, warmup = config.learning_rate, config.warmup_steps
    start = rate / (warmup + 1)  # the first step already has a rate above zero
    if config.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(start, rate, warmup, steps)
    return optax.warmup_constant_schedule(start, rate, warmup)


def _is_backbone(params: Params) -> dict:
    return {name: jax.tree.map(lambda _, n=name: n == BACKBONE, params[name]) for name in params}


def _frozen_or_trained(params: Params) -> dict:
    labels = {True: "frozen", False: "trained"}
    return jax.tree.map(labels.get, _is_backbone(params))
