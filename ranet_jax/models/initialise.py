"""Fresh parameters, made on the host without compiling the network."""

import zlib

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from ranet_jax.array_typing import Params


def abstract_params(model: nn.Module) -> Params:
    """Shapes and types of a RANet's parameters, as `jax.ShapeDtypeStruct` leaves."""
    frame = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    masks = jax.ShapeDtypeStruct((1, 1, 64, 64), jnp.float32)
    valid = jax.ShapeDtypeStruct((1, 1), jnp.bool_)
    variables = jax.eval_shape(model.init, jax.random.key(0), frame, masks, frame, masks, valid)
    return variables["params"]


def init_params(model: nn.Module, seed: int) -> Params:
    """He-normal kernels, zero biases, unit scales; the same values on every platform.

    Every parameter has its own stream, derived from `seed` and its name, so that two models that
    differ in one module agree on all others.
    """
    flat = flax.traverse_util.flatten_dict(abstract_params(model), sep="/")
    values = {name: _init_one(name, leaf.shape, seed) for name, leaf in flat.items()}
    return flax.traverse_util.unflatten_dict(values, sep="/")


def _init_one(name: str, shape: tuple[int, ...], seed: int) -> jax.Array:
    kind = name.rsplit("/", 1)[-1]
    if kind == "kernel":
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        spread = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        return jnp.asarray(generator.standard_normal(shape, np.float32) * spread)
    return jnp.ones(shape, jnp.float32) if kind == "scale" else jnp.zeros(shape, jnp.float32)
