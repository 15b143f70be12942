"""Ranking Attention Module: weigh, score, rank and gather similarity maps (paper 3.2).

A *stream* is a set of candidate maps that belong together: foreground and background of one object,
or the labels of a multi-object video. Weights are never negative, so the peak of a weighted map is
the weight times the peak of the map, and no tensor of weighted candidates is ever built.
"""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ranet_jax.array_typing import RankedMaps, Scores, SimilarityMaps, TemplateMasks, Valid, Weights
from ranet_jax.models.encoder import TEMPLATE_GRID
from ranet_jax.models.layers import ConvBlock, ResBlock
from ranet_jax.models.ops import adaptive_max_pool

ScoreGradient = Literal["straight_through", "gate", "none"]
SELECTED = 256  # slots of a ranked selection
HARD_BACKGROUND = 0.9  # a template cell is background of a single object from this share on
RANK_GAIN = 0.2  # weight of the learned term of the score


class Candidates(NamedTuple):
    """Candidate maps of every object's stream, flattened over (label, cell): [b, n, candidates]."""

    weights: Float[Array, "b n m"]
    scores: Float[Array, "b n m"]


class RankingNetwork(nn.Module):
    """The learned part of the score (f_n of Eq. 2), from the maps around each template cell.

    Attributes:
        width: of the backbone's stem (64 in the paper).
        dtype: what the convolutions compute in; parameters stay float32.
    """

    width: int = 64
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, swapped: Float[Array, "b ht wt 405"]) -> Float[Array, "b k"]:
        """Swapped maps on the template grid -> a value for each template cell, before ReLU."""
        x = ConvBlock(2 * self.width, dtype=self.dtype, name="block1")(swapped)
        x = ResBlock(self.width // 2, dilation=2, dtype=self.dtype, name="res")(x)
        x = ConvBlock(1, dtype=self.dtype, name="block2")(x)
        return x.reshape(x.shape[0], -1).astype(jnp.float32)


def swap_space_and_channels(similarity: SimilarityMaps) -> Float[Array, "b ht wt 405"]:
    """Makes 15 x 27 max-pooled positions of the frame the channels of the template grid."""
    pooled = adaptive_max_pool(similarity, TEMPLATE_GRID)
    b, _, _, k = pooled.shape
    return pooled.reshape(b, -1, k).swapaxes(1, 2).reshape(b, *TEMPLATE_GRID, -1)


def single_weights(masks: TemplateMasks) -> Weights:
    """Soft share of the foreground, and 1 where 0.9 of a cell is background: [b, 2, k]."""
    share = masks[:, 0]
    background = (1 - share >= HARD_BACKGROUND).astype(share.dtype)
    return jnp.stack([share, background], axis=1)


def label_weights(masks: TemplateMasks) -> Weights:
    """Soft area shares of the background and of each object, [b, n+1, k]."""
    return jnp.concatenate([1 - jnp.sum(masks, axis=1, keepdims=True), masks], axis=1)


def rank_streams(
    network: RankingNetwork, swapped: Float[Array, "b ht wt 405"], weights: Weights
) -> Scores:
    """The ranking network on the weighted maps of each stream, in one batch."""
    b, s, _ = weights.shape
    weighted = swapped[:, None] * weights.reshape(b, s, *TEMPLATE_GRID, 1)
    return network(weighted.reshape(b * s, *weighted.shape[2:])).reshape(b, s, -1)


def score(similarity: SimilarityMaps, weights: Weights, rank: Scores, gate: Weights) -> Scores:
    """Peak of each weighted map plus 0.2 times the gated learned term (Eq. 2, as published).

    Args:
        similarity: [b, h, w, k].
        weights: of each stream, at least 0, [b, s, k].
        rank: output of the ranking network, before ReLU, [b, s, k] or [b, 1, k].
        gate: what the learned term is multiplied by, [b, s, k].
    """
    peak = jnp.max(similarity, axis=(1, 2))[:, None]
    return weights * peak + RANK_GAIN * nn.relu(rank) * gate


def single_candidates(weights: Weights, scores: Scores) -> tuple[Candidates, Candidates]:
    """Foreground and background candidates of the one object."""
    return tuple(Candidates(weights[:, i : i + 1], scores[:, i : i + 1]) for i in (0, 1))


def multi_candidates(
    weights: Weights, scores: Scores, valid: Valid
) -> tuple[Candidates, Candidates]:
    """Each object's own maps, and the maps of every other label, background label first.

    Maps of an object itself, and of unused slots, rank below everything (their score is minus
    infinity).
    """
    b, labels, k = weights.shape
    n = labels - 1
    others = _other_labels(valid)[..., None]
    all_scores = jnp.where(others, scores[:, None], -jnp.inf).reshape(b, n, labels * k)
    all_weights = jnp.broadcast_to(weights[:, None], (b, n, labels, k)).reshape(b, n, labels * k)
    return Candidates(weights[:, 1:], scores[:, 1:]), Candidates(all_weights, all_scores)


def rank_and_gather(
    similarity: SimilarityMaps, candidates: Candidates, score_gradient: ScoreGradient
) -> tuple[RankedMaps, Int[Array, "b n 256"]]:
    """The 256 weighted maps of highest score, best first (Eq. 3); ties keep the lower index.

    Sorting passes no gradient to the scores, so `score_gradient` says where f_n learns from:
    `straight_through` leaves the maps as they are and differentiates as if each were multiplied by
    its score, `gate` multiplies them, `none` is the literal reading.

    Returns:
        The maps, [b, n, h, w, 256], and the candidate each one came from.
    """
    scores, order = lax.top_k(candidates.scores, SELECTED)
    weights = jnp.take_along_axis(candidates.weights, order, axis=-1)
    rows = jnp.moveaxis(similarity, -1, 1)
    cells = order % similarity.shape[-1]
    maps = jax.vmap(lambda maps, cell: jnp.take(maps, cell, axis=0))(rows, cells)
    maps = jnp.moveaxis(maps * weights[..., None, None], 2, -1)
    scores = jnp.where(jnp.isfinite(scores), scores, 0)[:, :, None, None]
    if score_gradient == "gate":
        return maps * scores, order
    if score_gradient == "straight_through":
        gated = maps * scores
        return lax.stop_gradient(maps) + (gated - lax.stop_gradient(gated)), order
    return maps, order


def all_maps(similarity: SimilarityMaps, weights: Weights) -> RankedMaps:
    """Every weighted map in its place, [b, s, h, w, k] (paper Table 4, "without ranking")."""
    return similarity[:, None] * weights[:, :, None, None]


def strongest_map(similarity: SimilarityMaps, weights: Weights) -> Float[Array, "b s h w 1"]:
    """The maximum over each stream's weighted maps (paper Table 4, "maximum")."""

    def of_stream(weight: Float[Array, "b k"]) -> Float[Array, "b h w"]:
        return jnp.max(similarity * weight[:, None, None], axis=-1)

    return jnp.moveaxis(lax.map(of_stream, jnp.moveaxis(weights, 1, 0)), 0, 1)[..., None]


def strongest_of_others(
    strongest: Float[Array, "b l h w 1"], valid: Valid
) -> Float[Array, "b n h w 1"]:
    """For each object the maximum over all other labels of `strongest_map`."""
    others = _other_labels(valid)[:, :, :, None, None, None]
    return jnp.max(jnp.where(others, strongest[:, None], -jnp.inf), axis=2)


def _other_labels(valid: Valid) -> Bool[Array, "b n l"]:
    """Which labels are background to each object: the background label and the other used slots."""
    b, n = valid.shape
    usable = jnp.concatenate([jnp.ones((b, 1), bool), valid], axis=1)
    return usable[:, None] & ~jnp.eye(n, n + 1, 1, dtype=bool)
