"""What is computed in one way on TPUs and in another one elsewhere."""

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
    *inputs: jax.Array, tpu: Callable[..., Result], default: Callable[..., Result]
) -> Result:
    """`tpu(*inputs)` or `default(*inputs)`, two ways to compute the same.

    Traced is only the one that is needed: both take more than twice the time, with gradients
    included, and what is traced is most of what starting a compiled program takes.
    """
    platforms = _platforms.value or (jax.default_backend(),)
    if "tpu" not in platforms:
        return default(*inputs)
    if set(platforms) == {"tpu"}:
        return tpu(*inputs)
    return lax.platform_dependent(*inputs, tpu=tpu, default=default)
