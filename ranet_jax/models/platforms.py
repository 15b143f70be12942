"""What is computed in one way on some platforms and in another one elsewhere."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import jax
from jax import lax

Result = TypeVar("Result")

# Part of the key of JAX's caches: what was traced for other platforms is traced again.
_platforms = jax.make_user_context(default_value=None)


def lowering_for(*platforms: str) -> AbstractContextManager:
    """What is traced inside is going to be lowered for these platforms, whatever runs here.

    With several, `by_platform` traces both ways and leaves the choice to the lowering.
    """
    return _platforms(platforms)


def by_platform(
    *inputs: jax.Array, default: Callable[..., Result], **ways: Callable[..., Result]
) -> Result:
    """What the platform's own way makes of the inputs, or `default`; all compute the same.

    Traced is only what is needed: two ways take more than twice the time, with gradients included,
    and what is traced is most of what starting a compiled program takes.

    Args:
        inputs: of whichever is called.
        default: for platforms that have no way of their own.
        ways: those that have one, by JAX's name of the platform.
    """
    platforms = _platforms.value or (jax.default_backend(),)
    ways = {platform: way for platform, way in ways.items() if platform in platforms}
    if len(platforms) == 1 or not ways:
        return ways.get(platforms[0], default)(*inputs)
    return lax.platform_dependent(*inputs, default=default, **ways)
