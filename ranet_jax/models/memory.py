"""Templates: the first frame, and earlier frames kept in memory slots beside it (pure).

The paper matches every frame with the first one alone. Here further frames can be kept with masks
of their own, as in space-time memory networks (Oh et al., ICCV 2019): their cells are candidates of
the ranking like those of the first frame, so nothing after the ranking changes in size.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ranet_jax.array_typing import ObjectMasks, Template, TemplateMasks
from ranet_jax.models.encoder import TEMPLATE_GRID
from ranet_jax.models.ops import average_pool


class EncodedTemplate(NamedTuple):
    """What is kept of the template frames: of the first one, then of those in memory."""

    features: Template
    masks: TemplateMasks
    filled: Bool[Array, "b t"]  # the first frame always; a slot after its first `remember`


def pool_masks(masks: ObjectMasks) -> Float[Array, "b n k"]:
    """Area fractions on the 15 x 27 template grid."""
    b, n = masks.shape[:2]
    fractions = average_pool(jnp.moveaxis(masks, 1, -1).astype(jnp.float32), TEMPLATE_GRID)
    return jnp.moveaxis(fractions, -1, 1).reshape(b, n, -1)


def first_template(
    pooled: Float[Array, "b k c"], masks: ObjectMasks, memory: int
) -> EncodedTemplate:
    """The first frame and `memory` empty slots.

    Args:
        pooled: features of the first frame, from `encoder.pool_template`.
        masks: of each object slot, [b, n, H, W].
        memory: number of slots for later frames.
    """
    filled = jnp.arange(1 + memory) == 0
    return EncodedTemplate(
        jnp.pad(pooled[:, None], ((0, 0), (0, memory), (0, 0), (0, 0))),
        jnp.pad(pool_masks(masks)[:, :, None], ((0, 0), (0, 0), (0, memory), (0, 0))),
        jnp.broadcast_to(filled, (len(pooled), 1 + memory)),
    )


def remember(
    template: EncodedTemplate,
    pooled: Float[Array, "b k c"],
    masks: ObjectMasks,
    slot: int | Int[Array, ""] | Int[Array, " b"],
    keep: Bool[Array, " b"],
) -> EncodedTemplate:
    """Writes a frame into a memory slot, over what it held.

    Args:
        template: of every sample.
        pooled: features of the frame, from `RANet.segment_and_pool`.
        masks: of each object slot in that frame, 0 and 1 or probabilities, [b, n, H, W].
        slot: from 1, the same for all samples or one for each; 0 is the first frame.
        keep: which samples are written; the others stay as they are.
    """
    slots = jnp.arange(template.filled.shape[1])
    write = (slots == jnp.asarray(slot)[..., None]) & keep[:, None]
    return EncodedTemplate(
        jnp.where(write[:, :, None, None], pooled[:, None], template.features),
        jnp.where(write[:, None, :, None], pool_masks(masks)[:, :, None], template.masks),
        template.filled | write,
    )
