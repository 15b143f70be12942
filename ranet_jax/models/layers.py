"""The building blocks that the encoder, the ranking network and the decoder share.

The attribute `block` of each is the side of the blocks of pixels that its maps hold in their
channels, see `pixel_blocks`; 1 for plain maps.
"""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.ops import instance_norm
from ranet_jax.models.pixel_blocks import convolve, convolve_parts, repeat_channels


class Conv(nn.Module):
    """A `size` x `size` convolution, padded with zeros to keep the map's size (over the stride).

    Attributes:
        features: channels of the output.
        size: side of the kernel.
        stride: from one output pixel to the next.
        dilation: from one tap of the kernel to the next.
        bias: whether there is one.
        dtype: what it computes in; parameters stay float32.
        block: of the output; in a convolution of blocks those of the input are `stride` times as
            large.
    """

    features: int
    size: int
    stride: int = 1
    dilation: int = 1
    bias: bool = False
    dtype: jnp.dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h/stride, w/stride, features]; of blocks, [b, h, w, block**2 c]."""
        pixels = (self.block * self.stride) ** 2 if self.block > 1 else 1
        shape = (self.size, self.size, x.shape[-1] // pixels, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        x = convolve(x.astype(self.dtype), kernel, self.block, self.stride, self.dilation)
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            x = x + repeat_channels(bias, self.block).astype(self.dtype)
        return x


class ConvBlock(nn.Module):
    """Plain instance norm, ReLU, convolution with bias (paper supplement, "Conv-block").

    Attributes:
        features: channels of the output.
        size: side of the kernel.
        dtype: what the convolution computes in; parameters stay float32.
        block: side of the blocks of pixels.
    """

    features: int
    size: int = 3
    dtype: jnp.dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, features]."""
        x = nn.relu(instance_norm(x, self.block))
        return Conv(
            self.features, self.size, bias=True, dtype=self.dtype, block=self.block, name="conv"
        )(x)


class SharedConvBlock(nn.Module):
    """A Conv-block over the concatenation of maps that all objects share and maps of each object.

    Norm and ReLU work channel by channel and a convolution adds up over channels, so the shared
    part is computed once and added to every object's part: the result is that of concatenating,
    without the repetition.

    Attributes:
        features: channels of the output.
        dtype: what the convolution computes in; parameters stay float32.
        block: side of the blocks of pixels.
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, shared: Sequence[FeatureMap], own: FeatureMap) -> FeatureMap:
        """[b, h, w, c] each and [b*n, h, w, c2], objects fastest -> [b*n, h, w, features]."""
        channels = [x.shape[-1] // self.block**2 for x in (*shared, own)]
        shape = (3, 3, sum(channels), self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        *of_shared, of_own = jnp.split(kernel, np.cumsum(channels)[:-1], axis=2)
        from_shared = self._convolve(shared, of_shared)
        from_shared += repeat_channels(bias, self.block).astype(self.dtype)
        from_own = self._convolve([own], [of_own])
        by_video = from_own.reshape(len(from_shared), -1, *from_own.shape[1:])
        return (by_video + from_shared[:, None]).reshape(from_own.shape)

    def _convolve(self, maps: Sequence[FeatureMap], kernels: Sequence[jnp.ndarray]) -> FeatureMap:
        maps = [nn.relu(instance_norm(x, self.block)).astype(self.dtype) for x in maps]
        return convolve_parts(maps, kernels, self.block)


class ResBlock(nn.Module):
    """Bottleneck with instance norm and no biases (paper supplement, "Res-block").

    Attributes:
        features: channels in the middle.
        dilation: of the 3x3 convolution.
        dtype: what the convolutions compute in; parameters stay float32.
        block: side of the blocks of pixels.
    """

    features: int
    dilation: int = 1
    dtype: jnp.dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, c]."""
        conv = functools.partial(Conv, dtype=self.dtype, block=self.block)
        y = conv(self.features, 1, name="conv1")(x)
        y = nn.relu(instance_norm(y, self.block))
        y = conv(self.features, 3, dilation=self.dilation, name="conv2")(y)
        y = nn.relu(instance_norm(y, self.block))
        y = conv(x.shape[-1] // self.block**2, 1, name="conv3")(y)
        return nn.relu(x + instance_norm(y, self.block))


class MultiScale(nn.Module):
    """Sum of three 3x3 convolutions without bias, of dilations 1, 3 and 6 (paper supplement).

    Attributes:
        features: channels of the output.
        dtype: what the convolutions compute in; parameters stay float32.
        block: side of the blocks of pixels.
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, features]."""
        conv = functools.partial(Conv, self.features, 3, dtype=self.dtype, block=self.block)
        return sum(conv(dilation=d, name=f"dilation{d}")(x) for d in (1, 3, 6))
