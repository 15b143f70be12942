"""From the backbone's levels to l2-normalized matching features (paper section 3.4, supplement)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ranet_jax.array_typing import Features
from ranet_jax.models.layers import ConvBlock
from ranet_jax.models.ops import average_pool, l2_normalize, resize_half_pixel
from ranet_jax.models.resnet import Levels

TEMPLATE_GRID = (15, 27)


class MatchingFeatures(nn.Module):
    """Reduces the last three levels, brings them to stride 16 and fuses them.

    Attributes:
        width: of the backbone's stem; the result has 8 times as many channels (512 in the paper).
        reduction_size: kernel of the reductions; 3 as published, 1 as in the paper's supplement.
        dtype: what the convolutions compute in; norms and the result are float32.
    """

    width: int = 64
    reduction_size: int = 3
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, levels: Levels) -> Features:
        """Reads levels 3 to 5 -> [b, H/16, W/16, 8*width], of unit length over channels."""
        _, _, c3, c4, c5 = levels
        reduced = [
            ConvBlock(multiple * self.width, self.reduction_size, self.dtype, name=name)(level)
            for name, level, multiple in (
                ("reduce3", c3, 2),
                ("reduce4", c4, 4),
                ("reduce5", c5, 8),
            )
        ]
        size = c4.shape[1:3]
        aligned = [
            nn.max_pool(reduced[0], (2, 2), (2, 2)),
            reduced[1],
            resize_half_pixel(reduced[2].astype(jnp.float32), size),
        ]
        x = jnp.concatenate([l2_normalize(a).astype(self.dtype) for a in aligned], axis=-1)
        return l2_normalize(ConvBlock(8 * self.width, 3, self.dtype, name="fuse")(x))


def pool_template(features: Features) -> Float[Array, "b k c"]:
    """Averages features to the template grid, without restoring unit length (as published)."""
    pooled = average_pool(features, TEMPLATE_GRID)
    return pooled.reshape(pooled.shape[0], -1, pooled.shape[-1])
