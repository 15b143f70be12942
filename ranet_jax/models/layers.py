"""The building blocks that the encoder, the ranking network and the decoder share."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.ops import instance_norm


def precision_of(dtype: jnp.dtype) -> lax.Precision | None:
    """Highest precision in float32: otherwise TPUs and GPUs truncate to bfloat16 or TF32."""
    return lax.Precision.HIGHEST if dtype == jnp.float32 else None


def conv(
    features: int,
    size: int,
    *,
    dtype: jnp.dtype,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = False,
    name: str | None = None,
) -> nn.Conv:
    """A `size` x `size` convolution, padded with zeros to keep the map's size (over the stride)."""
    reach = dilation * (size // 2)
    return nn.Conv(
        features,
        (size, size),
        strides=stride,
        kernel_dilation=dilation,
        padding=[(reach, reach)] * 2,
        use_bias=bias,
        dtype=dtype,
        precision=precision_of(dtype),
        name=name,
    )


class ConvBlock(nn.Module):
    """Plain instance norm, ReLU, convolution with bias (paper supplement, "Conv-block").

    Attributes:
        features: channels of the output.
        size: side of the kernel.
        dtype: what the convolution computes in; parameters stay float32.
    """

    features: int
    size: int = 3
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, features]."""
        x = nn.relu(instance_norm(x))
        return conv(self.features, self.size, bias=True, dtype=self.dtype, name="conv")(x)


class SharedConvBlock(nn.Module):
    """A Conv-block over the concatenation of maps that all objects share and maps of each object.

    Norm and ReLU work channel by channel and a convolution adds up over channels, so the shared
    part is computed once and added to every object's part: the result is that of concatenating,
    without the repetition.

    Attributes:
        features: channels of the output.
        dtype: what the convolution computes in; parameters stay float32.
    """

    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, shared: FeatureMap, own: FeatureMap) -> FeatureMap:
        """[b, h, w, c1] and [b*n, h, w, c2], objects fastest -> [b*n, h, w, features]."""
        split = shared.shape[-1]
        channels = split + own.shape[-1]
        shape = (3, 3, channels, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        from_shared = _conv3x3(shared, kernel[:, :, :split], self.dtype) + bias
        from_own = _conv3x3(own, kernel[:, :, split:], self.dtype)
        objects = own.shape[0] // shared.shape[0]
        return from_own + jnp.repeat(from_shared, objects, axis=0)


def _conv3x3(x: FeatureMap, kernel: jnp.ndarray, dtype: jnp.dtype) -> FeatureMap:
    return lax.conv_general_dilated(
        nn.relu(instance_norm(x)).astype(dtype),
        kernel,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision_of(dtype),
    )


class ResBlock(nn.Module):
    """Bottleneck with instance norm and no biases (paper supplement, "Res-block").

    Attributes:
        features: channels in the middle.
        dilation: of the 3x3 convolution.
        dtype: what the convolutions compute in; parameters stay float32.
    """

    features: int
    dilation: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, c]."""
        y = conv(self.features, 1, dtype=self.dtype, name="conv1")(x)
        y = nn.relu(instance_norm(y))
        y = conv(self.features, 3, dilation=self.dilation, dtype=self.dtype, name="conv2")(y)
        y = nn.relu(instance_norm(y))
        y = conv(x.shape[-1], 1, dtype=self.dtype, name="conv3")(y)
        return nn.relu(x + instance_norm(y))


class MultiScale(nn.Module):
    """Sum of three 3x3 convolutions without bias, of dilations 1, 3 and 6 (paper supplement).

    Attributes:
        features: channels of the output.
        dtype: what the convolutions compute in; parameters stay float32.
    """

    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, features]."""
        return sum(
            conv(self.features, 3, dilation=d, dtype=self.dtype, name=f"dilation{d}")(x)
            for d in (1, 3, 6)
        )
