"""From independent objects to one label a pixel (paper section 3.3).

Both readings give every label a value; the largest wins, the background wins a tie, and of two
objects that tie the later one wins.
"""

from typing import Literal

import jax.numpy as jnp
from jax import nn
from jaxtyping import Array, Float, Int

from ranet_jax.array_typing import Logits, Probabilities, Valid

Aggregation = Literal["softmax", "argmax"]
LabelValues = Float[Array, "b l H W"]


def label_logits(logits: Logits, valid: Valid) -> LabelValues:
    """Logits for a softmax over labels: soft aggregation of independent objects.

    The background's probability is the product over objects of one minus theirs; each label's logit
    is the log odds of its probability. Unused slots get minus infinity.

    Returns:
        [b, n+1, H, W], background first.
    """
    used = valid[:, :, None, None]
    # log(1 - sigmoid(x)) = -softplus(x); the log odds of exp(s) are s - log(1 - exp(s)).
    absent = -jnp.sum(jnp.where(used, nn.softplus(logits), 0), axis=1, keepdims=True)
    absent = jnp.minimum(absent, -1e-6)
    background = absent - jnp.log(-jnp.expm1(absent))
    return jnp.concatenate([background, jnp.where(used, logits, -jnp.inf)], axis=1)


def label_values(
    probabilities: Probabilities, valid: Valid, aggregation: Aggregation
) -> LabelValues:
    """A value for each label from the objects' probabilities.

    `softmax` (the paper's) is the soft aggregation of `label_logits`; `argmax` (the published
    code's) compares the probabilities with each other and with 0.5.

    Returns:
        [b, n+1, H, W] in [0, 1], background first; unused slots are 0.
    """
    used = valid[:, :, None, None]
    probabilities = jnp.where(used, probabilities, 0)
    if aggregation == "argmax":
        half = jnp.full_like(probabilities[:, :1], 0.5)
        return jnp.concatenate([half, probabilities], axis=1)
    background = jnp.prod(1 - probabilities, axis=1, keepdims=True)
    clipped = jnp.clip(jnp.concatenate([background, probabilities], axis=1), 1e-7, 1 - 1e-7)
    odds = clipped / (1 - clipped)
    odds = jnp.where(jnp.pad(used, ((0, 0), (1, 0), (0, 0), (0, 0)), constant_values=True), odds, 0)
    return odds / jnp.sum(odds, axis=1, keepdims=True)


def largest_label(values: LabelValues) -> Int[Array, "b H W"]:
    """Index of the largest value: 0 for background, i for slot i - 1."""
    objects = values[:, 1:]
    best = objects.shape[1] - jnp.argmax(objects[:, ::-1], axis=1)
    return jnp.where(jnp.max(objects, axis=1) > values[:, 0], best, 0)
