"""Fresh parameters, made on the host without compiling the network.

The convolutions of the matching features start as near-isometries, so that the similarity maps of a
network that was never trained already tell parts of the frame apart as well as its backbone does.
Conv-blocks put a ReLU before the convolution, which spoils angles in two ways, both undone here:

- Rectified features all share a mean direction, which makes everything look alike. The kernels of
  the reductions sum to zero over their input channels, so that they do not see it.
- A ReLU drops half of what is left. The reductions come in mirrored pairs q and -q, and the fusion
  reads p and -p from them: relu(qx) - relu(-qx) = qx, so that the ReLU between the two drops
  nothing. (Balduzzi et al., "The shattered gradients problem", ICML 2017, start whole networks so.)
"""

import functools
import zlib

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ranet_jax.array_typing import Params
from ranet_jax.models.layers import shapes_alone
from ranet_jax.models.resnet import stack_equal_blocks


def abstract_params(model: nn.Module) -> Params:
    """Shapes and types of a RANet's parameters, as `jax.ShapeDtypeStruct` leaves."""
    return jax.tree.map(lambda leaf: leaf, _traced_params(model))  # a tree of the caller's own


@functools.lru_cache(maxsize=16)
def _traced_params(model: nn.Module) -> Params:
    frame = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    masks = jax.ShapeDtypeStruct((1, 1, 64, 64), jnp.float32)
    valid = jax.ShapeDtypeStruct((1, 1), jnp.bool_)

    def init(*inputs: Array) -> Params:  # a function of its own: JAX keeps what it traced by it
        return model.init(jax.random.key(0), *inputs)["params"]

    with shapes_alone():
        return jax.eval_shape(init, frame, masks, frame, masks, valid)


@functools.partial(jax.jit, static_argnums=1)  # one program: not one for every shape
def prepare_params(params: Params, dtype: jnp.dtype) -> Params:
    """Does once what every step would begin with: kernels are cast to the type that convolutions
    compute in, and parameters of the blocks that run as a loop are stacked.

    The results stay the same. Only for parameters that are not going to be trained.
    """

    def cast(path: tuple, leaf: Array) -> Array:
        return leaf.astype(dtype) if path[-1].key == "kernel" else leaf

    params = jax.tree_util.tree_map_with_path(cast, params)
    return params | {"backbone": stack_equal_blocks(params["backbone"])}


# How strongly the fusion reads the three levels. Each reduction has twice the channels of the one
# before, and the norm of the fusion's Conv-block gives all channels one variance; without these
# gains the coarsest level would decide alone.
_LEVEL_GAINS = {3: 2.0, 4: 2.0, 5: 1.0}
_MIN_DEVIATION = 1e-6


def init_params(model: nn.Module, seed: int, backbone: Params | None = None) -> Params:
    """Parameters to start training from, on the host; the same values on every platform.

    Kernels are He normal, biases zero, scales one; the matching features start as near-isometries
    (see the module's description). Every parameter has its own stream, derived from `seed` and its
    name, so that two models that differ in one module agree on all others.

    Args:
        model: a `RANet`.
        seed: of all streams.
        backbone: trained parameters of the backbone to start from. The reductions then keep the
            directions in which its stages write most; without it they keep random ones.
    """
    flat = flax.traverse_util.flatten_dict(abstract_params(model), sep="/")
    if backbone is not None:
        flat = {name: leaf for name, leaf in flat.items() if not name.startswith("backbone/")}
    values = {name: _init_one(name, leaf.shape, seed, backbone) for name, leaf in flat.items()}
    # At once: one by one, `jnp.asarray` compiles a program for every shape.
    params = jax.device_put(flax.traverse_util.unflatten_dict(values, sep="/"))
    return params if backbone is None else params | {"backbone": backbone}


def _init_one(name: str, shape: tuple[int, ...], seed: int, backbone: Params | None) -> np.ndarray:
    kind = name.rsplit("/", 1)[-1]
    if kind != "kernel":
        return np.full(shape, kind == "scale", np.float32)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name.startswith("matching_features/reduce"):
        level = int(name.split("/")[1].removeprefix("reduce"))
        return _centre_tap(shape, _reduction(generator, *shape[2:], level, backbone))
    if name.startswith("matching_features/fuse"):
        return _centre_tap(shape, _fusion(generator, *shape[2:]))
    spread = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    return generator.standard_normal(shape, np.float32) * spread


def _centre_tap(shape: tuple[int, ...], matrix: np.ndarray) -> np.ndarray:
    """A kernel that is `matrix`, [in, out], in its middle and zero around it."""
    kernel = np.zeros(shape, np.float32)
    kernel[shape[0] // 2, shape[1] // 2] = matrix
    return kernel


def _reduction(
    generator: np.random.Generator, channels: int, out: int, level: int, backbone: Params | None
) -> np.ndarray:
    """[channels, out]: orthonormal columns that sum to zero, then the same mirrored."""
    if backbone is None:
        random = generator.standard_normal((channels, out // 2))
        kept = _orthonormal(random - random.mean(axis=0))
    else:
        # Turned at random within their span, so that no channel carries most of the signal.
        rotation = _orthonormal(generator.standard_normal((out // 2, out // 2)))
        kept = _written_directions(backbone, stage=level - 1, count=out // 2) @ rotation
    return np.concatenate([kept, -kept], axis=1)


def _fusion(generator: np.random.Generator, channels: int, out: int) -> np.ndarray:
    """[channels, out]: orthonormal rows for the pairs of every level, times the level's gain."""
    # The levels have 2, 4 and 8 parts of 14, half of each mirrored.
    pairs = [channels * parts // 28 for parts in (2, 4, 8)]
    rows = _orthonormal(generator.standard_normal((out, sum(pairs)))).T
    levels = np.split(rows, np.cumsum(pairs)[:-1])
    gains = _LEVEL_GAINS.values()
    mirrored = [g * np.concatenate([r, -r]) for g, r in zip(gains, levels, strict=True)]
    return np.concatenate(mirrored)


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span the same space; no sign is left to the linear algebra."""
    q, r = np.linalg.qr(matrix)
    return q * np.where(np.diag(r) < 0, -1, 1)


def _written_directions(backbone: Params, stage: int, count: int) -> np.ndarray:
    """The `count` directions, [channels, count], in which a stage's output varies most.

    Estimated from the weights alone: the blocks' last convolutions add to the output what has about
    unit variance before them, and the instance norm that reads it divides by its deviation. The
    common direction of all channels is left out.
    """
    import scipy.linalg  # a tenth of a second, which only fresh parameters are worth

    covariance = 0.0
    for name, block in sorted(backbone.items()):
        if not name.startswith(f"stage{stage}_"):
            continue
        for conv, norm in (("conv3", "norm3"), ("shortcut_conv", "shortcut_norm")):
            if conv in block:
                written = np.asarray(block[conv]["kernel"], np.float64)[0, 0]
                length = np.linalg.norm(written, axis=0)
                written = written / np.maximum(length, _MIN_DEVIATION)
                written = written * np.asarray(block[norm]["scale"], np.float64)
                covariance = covariance + written.T @ written
    deviation = np.maximum(np.sqrt(np.diag(covariance)), _MIN_DEVIATION)
    correlation = covariance / np.outer(deviation, deviation)
    centered = correlation - correlation.mean(axis=0)
    centered = centered - centered.mean(axis=1, keepdims=True)
    channels = len(centered)
    _, directions = scipy.linalg.eigh(centered, subset_by_index=[channels - count, channels - 1])
    largest = np.argmax(np.abs(directions), axis=0)
    return directions * np.sign(directions[largest, np.arange(count)])
