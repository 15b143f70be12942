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

from ranet_jax.array_typing import RankedMaps, Scores, SimilarityMaps, Valid, Weights
from ranet_jax.models.encoder import TEMPLATE_GRID
from ranet_jax.models.layers import ConvBlock, ResBlock
from ranet_jax.models.ops import adaptive_max_pool

ScoreGradient = Literal["straight_through", "gate", "none"]
SELECTED = 256  # slots of a ranked selection
HARD_BACKGROUND = 0.9  # a template cell is background of a single object from this fraction on
CELLS = TEMPLATE_GRID[0] * TEMPLATE_GRID[1]
RANK_GAIN = 0.2  # weight of the learned term of the score


class Candidates(NamedTuple):
    """Candidate maps of every object's stream, flattened over (label, template, cell)."""

    weights: Float[Array, "b n candidates"]
    scores: Float[Array, "b n candidates"]


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


def swap_space_and_channels(similarity: SimilarityMaps) -> Float[Array, "bt ht wt 405"]:
    """Makes 15 x 27 max-pooled positions of the frame the channels of the template grid.

    Returns:
        The grid of each template, [b*t, 15, 27, 405], templates of a sample after one another.
    """
    pooled = adaptive_max_pool(similarity, TEMPLATE_GRID)
    b, _, _, m = pooled.shape
    return pooled.reshape(b, -1, m).swapaxes(1, 2).reshape(-1, *TEMPLATE_GRID, CELLS)


def single_weights(masks: Float[Array, "b n m"]) -> Weights:
    """Soft fraction of the foreground, and 1 where 0.9 of a cell is background: [b, 2, m]."""
    foreground = masks[:, 0]
    background = (1 - foreground >= HARD_BACKGROUND).astype(foreground.dtype)
    return jnp.stack([foreground, background], axis=1)


def label_weights(masks: Float[Array, "b n m"]) -> Weights:
    """Soft area fractions of the background and of each object, [b, n+1, m]."""
    return jnp.concatenate([1 - jnp.sum(masks, axis=1, keepdims=True), masks], axis=1)


def rank_streams(
    network: RankingNetwork, swapped: Float[Array, "bt ht wt 405"], weights: Weights
) -> Scores:
    """The ranking network on the weighted maps of each template and stream, in one batch."""
    b, s, m = weights.shape
    by_template = weights.reshape(b, s, -1, CELLS).swapaxes(1, 2)
    weighted = swapped[:, None] * by_template.reshape(-1, s, *TEMPLATE_GRID, 1)
    rank = network(weighted.reshape(-1, *weighted.shape[2:]))
    return rank.reshape(b, -1, s, CELLS).swapaxes(1, 2).reshape(b, s, m)


def score(similarity: SimilarityMaps, weights: Weights, rank: Scores, gate: Weights) -> Scores:
    """Peak of each weighted map plus 0.2 times the gated learned term (Eq. 2, as published).

    Args:
        similarity: [b, h, w, m].
        weights: of each stream, at least 0, [b, s, m].
        rank: output of the ranking network, before ReLU, [b, s, m] or [b, 1, m].
        gate: what the learned term is multiplied by, [b, s, m].
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
    b, labels, m = weights.shape
    n = labels - 1
    others = _other_labels(valid)[..., None]
    all_scores = jnp.where(others, scores[:, None], -jnp.inf).reshape(b, n, labels * m)
    all_weights = jnp.broadcast_to(weights[:, None], (b, n, labels, m)).reshape(b, n, labels * m)
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
    """Every weighted map in its place, [b, s, h, w, m] (paper Table 4, "without ranking")."""
    return similarity[:, None] * weights[:, :, None, None]


def strongest_map(
    similarity: SimilarityMaps, weights: Weights, filled: Bool[Array, "b m"]
) -> Float[Array, "b s h w 1"]:
    """The maximum over each stream's weighted maps (paper Table 4, "maximum").

    Args:
        similarity: [b, h, w, m].
        weights: of each stream, at least 0, [b, s, m].
        filled: the cells that take part: those of templates that hold a frame.
    """

    def of_stream(weight: Float[Array, "b m"]) -> Float[Array, "b h w"]:
        weighted = similarity * weight[:, None, None]
        return jnp.max(weighted, axis=-1, where=filled[:, None, None], initial=-jnp.inf)

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
