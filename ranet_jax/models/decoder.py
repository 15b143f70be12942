"""Merge module and three-level pyramid decoder (paper section 3.4, supplement).

What depends on the current frame alone is computed once and shared by all objects; the objects of
all videos lie in one batch axis, b*n with the objects fastest.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.layers import Conv, ConvBlock, MultiScale, ResBlock, SharedConvBlock
from ranet_jax.models.ops import average_pool, resize_align_corners
from ranet_jax.models.pixel_blocks import (
    double,
    from_blocks,
    single_from_blocks,
    to_blocks,
)
from ranet_jax.models.resnet import Levels
from ranet_jax.models.tiling import (
    PLAIN,
    Tiling,
    from_strips,
    module_by_platform,
    tiling_for,
    to_strips,
)

FINEST_BLOCK = 2  # side of the blocks of pixels in which a TPU computes the finest level

# Of each level of the pyramid, coarsest first: maps from three levels of the encoder.
Laterals = tuple[tuple[FeatureMap, FeatureMap, FeatureMap], ...]


class Merge(nn.Module):
    """Turns the ranked maps of a stream into features; foreground and background share its weights.

    Attributes:
        width: of the backbone's stem (64 in the paper).
        dtype: what the convolutions compute in; parameters stay float32.
    """

    width: int = 64
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, maps: FeatureMap, shared: FeatureMap | None = None) -> FeatureMap:
        """Maps of each stream, and maps common to a video's streams -> [s, h, w, 2*width]."""
        if shared is None:
            x = ConvBlock(4 * self.width, dtype=self.dtype, name="block1")(maps)
        else:
            x = SharedConvBlock(4 * self.width, self.dtype, name="block1")([shared], maps)
        x = ResBlock(2 * self.width, dtype=self.dtype, name="res")(x)
        return ConvBlock(2 * self.width, dtype=self.dtype, name="block2")(x)


class Lateral(nn.Module):
    """A 1x1 Conv-block on a level of the encoder, for a level of the pyramid.

    Attributes:
        features: channels of the output.
        dtype: what the convolution computes in; parameters stay float32.
        tiling: None for what suits the platform.
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    tiling: Tiling | None = PLAIN

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """[b, h, w, c] -> [b, h, w, features]."""
        if self.tiling is None and not self.is_initializing():
            return module_by_platform(self, Tiling(FINEST_BLOCK), x)
        tiling = self.tiling or PLAIN
        block = tiling.block
        conv_block = ConvBlock(self.features, 1, self.dtype, tiling)
        nn.share_scope(self, conv_block)
        return from_blocks(conv_block(to_blocks(x, block)), block)


class LateralConnections(nn.Module):
    """1x1 Conv-blocks on the levels of the encoder, three for each level of the pyramid.

    Attributes:
        width: of the backbone's stem (64 in the paper).
        dtype: what the convolutions compute in; parameters stay float32.
    """

    width: int = 64
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, levels: Levels) -> Laterals:
        """Levels at strides 2 to 32 -> maps of `width` channels in all at strides 8, 4 and 2."""
        return tuple(
            tuple(self._lateral(levels, at, source) for source in range(at, at + 3))
            for at in (3, 2, 1)
        )

    def _lateral(self, levels: Levels, at: int, source: int) -> FeatureMap:
        features = self.width // 2 if source == at else self.width // 4
        name = f"stride{2**at}_from_stride{2**source}"
        tiling = None if source == 1 else PLAIN
        x = Lateral(features, self.dtype, tiling, name=name)(levels[source - 1])
        size = levels[at - 1].shape[1:3]
        return resize_align_corners(x, size, FINEST_BLOCK if at == 1 else 1)


class Level(nn.Module):
    """One level of the pyramid, which doubles the resolution at its end.

    Attributes:
        features: channels of the two Conv-blocks and of the multi-scale block.
        res_features: channels in the middle of the Res-block.
        dtype: what the convolutions compute in; parameters stay float32.
        next_block: side of the blocks of pixels in which a TPU computes the next level.
    """

    features: tuple[int, int, int]
    res_features: int
    dtype: jnp.dtype = jnp.float32
    next_block: int = 1

    @nn.compact
    def __call__(self, laterals: Sequence[FeatureMap], x: FeatureMap) -> FeatureMap:
        """Laterals [b, h, w, c] and maps of each object [b*n, h, w, c2] -> [b*n, 2h, 2w, c]."""
        x = self.refine(laterals, x)
        x = ResBlock(self.res_features, dtype=self.dtype, name="res")(x)
        return resize_align_corners(x, (2 * x.shape[1], 2 * x.shape[2]), self.next_block)

    def refine(
        self, laterals: Sequence[FeatureMap], x: FeatureMap, tiling: Tiling = PLAIN
    ) -> FeatureMap:
        """All but the Res-block and the doubling."""
        x = SharedConvBlock(self.features[0], self.dtype, tiling, name="block1")(laterals, x)
        x = ConvBlock(self.features[1], dtype=self.dtype, tiling=tiling, name="block2")(x)
        return MultiScale(self.features[2], self.dtype, tiling, name="scales")(x)


class FinestLevel(Level):
    """The last level, which doubles before its Res-block and ends with a logit a pixel.

    Attributes:
        tiling: until its maps are doubled; None for what suits the platform.
    """

    tiling: Tiling | None = None

    @nn.compact
    def __call__(self, laterals: Sequence[FeatureMap], x: FeatureMap) -> FeatureMap:
        """Laterals [b, h, w, c] and maps of each object [b*n, h, w, c2] -> [b*n, 2h, 2w, 1]."""
        if self.tiling is None and not self.is_initializing():
            return module_by_platform(self, tiling_for(x, FINEST_BLOCK), laterals, x)
        tiling = self.tiling or PLAIN
        block, strips = tiling
        laterals, x = jax.tree.map(lambda x: to_strips(to_blocks(x, block), strips), (laterals, x))
        x = self.refine(laterals, x, tiling)
        if tiling == PLAIN:
            x = resize_align_corners(x, (2 * x.shape[1], 2 * x.shape[2]))
        else:
            x, tiling = double(x, tiling), Tiling(2 * block, strips)
        x = ResBlock(self.res_features, dtype=self.dtype, tiling=tiling, name="res")(x)
        x = Conv(1, 3, bias=True, dtype=self.dtype, tiling=tiling, name="logits")(x)
        return from_strips(single_from_blocks(x, tiling.block), strips)


class Pyramid(nn.Module):
    """Three levels, from merged maps at stride 8 to logits at the network's input size.

    Attributes:
        width: of the backbone's stem (64 in the paper).
        dtype: what the convolutions compute in; parameters stay float32.
    """

    width: int = 64
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        laterals: Laterals,
        foreground: FeatureMap,
        background: FeatureMap,
        previous_mask: Float[Array, "bn H W 1"],
    ) -> Float[Array, "bn H W"]:
        """Merged streams [b*n, H/8, W/8, 2*width] and previous masks -> logits, float32."""
        w = self.width
        previous_mask = average_pool(previous_mask, foreground.shape[1:3]).astype(foreground.dtype)
        x = jnp.concatenate([foreground, background, previous_mask], axis=-1)
        x = Level((4 * w, 4 * w, 2 * w), w, self.dtype, name="level1")(laterals[0], x)
        x = Level((2 * w, w, w // 2), w // 4, self.dtype, FINEST_BLOCK, name="level2")(
            laterals[1], x
        )
        x = FinestLevel((w, w // 2, w // 4), w // 8, self.dtype, name="level3")(laterals[2], x)
        return x[..., 0].astype(jnp.float32)
