"""The network: encode a template once, then segment frames against it (paper Fig. 2).

The only file that reads the ablation flags.
"""

from typing import Literal, Self, get_args

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ranet_jax.array_typing import (
    FeatureMap,
    Features,
    Frame,
    Logits,
    ObjectMasks,
    SimilarityMaps,
    Valid,
    Weights,
)
from ranet_jax.errors import InputError
from ranet_jax.models import correlation, ranking
from ranet_jax.models.aggregation import Aggregation
from ranet_jax.models.decoder import LateralConnections, Merge, Pyramid
from ranet_jax.models.encoder import MatchingFeatures, pool_template
from ranet_jax.models.memory import EncodedTemplate, first_template
from ranet_jax.models.ops import resize_half_pixel
from ranet_jax.models.ranking import ScoreGradient
from ranet_jax.models.resnet import STAGES, Levels, ResNet

Mode = Literal["single", "multi"]
Ranking = Literal["rank", "none", "max"]

_CHOICES = {
    "mode": get_args(Mode),
    "depth": tuple(STAGES),
    "reduction_size": (1, 3),
    "ranking": get_args(Ranking),
    "score_gradient": get_args(ScoreGradient),
    "aggregation": get_args(Aggregation),
}


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
        aggregation: how objects become one label a pixel; see `aggregation.label_values`.
        memory: slots for earlier frames, whose maps compete with those of the first frame; 0 as
            published. The parameters are the same whatever their number.
        max_gap: parts of a mask that lie farther from the others than this, as a fraction of the
            square root of its area, are dropped from frame to frame; 0 drops none, as published.
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
    score_gradient: ScoreGradient = "straight_through"
    aggregation: Aggregation = "softmax"
    memory: int = 0
    max_gap: float = 0.0
    dtype: jnp.dtype = jnp.float32
    remat: bool = False

    def __post_init__(self) -> None:
        """Refuses settings that do not exist, with an InputError that names those that do."""
        for name, allowed in _CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                choices = ", ".join(map(str, allowed))
                raise InputError(f"The setting {name} is {value!r}; it can be one of {choices}.")
        if not isinstance(self.memory, int) or self.memory < 0:
            raise InputError(f"The setting memory is {self.memory!r}; give a whole number from 0.")
        if type(self.max_gap) not in (int, float) or not 0 <= self.max_gap <= 10:
            raise InputError(f"The setting max_gap is {self.max_gap!r}; give one from 0 to 10.")
        if self.memory and (self.ranking == "none" or not self.correlation):
            raise InputError(
                "Only maps that are ranked, or whose maximum is taken, can come from a memory: "
                "leave memory at 0 with ranking none and without correlation."
            )
        super().__post_init__()

    @nn.nowrap
    def with_settings(self, **settings: object) -> Self:
        """A copy with other settings; one that is None stays as it is.

        Raises:
            InputError: for a setting that cannot be.
        """
        return self.clone(**{name: value for name, value in settings.items() if value is not None})

    def setup(self) -> None:
        """Makes the submodules that the flags ask for."""
        self.backbone = ResNet(self.depth, self.width, self.dtype, self.remat)
        self.matching_features = MatchingFeatures(self.width, self.reduction_size, self.dtype)
        if self.correlation and self.ranking == "rank":
            self.ranking_network = ranking.RankingNetwork(self.width, self.dtype)
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
        template = first_template(pool_template(features[:b]), template_masks, self.memory)
        levels = tuple(level[b:] for level in levels)
        return self.decode(template, levels, features[b:], previous_masks, valid)

    def encode_template(self, frame: Frame, masks: ObjectMasks) -> EncodedTemplate:
        """Features and masks of the first frame on the 15 x 27 template grid; memory is empty.

        Args:
            frame: RGB in [0, 1], height and width multiples of 32, [b, H, W, 3].
            masks: of each object slot, [b, n, H, W]; n is 1 for `mode="single"`.

        Raises:
            InputError: for a side that is no multiple of 32, or several slots in a single-object
                network.
        """
        self._check_shapes(frame, masks)
        pooled = pool_template(self.matching_features(self.backbone(frame)))
        return first_template(pooled, masks, self.memory)

    def segment(
        self, template: EncodedTemplate, frame: Frame, previous_masks: ObjectMasks, valid: Valid
    ) -> Logits:
        """Logits of each object in the current frame.

        Args:
            template: from `encode_template` (of a frame of any size) and `memory.remember`.
            frame: RGB in [0, 1], height and width multiples of 32, [b, H, W, 3].
            previous_masks: masks in the previous frame, [b, n, H, W].
            valid: which slots hold an object, [b, n]; logits of the others mean nothing.

        Returns:
            [b, n, H, W], float32.

        Raises:
            InputError: as `encode_template` does.
        """
        return self.segment_and_pool(template, frame, previous_masks, valid)[0]

    def segment_and_pool(
        self, template: EncodedTemplate, frame: Frame, previous_masks: ObjectMasks, valid: Valid
    ) -> tuple[Logits, Float[Array, "b k c"]]:
        """`segment`, and the frame's features on the template grid for `memory.remember`."""
        self._check_shapes(frame, previous_masks)
        levels = self.backbone(frame)
        features = self.matching_features(levels)
        logits = self.decode(template, levels, features, previous_masks, valid)
        return logits, pool_template(features)

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
            similarity = correlation.correlate(template.features, features)
            self.sow("intermediates", "similarity", similarity)
            streams, shared = self._streams(similarity, template, valid), None
        else:
            streams, shared = self._masked_templates(template, features.shape[1:3]), features
        merged = self._merge(streams, shared)
        previous = previous_masks.reshape(b * n, height, width, 1).astype(jnp.float32)
        if not self.previous_mask:
            previous = jnp.zeros_like(previous)
        laterals = self.lateral_connections(levels)
        logits = self.pyramid(laterals, merged[: b * n], merged[b * n :], previous)
        return logits.reshape(b, n, height, width)

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
        self, similarity: SimilarityMaps, template: EncodedTemplate, valid: Valid
    ) -> tuple[Float[Array, "b n h w s"], Float[Array, "b n h w s"]]:
        """Foreground and background maps of every object, as the `ranking` flag says."""
        single = self.mode == "single"
        masks = template.masks.reshape(*template.masks.shape[:2], -1)
        filled = jnp.repeat(template.filled, ranking.CELLS, axis=1)
        weights = ranking.single_weights(masks) if single else ranking.label_weights(masks)
        if self.ranking == "none":
            background = weights[:, 1:] if single else 1 - masks
            return tuple(ranking.all_maps(similarity, w) for w in (masks, background))
        if self.ranking == "max":
            strongest = ranking.strongest_map(similarity, weights, filled)
            if single:
                return strongest[:, :1], strongest[:, 1:]
            return strongest[:, 1:], ranking.strongest_of_others(strongest, valid)
        if self.memory:
            weights = jnp.where(filled[:, None], weights, 0)
        return self._ranked(similarity, weights, filled, valid)

    def _ranked(
        self,
        similarity: SimilarityMaps,
        weights: Weights,
        filled: Bool[Array, "b m"],
        valid: Valid,
    ) -> tuple[Float[Array, "b n h w 256"], Float[Array, "b n h w 256"]]:
        swapped = ranking.swap_space_and_channels(similarity)
        if self.mode == "single":
            rank = ranking.rank_streams(self.ranking_network, swapped, weights)
            gate = weights.at[:, 0].set(weights[:, 0] != 0)
        else:
            rank = self.ranking_network(swapped).reshape(len(weights), 1, -1)
            gate = weights
        scores = ranking.score(similarity, weights, rank, gate)
        if self.memory:
            scores = jnp.where(filled[:, None], scores, -jnp.inf)
        if self.mode == "single":
            candidates = ranking.single_candidates(weights, scores)
        else:
            candidates = ranking.multi_candidates(weights, scores, valid)
        streams = []
        for side in candidates:
            maps, order = ranking.rank_and_gather(similarity, side, self.score_gradient)
            self.sow("intermediates", "order", order)
            streams.append(maps)
        for name, value in (("weights", weights), ("rank", rank), ("scores", scores)):
            self.sow("intermediates", name, value)
        return tuple(streams)

    def _masked_templates(self, template: EncodedTemplate, size: tuple[int, int]):
        masks = template.masks[:, :, 0]
        streams = (masks, 1 - masks)
        return tuple(correlation.masked_template(template.features, mask, size) for mask in streams)

    def _merge(self, streams, shared: FeatureMap | None) -> FeatureMap:
        """Both streams of all objects through the one merge module, foreground first."""
        maps = self._double(jnp.concatenate([s.reshape(-1, *s.shape[2:]) for s in streams]))
        if shared is not None:
            shared = self._double(jnp.concatenate([shared, shared]))
        return self.merge(maps, shared)

    def _double(self, maps: FeatureMap) -> FeatureMap:
        size = (2 * maps.shape[1], 2 * maps.shape[2])
        return resize_half_pixel(maps.astype(self.dtype), size)
