"""Parts of a mask that lie apart from the object, found on the device (not in the paper).

A network that matches looks takes what resembles the object for a part of it, wherever it is: a
second camel, a spectator. Once in the previous mask, it stays. Objects do come in several parts, by
a pole in front of them or a rider above a horse, but these lie close to each other.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ranet_jax.array_typing import Logits
from ranet_jax.models.encoder import TEMPLATE_GRID

CELL = 8  # pixels: parts are told apart on a grid of this step
_SURELY_NOT = -30.0  # a logit
_NEGLIGIBLE = 0.01  # fraction of an object's area


def drop_distant_parts(
    logits: Logits, template_masks: Float[Array, "b n k"], max_gap: float
) -> Logits:
    """The logits, very low wherever a part is too far from the largest group of parts.

    Two parts are of one group if no more than `max_gap` times the square root of the whole mask's
    area separates them, or if others lead from one to the other in such steps. What is closer than
    a cell, 8 pixels, is never apart. An object whose parts lie apart in its template is left whole.

    Args:
        logits: of objects; above 0 is their masks. Heights and widths are multiples of 8.
        template_masks: area fractions of each object on the template grid.
        max_gap: above 0.
    """
    grids = template_masks.reshape(*template_masks.shape[:2], *TEMPLATE_GRID)
    apart = jax.vmap(jax.vmap(_is_apart))(grids)
    distant = functools.partial(_distant_parts, max_gap=max_gap)
    masks = jax.lax.stop_gradient(logits) > 0
    dropped = jax.vmap(jax.vmap(distant))(masks) & ~apart[..., None, None]
    return jnp.where(dropped, _SURELY_NOT, logits)


def _is_apart(fractions: Float[Array, "h w"]) -> Bool[Array, ""]:
    others = jnp.sum(jnp.where(_outside_largest(fractions, 0), fractions, 0))
    return others > _NEGLIGIBLE * jnp.sum(fractions)


def _distant_parts(mask: Bool[Array, "H W"], max_gap: float) -> Bool[Array, "H W"]:
    height, width = (side // CELL for side in mask.shape)
    area = jnp.sum(mask.reshape(height, CELL, width, CELL), axis=(1, 3), dtype=jnp.float32)
    radius = max_gap * jnp.sqrt(jnp.sum(area)) / (2 * CELL)
    distant = _outside_largest(area, jnp.round(radius).astype(jnp.int32))
    return jnp.repeat(jnp.repeat(distant, CELL, axis=0), CELL, axis=1)


def _outside_largest(area: Float[Array, "h w"], radius: int | Int[Array, ""]) -> Bool[Array, "h w"]:
    """Cells of all groups but the one of the largest area, and those around them.

    Args:
        area: of the mask in each cell.
        radius: by how many cells each part is enlarged: half of the gap that two of them may have.
    """
    near = jax.lax.fori_loop(0, radius, lambda _, mask: _widest(mask), area > 0)
    groups = _groups(near)
    sizes = jnp.zeros(groups.size + 1).at[groups].add(area)
    return near & (groups != 1 + jnp.argmax(sizes[1:]))


def _groups(mask: Bool[Array, "h w"]) -> Int[Array, "h w"]:
    """A number from 1 for each connected component, diagonals included; 0 elsewhere."""
    numbers = jnp.where(mask, 1 + jnp.arange(mask.size).reshape(mask.shape), 0)

    def spread(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        groups, _ = carry
        wider = jnp.where(mask, _widest(groups), 0)
        return wider, jnp.any(wider != groups)

    return jax.lax.while_loop(lambda carry: carry[1], spread, (numbers, jnp.any(mask)))[0]


def _widest(values: Array) -> Array:
    """The largest value among each cell and its eight neighbours."""
    for axis in (0, 1):
        size = values.shape[axis]
        padded = jnp.pad(values, [(1, 1) if axis == a else (0, 0) for a in (0, 1)])
        shifted = [jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)]
        values = functools.reduce(jnp.maximum, shifted)
    return values
