"""Two ways to compute one function: the values of both, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check_equal(first, second, *inputs, rtol: float = 1e-5) -> None:
    """The values of two functions, and their gradients along a random direction."""
    # Jitted: one by one every operation would be a program to compile.
    first, second = jax.jit(first), jax.jit(second)
    expected = first(*inputs)
    direction = array(*expected.shape, seed=9)

    def projected(function):
        return lambda *inputs: jnp.sum(function(*inputs).astype(jnp.float32) * direction)

    arguments = tuple(range(len(inputs)))
    pairs = [(expected, second(*inputs))]
    pairs += zip(
        *(jax.jit(jax.grad(projected(f), arguments))(*inputs) for f in (first, second)),
        strict=True,
    )
    for one, other in pairs:
        one, other = np.asarray(one, np.float32), np.asarray(other, np.float32)
        np.testing.assert_allclose(other, one, rtol=0, atol=rtol * max(np.abs(one).max(), 1))
