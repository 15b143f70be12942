"""Templates beside the first frame: what is ranked, what is written, what stays as published."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ranet_jax.errors import InputError
from ranet_jax.models import ranking
from ranet_jax.models.memory import EncodedTemplate, first_template, pool_masks, remember
from ranet_jax.models.ranet import RANet

MODES = [("single", 1), ("multi", 2)]


def inputs(b=2, n=1, height=96, width=128, seed=0):
    """Two frames with block-shaped masks of n objects, and which slots are valid."""
    random = np.random.default_rng(seed)
    frames = random.uniform(0, 1, (2, b, height, width, 3)).astype(np.float32)
    labels = random.integers(0, n + 1, (2, b, height // 16, width // 16))
    labels = labels.repeat(16, 2).repeat(16, 3)
    masks = (labels[:, :, None] == np.arange(1, n + 1)[:, None, None]).astype(np.float32)
    return frames, masks, np.ones((b, n), bool)


def encode(model, params, frame, masks) -> EncodedTemplate:
    return _encode(model)({"params": params}, frame, masks)


def segment(model, params, *args):
    """Logits and pooled features."""
    return _segment(model)({"params": params}, *args)


@functools.cache
def _encode(model):
    return jax.jit(functools.partial(model.apply, method="encode_template"))


@functools.cache
def _segment(model):
    return jax.jit(functools.partial(model.apply, method="segment_and_pool"))


def ranked(model, params, *args) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The ranked maps of foreground and background, [b, n, h, w, 256], and their cells."""
    run = functools.partial(
        model.apply,
        method="segment",
        mutable="intermediates",
        capture_intermediates=lambda module, name: name == "_ranked",
    )
    seen = jax.jit(run)({"params": params}, *args)[1]["intermediates"]
    cells = [np.asarray(order) % seen["similarity"][0].shape[-1] for order in seen["order"]]
    return [np.asarray(maps) for maps in seen["_ranked"][0]], cells


def with_copy(template: EncodedTemplate) -> EncodedTemplate:
    """The first frame in every slot."""
    shape = template.features.shape[:2]
    return EncodedTemplate(
        jnp.broadcast_to(template.features[:, :1], template.features.shape),
        jnp.broadcast_to(template.masks[:, :, :1], template.masks.shape),
        jnp.ones(shape, bool),
    )


@pytest.mark.parametrize("mode, n", MODES)
@pytest.mark.parametrize("memory", [1, 3])
def test_empty_slots_change_nothing(small, mode, n, memory):
    """Slots are never ranked before they are filled: the 256 maps are those of no memory."""
    model, params = small(mode=mode)
    (first, current), (masks, previous), valid = inputs(n=n)
    plain = encode(model, params, first, masks)
    expected, _ = segment(model, params, plain, current, previous, valid)
    slots = model.clone(memory=memory)
    template = encode(slots, params, first, masks)
    assert template.features.shape[1] == template.masks.shape[2] == 1 + memory
    np.testing.assert_array_equal(template.filled, [[True] + memory * [False]] * 2)
    # Whatever lies in an empty slot.
    template = with_copy(template)._replace(filled=template.filled)
    _, cells = ranked(slots, params, template, current, previous, valid)
    assert max(own.max() for own in cells) < ranking.CELLS
    logits, _ = segment(slots, params, template, current, previous, valid)
    np.testing.assert_allclose(logits, expected, atol=1e-3)


@pytest.mark.parametrize("mode, n", MODES)
def test_a_copy_of_the_first_frame_shows_its_best_128_maps_twice(small, mode, n):
    model, params = small(mode=mode, memory=1)
    (first, current), (masks, previous), valid = inputs(n=n)
    template = with_copy(encode(model, params, first, masks))
    plain = EncodedTemplate(
        template.features[:, :1], template.masks[:, :, :1], template.filled[:, :1]
    )
    once, _ = ranked(model.clone(memory=0), params, plain, current, previous, valid)
    twice, cells = ranked(model, params, template, current, previous, valid)
    for alone, doubled in zip(once, twice, strict=True):
        np.testing.assert_allclose(doubled, np.repeat(alone[..., :128], 2, axis=-1), atol=1e-5)
    assert max(own.max() for own in cells) >= ranking.CELLS


@pytest.mark.parametrize("mode, n", MODES)
def test_each_sample_ranks_its_own_memory(small, mode, n):
    """A batch of one sample with a filled slot and one without, together and alone."""
    model, params = small(mode=mode, memory=2)
    (first, current), (masks, previous), valid = inputs(n=n)
    template = encode(model, params, first, masks)
    _, pooled = segment(model, params, template, current, previous, valid)
    # The other sample's frame: cells of the same frame would tie at a similarity of 1.
    template = remember(template, pooled[::-1], previous, 2, jnp.asarray([True, False]))
    together, _ = segment(model, params, template, current, previous, valid)
    for i in range(2):
        own = jax.tree.map(lambda x: x[i : i + 1], (template, current, previous, valid))  # noqa: B023
        alone, _ = segment(model, params, *own)
        np.testing.assert_allclose(together[i], alone[0], atol=1e-3)
    (empty, _) = segment(
        model, params, encode(model, params, first, masks), current, previous, valid
    )
    np.testing.assert_allclose(together[1], empty[1], atol=1e-3)
    assert np.abs(together[0] - empty[0]).max() > 1e-2


def test_the_pooled_features_are_those_of_the_frame_as_a_template(small):
    """No second encoding is needed to remember a frame."""
    model, params = small(memory=1)
    (first, current), (masks, previous), valid = inputs()
    template = encode(model, params, first, masks)
    _, pooled = segment(model, params, template, current, previous, valid)
    again = encode(model, params, current, previous)
    np.testing.assert_allclose(pooled, again.features[:, 0], atol=1e-5)


def test_remembering_writes_one_slot_of_those_that_keep():
    random = np.random.default_rng(0)
    pooled = random.uniform(size=(3, ranking.CELLS, 4)).astype(np.float32)
    masks = random.uniform(size=(3, 2, 96, 128)).astype(np.float32)
    template = first_template(jnp.asarray(pooled), masks, 2)
    later, later_masks = pooled + 1, 1 - masks
    for slot in (2, jnp.asarray(2), jnp.asarray([1, 1, 2])):
        written = remember(template, later, later_masks, slot, jnp.asarray([True, False, True]))
        slots = np.broadcast_to(slot, 3)
        for i in range(3):
            expected = [True, False, False]
            for t in range(3):
                here = i != 1 and t == slots[i]
                expected[t] |= here
                old = template.features[i, t], template.masks[i, :, t]
                new = (later[i], pool_masks(later_masks)[i]) if here else old
                np.testing.assert_array_equal(written.features[i, t], new[0])
                np.testing.assert_array_equal(written.masks[i, :, t], new[1])
            np.testing.assert_array_equal(written.filled[i], expected)


@pytest.mark.parametrize("mode, n", MODES)
def test_no_memory_is_what_was_published(small, mode, n):
    """Bit for bit, with or without the word for which templates are filled."""
    model, params = small(mode=mode, memory=0)
    (first, current), (masks, previous), valid = inputs(n=n)
    template = encode(model, params, first, masks)
    logits, _ = segment(model, params, template, current, previous, valid)
    unmarked = template._replace(filled=jnp.zeros_like(template.filled))
    again, _ = segment(model, params, unmarked, current, previous, valid)
    np.testing.assert_array_equal(again, logits)


def test_the_maximum_is_taken_over_filled_templates(small):
    model, params = small(ranking="max", memory=1)
    (first, current), (masks, previous), valid = inputs()
    template = encode(model, params, first, masks)
    alone, _ = segment(model, params, template, current, previous, valid)
    copied, _ = segment(model, params, with_copy(template), current, previous, valid)
    np.testing.assert_allclose(copied, alone, atol=1e-3)
    plain = model.clone(memory=0)
    expected, _ = segment(
        plain, params, encode(plain, params, first, masks), current, previous, valid
    )
    np.testing.assert_allclose(alone, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory": -1}, "whole number from 0"),
        ({"memory": 1.5}, "whole number from 0"),
        ({"memory": 1, "ranking": "none"}, "leave memory at 0"),
        ({"memory": 1, "correlation": False}, "leave memory at 0"),
    ],
)
def test_impossible_memories(settings, message):
    with pytest.raises(InputError, match=message):
        RANet(**settings)
