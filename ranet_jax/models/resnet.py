"""ResNet with instance normalization and all five levels (He et al. 2016; paper 3.4)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap, Frame, Params
from ranet_jax.models.layers import conv
from ranet_jax.models.ops import instance_norm, normalize

# Bottlenecks of the four stages. 101 is the paper's; 14 and 26 are for tests and small experiments.
STAGES = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
SCAN_MIN_BLOCKS = 8  # so many equal blocks or more are compiled as a loop

Levels = tuple[
    Float[Array, "b h2 w2 c1"],
    Float[Array, "b h4 w4 c2"],
    Float[Array, "b h8 w8 c3"],
    Float[Array, "b h16 w16 c4"],
    Float[Array, "b h32 w32 c5"],
]


class AffineInstanceNorm(nn.Module):
    """Instance norm with a scale and a shift for each channel, where batch norm stood."""

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, c]; computed in float32, returned in the type of `x`."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return (instance_norm(x.astype(jnp.float32)) * scale + bias).astype(x.dtype)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride), 1x1 to four times the width, plus the shortcut.

    Attributes:
        features: channels of the 3x3 convolution.
        stride: of the 3x3 convolution and of the shortcut.
        dtype: what the convolutions compute in; parameters stay float32.
    """

    features: int
    stride: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h/stride, w/stride, 4*features]."""
        wide = 4 * self.features
        y = conv(self.features, 1, dtype=self.dtype, name="conv1")(x)
        y = nn.relu(AffineInstanceNorm(name="norm1")(y))
        y = conv(self.features, 3, stride=self.stride, dtype=self.dtype, name="conv2")(y)
        y = nn.relu(AffineInstanceNorm(name="norm2")(y))
        y = conv(wide, 1, dtype=self.dtype, name="conv3")(y)
        y = AffineInstanceNorm(name="norm3")(y)
        if x.shape != y.shape:
            x = conv(wide, 1, stride=self.stride, dtype=self.dtype, name="shortcut_conv")(x)
            x = AffineInstanceNorm(name="shortcut_norm")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """The backbone of the Siamese encoder.

    Attributes:
        depth: a key of `STAGES`; 101 in the paper.
        width: channels of the stem (64 in every published ResNet).
        dtype: what the convolutions compute in; parameters stay float32.
        remat: the backward pass computes the inside of every block again instead of keeping
            it in memory.
    """

    depth: int = 101
    width: int = 64
    dtype: jnp.dtype = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, frame: Frame) -> Levels:
        """RGB in [0, 1] -> strides 2, 4, 8, 16, 32 with 1, 4, 8, 16, 32 times `width` channels."""
        x = normalize(frame.astype(jnp.float32)).astype(self.dtype)
        x = conv(self.width, 7, stride=2, dtype=self.dtype, name="conv1")(x)
        x = nn.relu(AffineInstanceNorm(name="norm1")(x))
        levels = [x]
        x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for stage, blocks in enumerate(STAGES[self.depth]):
            width = self.width * 2**stage
            stride = 2 if stage > 0 else 1
            x = self._block_type()(width, stride, self.dtype, name=f"stage{stage + 1}_block1")(x)
            x = self._equal_blocks(
                x, width, [f"stage{stage + 1}_block{i + 2}" for i in range(blocks - 1)]
            )
            levels.append(x)
        return tuple(levels)

    def _equal_blocks(self, x: FeatureMap, features: int, names: list[str]) -> FeatureMap:
        """The blocks of a stage after its first one.

        Many of them run as a loop over their stacked parameters: it compiles in a fraction of the
        time, and it keeps the compiler from fusing the chain of shortcuts, which computes the first
        ones again in every block.
        """
        if len(names) < SCAN_MIN_BLOCKS or self.is_initializing():
            for name in names:
                x = self._block_type()(features, dtype=self.dtype, name=name)(x)
            return x
        block = Bottleneck(features, dtype=self.dtype, parent=None)
        parameters = [self.variables["params"][name] for name in names]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parameters)

        def step(x: FeatureMap, own: Params) -> tuple[FeatureMap, None]:
            return block.apply({"params": own}, x), None

        with jax.named_scope(names[0]):  # a profile shows which stage it is
            return lax.scan(jax.checkpoint(step) if self.remat else step, x, stacked)[0]

    def _block_type(self) -> type[Bottleneck]:
        return nn.remat(Bottleneck) if self.remat else Bottleneck
