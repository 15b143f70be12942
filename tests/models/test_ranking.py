"""The ranking attention module against its definition, written out plainly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranet_jax.models import ranking


def maps(b=1, h=3, w=4, k=405, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (b, h, w, k)).astype(np.float32)


def shares(b=1, n=1, k=405, seed=1) -> np.ndarray:
    """Area shares of n objects in each cell; many cells are empty."""
    random = np.random.default_rng(seed)
    raw = random.uniform(0, 1, (b, n + 1, k)) * (random.uniform(0, 1, (b, n + 1, k)) > 0.5)
    raw[:, 0] += 0.01
    return (raw / raw.sum(axis=1, keepdims=True))[:, 1:].astype(np.float32)


def plain_selection(weighted: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Best 256 maps of [h, w, m] by score, lower index first, zeros where there are fewer."""
    order = np.argsort(-scores, kind="stable")[:256]
    out = np.zeros((*weighted.shape[:2], 256), np.float32)
    out[..., : len(order)] = weighted[..., order]
    return out


def ranked(similarity, weights, scores, **kwargs):
    candidates = ranking.Candidates(jnp.asarray(weights), jnp.asarray(scores))
    mode = kwargs.get("score_gradient", "none")
    return ranking.rank_and_gather(jnp.asarray(similarity), candidates, mode)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_selection_equals_sorting(seed):
    similarity, weights = maps(seed=seed), shares(seed=seed)
    # Whole numbers make many ties.
    scores = np.random.default_rng(seed).integers(-9, 9, (1, 1, 405)).astype(np.float32)
    ours, order = ranked(similarity, weights, scores)
    expected = plain_selection(similarity[0] * weights[0, 0], scores[0, 0])
    np.testing.assert_allclose(ours[0, 0], expected, atol=1e-6)
    assert np.unique(order).size == 256


def test_maps_of_zero_weight_rank_above_maps_of_negative_score():
    """Three matches, then zero maps, then maps that match nowhere (as published)."""
    similarity = -np.abs(maps())
    similarity[..., 7:10] = [0.5, 0.9, 0.7]
    masks = np.zeros((1, 1, 405), np.float32)
    masks[..., :100] = 1
    weights = ranking.single_weights(jnp.asarray(masks))
    scores = ranking.score(similarity, weights, jnp.zeros((1, 2, 405)), weights)
    foreground, _ = ranking.single_candidates(weights, scores)
    selected, order = ranking.rank_and_gather(jnp.asarray(similarity), foreground, "none")
    np.testing.assert_array_equal(order[0, 0, :3], [8, 9, 7])
    np.testing.assert_array_equal(selected[..., 3:], 0)


def test_single_weights_overlap_below_a_tenth():
    """A share of up to 0.1 is in both streams, a larger one in the foreground only."""
    masks = np.zeros((1, 1, 405), np.float32)
    masks[0, 0, :5] = [0, 0.05, 0.1, 0.2, 1]
    foreground, background = np.asarray(ranking.single_weights(jnp.asarray(masks)))[0]
    np.testing.assert_allclose(foreground[:5], [0, 0.05, 0.1, 0.2, 1])
    np.testing.assert_array_equal(background[:5], [1, 1, 1, 0, 0])


@given(st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_multi_background_equals_concatenating_all_other_labels(n, seed):
    """No tensor of all weighted candidates is built, and the result is that of building it."""
    similarity, masks = maps(seed=seed), shares(n=n, seed=seed)
    rank = np.random.default_rng(seed).normal(size=(1, 1, 405)).astype(np.float32)
    weights = ranking.label_weights(jnp.asarray(masks))
    scores = ranking.score(similarity, weights, rank, weights)
    valid = jnp.ones((1, n), bool)
    for side, candidates in enumerate(ranking.multi_candidates(weights, scores, valid)):
        ours, _ = ranking.rank_and_gather(jnp.asarray(similarity), candidates, "none")
        for slot in range(n):
            labels = [slot + 1] if side == 0 else [i for i in range(n + 1) if i != slot + 1]
            weighted = np.concatenate(
                [similarity[0] * np.asarray(weights)[0, label] for label in labels], axis=-1
            )
            learned = np.concatenate(
                [
                    0.2 * np.maximum(rank[0, 0], 0) * np.asarray(weights)[0, label]
                    for label in labels
                ]
            )
            # Equal up to rounding in the sum: candidates that nearly tie may change places.
            expected = np.sort(weighted.max(axis=(0, 1)) + learned)[::-1][:256]
            ours_scores = jax.lax.top_k(candidates.scores, 256)[0][0, slot]
            np.testing.assert_allclose(ours_scores, expected, atol=1e-6)
            plain = plain_selection(weighted, np.asarray(weighted.max(axis=(0, 1)) + learned))
            np.testing.assert_allclose(
                np.sort(np.asarray(ours)[0, slot].sum(axis=(0, 1))),
                np.sort(plain.sum(axis=(0, 1))),
                atol=1e-3,
            )


def test_unused_slots_change_nothing():
    similarity, masks = jnp.asarray(maps()), shares(n=2)
    padded = np.concatenate([masks, np.zeros((1, 2, 405), np.float32)], axis=1)
    rank = jnp.ones((1, 1, 405))

    def background(masks, valid):
        weights = ranking.label_weights(jnp.asarray(masks))
        scores = ranking.score(similarity, weights, rank, weights)
        _, candidates = ranking.multi_candidates(weights, scores, jnp.asarray([valid]))
        return ranking.rank_and_gather(similarity, candidates, "none")[0]

    alone = background(masks, [True, True])
    with_padding = background(padded, [True, True, False, False])
    np.testing.assert_array_equal(alone, with_padding[:, :2])


def test_swapping_puts_frame_positions_into_channels():
    similarity = maps(h=30, w=54)
    swapped = np.asarray(ranking.swap_space_and_channels(jnp.asarray(similarity)))
    assert swapped.shape == (1, 15, 27, 405)
    # Template cell (2, 3), current cell (4, 5).
    block = similarity[0, 8:10, 10:12, 2 * 27 + 3]
    assert swapped[0, 2, 3, 4 * 27 + 5] == block.max()


@pytest.mark.parametrize("mode", ["straight_through", "gate", "none"])
def test_score_gradient(mode):
    """`none` passes nothing to the scores; the others what multiplying by them would."""
    similarity, weights = jnp.asarray(maps()), jnp.asarray(shares())
    scores = jnp.asarray(np.random.default_rng(3).normal(size=(1, 1, 405)).astype(np.float32))
    direction = jnp.asarray(maps(k=256, seed=4))[:, None]

    def loss(similarity, scores):
        candidates = ranking.Candidates(weights, scores)
        return jnp.sum(ranking.rank_and_gather(similarity, candidates, mode)[0] * direction)

    to_maps, to_scores = jax.grad(loss, argnums=(0, 1))(similarity, scores)
    literal, order = ranked(similarity, weights, scores)
    ours, _ = ranked(similarity, weights, scores, score_gradient=mode)
    best = jnp.take_along_axis(scores, order, axis=-1)
    if mode == "none":
        np.testing.assert_array_equal(to_scores, 0)
        assert np.abs(to_maps).max() > 0
        return
    expected = np.zeros(405, np.float32)
    expected[np.asarray(order)[0, 0]] = np.sum(literal * direction, axis=(0, 1, 2, 3))
    np.testing.assert_allclose(to_scores[0, 0], expected, rtol=1e-4, atol=1e-5)
    value = literal if mode == "straight_through" else literal * best[:, :, None, None]
    np.testing.assert_array_equal(ours, value)


@pytest.mark.parametrize("mode", ["straight_through", "gate", "none"])
def test_what_the_ranking_network_learns_from(mode):
    """Sorting alone leaves its parameters without any gradient; the other two modes do not."""
    similarity = jnp.asarray(maps(h=4, w=6))
    weights = ranking.single_weights(jnp.asarray(shares()))
    network = ranking.RankingNetwork(width=8)
    swapped = ranking.swap_space_and_channels(similarity)
    params = network.init(jax.random.key(0), swapped)

    def loss(params):
        rank = ranking.rank_streams(network.bind(params), swapped, weights)
        scores = ranking.score(similarity, weights, rank, weights)
        streams = ranking.single_candidates(weights, scores)
        selected = [ranking.rank_and_gather(similarity, side, mode)[0] for side in streams]
        return sum(jnp.sum(jnp.square(one)) for one in selected)

    gradients = jax.tree.leaves(jax.jit(jax.grad(loss))(params))
    largest = max(float(jnp.abs(leaf).max()) for leaf in gradients)
    assert largest == 0 if mode == "none" else largest > 1e-6


def test_strongest_map_is_the_maximum_over_weighted_maps():
    similarity, masks = maps(), shares(n=2)
    weights = np.asarray(ranking.label_weights(jnp.asarray(masks)))
    everywhere = jnp.ones((1, 405), bool)
    strongest = np.asarray(ranking.strongest_map(similarity, weights, everywhere))
    expected = (similarity[:, None] * weights[:, :, None, None]).max(axis=-1)
    np.testing.assert_allclose(strongest[..., 0], expected, atol=1e-6)
    others = ranking.strongest_of_others(jnp.asarray(strongest), jnp.asarray([[True, True]]))
    np.testing.assert_allclose(others[0, 0, ..., 0], expected[0, [0, 2]].max(axis=0), atol=1e-6)
    np.testing.assert_allclose(others[0, 1, ..., 0], expected[0, [0, 1]].max(axis=0), atol=1e-6)
