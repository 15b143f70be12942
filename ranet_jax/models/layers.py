"""The building blocks that the encoder, the ranking network and the decoder share.

The attribute `tiling` of each says how its maps lie in their arrays, see `tiling`.
"""

import contextvars
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.normalization import instance_norm
from ranet_jax.models.pixel_blocks import (
    convolve,
    convolve_dilated,
    convolve_parts,
    repeat_channels,
)
from ranet_jax.models.tiling import PLAIN, Tiling

# Jitted, it is traced once for each shape.
init_kernel = jax.jit(nn.initializers.lecun_normal(), static_argnums=1)
_shapes_alone = contextvars.ContextVar("shapes_alone", default=False)


@contextmanager
def shapes_alone() -> Iterator[None]:
    """In the block new parameters are zeros: half of tracing `init` is for their random values."""
    token = _shapes_alone.set(True)
    try:
        yield
    finally:
        _shapes_alone.reset(token)


def parameter(
    module: nn.Module, name: str, init: nn.initializers.Initializer, shape: tuple[int, ...]
) -> Array:
    """A parameter of a module, as its `param` gives it, in a tenth of the time of tracing that.

    `param` traces `init` at every use of a parameter, to know the shape that it must have.

    Raises:
        flax.errors.ScopeParamShapeError: the parameter that is there has another shape.
    """
    if not module.has_variable("params", name):
        return module.param(name, nn.initializers.zeros if _shapes_alone.get() else init, shape)
    value = module.get_variable("params", name)
    if value.shape != shape:
        path = module.scope.path_text
        raise flax.errors.ScopeParamShapeError(name, path, value.shape, shape)
    return value


class Conv(nn.Module):
    """A `size` x `size` convolution, padded with zeros to keep the map's size (over the stride).

    Attributes:
        features: channels of the output.
        size: side of the kernel.
        stride: from one output pixel to the next.
        dilation: from one tap of the kernel to the next.
        bias: whether there is one.
        dtype: what it computes in; parameters stay float32.
        tiling: of the output; in a convolution of blocks those of the input are `stride` times as
            large.
    """

    features: int
    size: int
    stride: int = 1
    dilation: int = 1
    bias: bool = False
    dtype: jnp.dtype = jnp.float32
    tiling: Tiling = PLAIN

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h/stride, w/stride, features]; of blocks, [b, h, w, block**2 c]."""
        block = self.tiling.block
        pixels = (block * self.stride) ** 2 if block > 1 else 1
        shape = (self.size, self.size, x.shape[-1] // pixels, self.features)
        kernel = parameter(self, "kernel", init_kernel, shape)
        x = convolve(x.astype(self.dtype), kernel, self.tiling, self.stride, self.dilation)
        if self.bias:
            bias = parameter(self, "bias", nn.initializers.zeros, (self.features,))
            x = x + repeat_channels(bias, block).astype(self.dtype)
        return x


class ConvBlock(nn.Module):
    """Plain instance norm, ReLU, convolution with bias (paper supplement, "Conv-block").

    Attributes:
        features: channels of the output.
        size: side of the kernel.
        dtype: what the convolution computes in; parameters stay float32.
        tiling: of its maps.
    """

    features: int
    size: int = 3
    dtype: jnp.dtype = jnp.float32
    tiling: Tiling = PLAIN

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, features]."""
        x = nn.relu(instance_norm(x, self.tiling))
        return Conv(
            self.features, self.size, bias=True, dtype=self.dtype, tiling=self.tiling, name="conv"
        )(x)


class SharedConvBlock(nn.Module):
    """A Conv-block over the concatenation of maps that all objects share and maps of each object.

    Norm and ReLU work channel by channel and a convolution adds up over channels, so the shared
    part is computed once and added to every object's part: the result is that of concatenating,
    without the repetition.

    Attributes:
        features: channels of the output.
        dtype: what the convolution computes in; parameters stay float32.
        tiling: of its maps.
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    tiling: Tiling = PLAIN

    @nn.compact
    def __call__(self, shared: Sequence[FeatureMap], own: FeatureMap) -> FeatureMap:
        """[b, h, w, c] each and [b*n, h, w, c2], objects fastest -> [b*n, h, w, features]."""
        channels = [x.shape[-1] // self.tiling.block**2 for x in (*shared, own)]
        shape = (3, 3, sum(channels), self.features)
        kernel = parameter(self, "kernel", init_kernel, shape)
        bias = parameter(self, "bias", nn.initializers.zeros, (self.features,))
        *of_shared, of_own = jnp.split(kernel, np.cumsum(channels)[:-1], axis=2)
        from_shared = self._convolve(shared, of_shared)
        from_shared += repeat_channels(bias, self.tiling.block).astype(self.dtype)
        from_own = self._convolve([own], [of_own])
        strips = self.tiling.strips
        videos = len(from_shared) // strips
        by_video = from_own.reshape(videos, -1, strips, *from_own.shape[1:])
        from_shared = from_shared.reshape(videos, 1, strips, *from_own.shape[1:])
        return (by_video + from_shared).reshape(from_own.shape)

    def _convolve(self, maps: Sequence[FeatureMap], kernels: Sequence[jnp.ndarray]) -> FeatureMap:
        maps = [nn.relu(instance_norm(x, self.tiling)).astype(self.dtype) for x in maps]
        return convolve_parts(maps, kernels, self.tiling)


class ResBlock(nn.Module):
    """Bottleneck with instance norm and no biases (paper supplement, "Res-block").

    Attributes:
        features: channels in the middle.
        dilation: of the 3x3 convolution.
        dtype: what the convolutions compute in; parameters stay float32.
        tiling: of its maps.
    """

    features: int
    dilation: int = 1
    dtype: jnp.dtype = jnp.float32
    tiling: Tiling = PLAIN

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, c]."""
        conv = functools.partial(Conv, dtype=self.dtype, tiling=self.tiling)
        y = conv(self.features, 1, name="conv1")(x)
        y = nn.relu(instance_norm(y, self.tiling))
        y = conv(self.features, 3, dilation=self.dilation, name="conv2")(y)
        y = nn.relu(instance_norm(y, self.tiling))
        y = conv(x.shape[-1] // self.tiling.block**2, 1, name="conv3")(y)
        return nn.relu(x + instance_norm(y, self.tiling)).astype(x.dtype)


class Kernel(nn.Module):
    """The kernel of a convolution that its parent computes.

    Attributes:
        shape: rows, columns, channels of the input and of the output.
    """

    shape: tuple[int, int, int, int]

    @nn.compact
    def __call__(self) -> Array:
        """The kernel."""
        return parameter(self, "kernel", init_kernel, self.shape)


class MultiScale(nn.Module):
    """Sum of three 3x3 convolutions without bias, of dilations 1, 3 and 6 (paper supplement).

    Attributes:
        features: channels of the output.
        dtype: what the convolutions compute in; parameters stay float32.
        tiling: of its maps.
    """

    dilations: ClassVar[tuple[int, ...]] = (1, 3, 6)

    features: int
    dtype: jnp.dtype = jnp.float32
    tiling: Tiling = PLAIN

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, features]."""
        shape = (3, 3, x.shape[-1] // self.tiling.block**2, self.features)
        kernels = [Kernel(shape, name=f"dilation{d}")() for d in self.dilations]
        return convolve_dilated(x.astype(self.dtype), kernels, self.dilations, self.tiling)
