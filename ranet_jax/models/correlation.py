"""Correlation of frame and template, and what replaces it in the -CL ablation."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ranet_jax.array_typing import Features, SimilarityMaps, Template
from ranet_jax.models.encoder import TEMPLATE_GRID
from ranet_jax.models.ops import resize_half_pixel


def correlate(template: Template, features: Features) -> SimilarityMaps:
    """Similarity of every template cell to every position of the current frame (paper Eq. 1).

    Args:
        template: pooled features of the template frames, [b, t, k, c].
        features: l2-normalized features of the current frame, [b, h, w, c].

    Returns:
        One map for each cell of each template, [b, h, w, t*k], each in [-1, 1]; float32 products
        whatever the precision of the network.
    """
    cells = template.reshape(len(template), -1, template.shape[-1])
    return jnp.einsum("bkc,bhwc->bhwk", cells, features, precision=lax.Precision.HIGHEST)


def masked_template(
    template: Template, weights: Float[Array, "b n k"], size: tuple[int, int]
) -> Float[Array, "b n h w c"]:
    """Features of the first frame under each mask on the frame's grid (paper Table 5, "-CL")."""
    b, n, _ = weights.shape
    masked = template[:, :1] * weights[..., None]
    grid = masked.reshape(b * n, *TEMPLATE_GRID, -1)
    return resize_half_pixel(grid, size).reshape(b, n, *size, -1)
