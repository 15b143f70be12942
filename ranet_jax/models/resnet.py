"""ResNet with instance normalization and all five levels (He et al. 2016; paper 3.4)."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap, Frame, Params
from ranet_jax.models.layers import Conv, parameter
from ranet_jax.models.normalization import instance_norm
from ranet_jax.models.ops import normalize
from ranet_jax.models.pixel_blocks import (
    from_blocks,
    max_pool_of_blocks,
    repeat_channels,
    to_blocks,
)
from ranet_jax.models.tiling import PLAIN, Tiling, module_by_platform

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
    """Instance norm with a scale and a shift for each channel, where batch norm stood.

    Attributes:
        tiling: of its maps.
    """

    tiling: Tiling = PLAIN

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, c], float32."""
        block = self.tiling.block
        shape = (x.shape[-1] // block**2,)
        scale = parameter(self, "scale", nn.initializers.ones, shape)
        bias = parameter(self, "bias", nn.initializers.zeros, shape)
        affine = tuple(repeat_channels(v, block) for v in (scale, bias))
        return instance_norm(x, self.tiling, affine)


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
        y = Conv(self.features, 1, dtype=self.dtype, name="conv1")(x)
        y = nn.relu(AffineInstanceNorm(name="norm1")(y))
        y = Conv(self.features, 3, stride=self.stride, dtype=self.dtype, name="conv2")(y)
        y = nn.relu(AffineInstanceNorm(name="norm2")(y))
        y = Conv(wide, 1, dtype=self.dtype, name="conv3")(y)
        y = AffineInstanceNorm(name="norm3")(y)
        if x.shape != y.shape:
            x = Conv(wide, 1, stride=self.stride, dtype=self.dtype, name="shortcut_conv")(x)
            x = AffineInstanceNorm(name="shortcut_norm")(x)
        return nn.relu(x + y).astype(self.dtype)


class Stem(nn.Module):
    """7x7 convolution of stride 2, norm, ReLU, and the max pooling that halves the result.

    Attributes:
        features: channels of the convolution.
        dtype: what it computes in; parameters stay float32.
        tiling: of the convolution's output; None for what suits the platform.
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    tiling: Tiling | None = None

    @nn.compact
    def compute(self, frame: Frame) -> tuple[FeatureMap, FeatureMap]:
        """Normalized frame, [b, H, W, 3] -> [b, H/2, W/2, features] and [b, H/4, W/4, features]."""
        if self.tiling is None and not self.is_initializing():
            return module_by_platform(self, Tiling(block=2), frame, method="compute")
        tiling = self.tiling or PLAIN
        block = tiling.block
        # Moved after the crop: together with its interpolation it would take ten times as long.
        x = to_blocks(lax.optimization_barrier(frame), 2 * block) if block > 1 else frame
        x = Conv(self.features, 7, stride=2, dtype=self.dtype, tiling=tiling, name="conv1")(x)
        x = nn.relu(AffineInstanceNorm(tiling, name="norm1")(x)).astype(self.dtype)
        if block > 1:
            return from_blocks(x, block), max_pool_of_blocks(x)
        return x, nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))


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
        stem = Stem(self.width, self.dtype)
        nn.share_scope(self, stem)
        first, x = stem.compute(x)
        levels = [first]
        for stage, blocks in enumerate(STAGES[self.depth]):
            width = self.width * 2**stage
            stride = 2 if stage > 0 else 1
            x = self._block_type()(width, stride, self.dtype, name=f"stage{stage + 1}_block1")(x)
            x = self._equal_blocks(x, width, f"stage{stage + 1}", blocks - 1)
            levels.append(x)
        return tuple(levels)

    def _equal_blocks(self, x: FeatureMap, features: int, stage: str, count: int) -> FeatureMap:
        """The blocks of a stage after its first one.

        Many of them run as a loop over their stacked parameters: it compiles in a fraction of the
        time, and it keeps the compiler from fusing the chain of shortcuts, which computes the first
        ones again in every block.
        """
        if count < SCAN_MIN_BLOCKS or self.is_initializing():
            for number in range(2, count + 2):
                name = f"{stage}_block{number}"
                x = self._block_type()(features, dtype=self.dtype, name=name)(x)
            return x
        block = Bottleneck(features, dtype=self.dtype, parent=None)
        stacked = stack_equal_blocks(self.variables["params"])[f"{stage}_stacked"]

        def step(x: FeatureMap, own: Params) -> tuple[FeatureMap, None]:
            return block.apply({"params": own}, x), None

        with jax.named_scope(f"{stage}_block2"):  # a profile shows which stage it is
            return lax.scan(jax.checkpoint(step) if self.remat else step, x, stacked)[0]

    def _block_type(self) -> type[Bottleneck]:
        return nn.remat(Bottleneck) if self.remat else Bottleneck


def stack_equal_blocks(backbone: Params) -> Params:
    """Parameters of a backbone in which those of the blocks that run as a loop lie stacked.

    Every call begins with it; given parameters that it has stacked already, it copies nothing.
    """
    stacked = dict(backbone)
    for stage in ("stage1", "stage2", "stage3", "stage4"):
        numbered = (f"{stage}_block{number}" for number in itertools.count(2))
        names = list(itertools.takewhile(lambda name: name in backbone, numbered))
        if len(names) >= SCAN_MIN_BLOCKS:
            blocks = [stacked.pop(name) for name in names]
            stacked[f"{stage}_stacked"] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
    return stacked
