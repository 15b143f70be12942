"""The network: encode a template once, then segment frames against it (paper Fig. 2).

The only file that reads the ablation flags.
"""

from typing import Literal, NamedTuple, get_args

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ranet_jax.array_typing import (
    FeatureMap,
    Features,
    Frame,
    Logits,
    ObjectMasks,
    Template,
    TemplateMasks,
    Valid,
)
from ranet_jax.errors import InputError
from ranet_jax.models import correlation as matching
from ranet_jax.models import ranking as ram
from ranet_jax.models.aggregation import Aggregation
from ranet_jax.models.decoder import LateralConnections, Merge, Pyramid
from ranet_jax.models.encoder import TEMPLATE_GRID, MatchingFeatures, pool_template
from ranet_jax.models.ops import average_pool, resize_half_pixel
from ranet_jax.models.resnet import STAGES, Levels, ResNet

Mode = Literal["single", "multi"]
Ranking = Literal["rank", "none", "max"]

_CHOICES = {
    "mode": get_args(Mode),
    "depth": tuple(STAGES),
    "reduction_size": (1, 3),
    "ranking": get_args(Ranking),
    "score_gradient": get_args(ram.ScoreGradient),
    "aggregation": get_args(Aggregation),
}


class EncodedTemplate(NamedTuple):
    """What is kept of the template frame."""

    features: Template
    masks: TemplateMasks


class RANet(nn.Module):
    """Ranking Attention Network.

    Attributes:
        mode: the matching path the parameters were trained for. `single`: one object a sample,
            hard background weights, a score for each stream. `multi`: soft weights for all labels,
            one learned score for all.
        depth: of the ResNet; 101 in the paper.
        width: channels of the ResNet's stem, 64 in the paper; everything else scales with it.
        reduction_size: kernel of the encoder's reductions; 3 as published, 1 as in the paper's
            supplement.
        ranking: `rank` (paper), `none` (all 405 maps in their places) or `max` (one map a stream);
            Table 4.
        correlation: False replaces the similarity maps by features of both frames ("-CL", Table 5).
        previous_mask: False feeds zeros instead of the previous mask ("-PM", Table 5).
        score_gradient: how the ranking network learns; see `ranking.rank_and_gather`.
        aggregation: how objects share out a frame; see `aggregation.label_values`.
        dtype: what convolutions compute in; norms, similarities, scores and logits are float32 in
            any case.
        remat: trades time for memory in training, see `ResNet`.
    """

    mode: Mode = "single"
    depth: int = 101
    width: int = 64
    reduction_size: int = 3
    ranking: Ranking = "rank"
    correlation: bool = True
    previous_mask: bool = True
    score_gradient: ram.ScoreGradient = "straight_through"
    aggregation: Aggregation = "softmax"
    dtype: jnp.dtype = jnp.float32
    remat: bool = False

    def __post_init__(self) -> None:
        """Refuses settings that do not exist, with an InputError that names those that do."""
        for name, allowed in _CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                choices = ", ".join(map(str, allowed))
                raise InputError(f"The setting {name} is {value!r}; it can be one of {choices}.")
        super().__post_init__()

    def setup(self) -> None:
        """Makes the submodules that the flags ask for."""
        self.backbone = ResNet(self.depth, self.width, self.dtype, self.remat)
        self.matching_features = MatchingFeatures(self.width, self.reduction_size, self.dtype)
        if self.correlation and self.ranking == "rank":
            self.ranking_network = ram.RankingNetwork(self.width, self.dtype)
        self.merge = Merge(self.width, self.dtype)
        self.lateral_connections = LateralConnections(self.width, self.dtype)
        self.pyramid = Pyramid(self.width, self.dtype)

    def __call__(
        self,
        template_frame: Frame,
        template_masks: ObjectMasks,
        frame: Frame,
        previous_masks: ObjectMasks,
        valid: Valid,
    ) -> Logits:
        """`encode_template`, then `segment`, of frames of one size: what a training step calls."""
        self._check_shapes(template_frame, template_masks)
        self._check_shapes(frame, previous_masks)
        # Both frames at once: half the program to compile, and a larger batch to compute.
        levels = self.backbone(jnp.concatenate([template_frame, frame]))
        features = self.matching_features(levels)
        b = frame.shape[0]
        template = self._pooled_template(features[:b], template_masks)
        levels = tuple(level[b:] for level in levels)
        return self.decode(template, levels, features[b:], previous_masks, valid)

    def encode_template(self, frame: Frame, masks: ObjectMasks) -> EncodedTemplate:
        """Features and masks of the template frame on the 15 x 27 template grid.

        Args:
            frame: RGB in [0, 1], height and width multiples of 32, [b, H, W, 3].
            masks: of each object slot, [b, n, H, W]; n is 1 for `mode="single"`.

        Raises:
            InputError: for a side that is no multiple of 32, or several slots in a single-object
                network.
        """
        self._check_shapes(frame, masks)
        return self._pooled_template(self.matching_features(self.backbone(frame)), masks)

    def segment(
        self, template: EncodedTemplate, frame: Frame, previous_masks: ObjectMasks, valid: Valid
    ) -> Logits:
        """Logits of each object in the current frame.

        Args:
            template: from `encode_template`, of a frame of any size.
            frame: RGB in [0, 1], height and width multiples of 32, [b, H, W, 3].
            previous_masks: masks in the previous frame, [b, n, H, W].
            valid: which slots hold an object, [b, n]; logits of the others mean nothing.

        Returns:
            [b, n, H, W], float32.

        Raises:
            InputError: as `encode_template` does.
        """
        self._check_shapes(frame, previous_masks)
        levels = self.backbone(frame)
        features = self.matching_features(levels)
        return self.decode(template, levels, features, previous_masks, valid)

    def decode(
        self,
        template: EncodedTemplate,
        levels: Levels,
        features: Features,
        previous_masks: ObjectMasks,
        valid: Valid,
    ) -> Logits:
        """`segment` from the encoder's output on: matching, merging and the pyramid."""
        b, n, height, width = previous_masks.shape
        if self.correlation:
            similarity = matching.correlate(template.features, features)
            self.sow("intermediates", "similarity", similarity)
            streams, shared = self._streams(similarity, template.masks, valid), None
        else:
            streams, shared = self._masked_templates(template, features.shape[1:3]), features
        merged = self._merge(streams, shared)
        previous = previous_masks.reshape(b * n, height, width, 1).astype(jnp.float32)
        if not self.previous_mask:
            previous = jnp.zeros_like(previous)
        laterals = self.lateral_connections(levels)
        logits = self.pyramid(laterals, merged[: b * n], merged[b * n :], previous)
        return logits.reshape(b, n, height, width)

    def _pooled_template(self, features: Features, masks: ObjectMasks) -> EncodedTemplate:
        b, n = masks.shape[:2]
        shares = average_pool(jnp.moveaxis(masks, 1, -1).astype(jnp.float32), TEMPLATE_GRID)
        masks = jnp.moveaxis(shares, -1, 1).reshape(b, n, -1)
        return EncodedTemplate(pool_template(features), masks)

    def _check_shapes(self, frame: Frame, masks: ObjectMasks) -> None:
        height, width = frame.shape[1:3]
        if height % 32 or width % 32:
            raise InputError(f"A frame is {width}x{height}; both sides must be multiples of 32.")
        if self.mode == "single" and masks.shape[1] != 1:
            raise InputError(
                f"A single-object network was given {masks.shape[1]} object slots; put the objects "
                "into the batch, one a sample."
            )

    def _streams(
        self, similarity: Float[Array, "b h w k"], masks: TemplateMasks, valid: Valid
    ) -> tuple[Float[Array, "b n h w s"], Float[Array, "b n h w s"]]:
        """Foreground and background maps of every object, as the `ranking` flag says."""
        single = self.mode == "single"
        weights = ram.single_weights(masks) if single else ram.label_weights(masks)
        if self.ranking == "none":
            background = weights[:, 1:] if single else 1 - masks
            return tuple(ram.all_maps(similarity, w) for w in (masks, background))
        if self.ranking == "max":
            strongest = ram.strongest_map(similarity, weights)
            if single:
                return strongest[:, :1], strongest[:, 1:]
            return strongest[:, 1:], ram.strongest_of_others(strongest, valid)
        return self._ranked(similarity, weights, valid)

    def _ranked(
        self, similarity: Float[Array, "b h w k"], weights: Float[Array, "b s k"], valid: Valid
    ) -> tuple[Float[Array, "b n h w 256"], Float[Array, "b n h w 256"]]:
        swapped = ram.swap_space_and_channels(similarity)
        if self.mode == "single":
            rank = ram.rank_streams(self.ranking_network, swapped, weights)
            gate = weights.at[:, 0].set(weights[:, 0] != 0)
            scores = ram.score(similarity, weights, rank, gate)
            candidates = ram.single_candidates(weights, scores)
        else:
            rank = self.ranking_network(swapped)[:, None]
            scores = ram.score(similarity, weights, rank, weights)
            candidates = ram.multi_candidates(weights, scores, valid)
        streams = []
        for side in candidates:
            maps, order = ram.rank_and_gather(similarity, side, self.score_gradient)
            self.sow("intermediates", "order", order)
            streams.append(maps)
        for name, value in (("weights", weights), ("rank", rank), ("scores", scores)):
            self.sow("intermediates", name, value)
        return tuple(streams)

    def _masked_templates(self, template: EncodedTemplate, size: tuple[int, int]):
        shares = (template.masks, 1 - template.masks)
        return tuple(matching.masked_template(template.features, share, size) for share in shares)

    def _merge(self, streams, shared: FeatureMap | None) -> FeatureMap:
        """Both streams of all objects through the one merge module, foreground first."""
        maps = self._double(jnp.concatenate([s.reshape(-1, *s.shape[2:]) for s in streams]))
        if shared is not None:
            shared = self._double(jnp.concatenate([shared, shared]))
        return self.merge(maps, shared)

    def _double(self, maps: FeatureMap) -> FeatureMap:
        size = (2 * maps.shape[1], 2 * maps.shape[2])
        return resize_half_pixel(maps, size).astype(self.dtype)
