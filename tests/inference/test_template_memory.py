"""Earlier frames in memory while videos are segmented: what is kept, of whom, and how much."""

import jax
import numpy as np
import pytest
from small_videos import drifting_squares, segment

from ranet_jax import InputError, Segmenter
from ranet_jax.models.memory import pool_masks

SIZE = (96, 160)
NETWORKS = [("single", (1,)), ("multi", (3, 7))]


def segmenter(network, memory, **settings) -> Segmenter:
    return Segmenter(*network, size=SIZE, memory=memory, **settings)


def test_no_slots_are_no_memory_at_all(small):
    """Bit for bit, whether the model or the segmenter says it."""
    model, params = small()
    images, labels = drifting_squares(4)
    maps = []
    for one in (
        Segmenter(model, params, size=SIZE),
        segmenter((model, params), 0),
        segmenter((model.clone(memory=2), params), 0),
    ):
        segment(one, images, labels[0])
        maps.append(one.probability_maps()[1])
        assert one._state.template.features.shape[1] == 1
    np.testing.assert_array_equal(maps[1], maps[0])
    np.testing.assert_array_equal(maps[2], maps[0])


def test_the_model_says_how_many_frames_are_kept(small):
    model, params = small(memory=1)
    images, labels = drifting_squares(3)
    own, asked = Segmenter(model, params, size=SIZE), segmenter(small(), 1)
    results = [segment(one, images, labels[0]) for one in (own, asked)]
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(*(one.probability_maps()[1] for one in (own, asked)))
    with pytest.raises(InputError, match="memory is -1; give a whole number from 0"):
        segmenter(small(), -1)


@pytest.mark.parametrize("mode, ids", NETWORKS)
def test_slot_one_holds_the_previous_frame_as_it_was_seen(small, mode, ids):
    images, labels = drifting_squares(3, ids=ids)
    one = segmenter(small(mode=mode), 1)
    one.init(images[0], labels[0])
    template = one._state.template
    assert template.filled[:, 0].all() and not template.filled[:, 1].any()
    for image in images[1:]:
        before = jax.tree.map(np.asarray, one._state)
        one.step(image)
        template = one._state.template
        assert template.filled.all()
        np.testing.assert_array_equal(template.features[:, 0], before.template.features[:, 0])
        np.testing.assert_array_equal(template.masks[:, :, 0], before.template.masks[:, :, 0])
        assert np.abs(template.features[:, 1] - before.template.features[:, 1]).max() > 0
        shares = np.asarray(template.masks[:, :, 1])
        assert shares.min() >= 0 and shares.sum(axis=1).max() <= 1 + 1e-5


def test_a_frame_is_kept_with_its_probabilities(small):
    """Seen by a network of one object: those of the frame in the box, on the template grid."""
    images, labels = drifting_squares(2)
    one = segmenter(small(), 1, aggregation="argmax")
    one.init(images[0], np.ones_like(labels[0]))  # the box is the whole frame
    one.step(images[1])
    values = np.asarray(one._values[:, 1:])
    np.testing.assert_allclose(one._state.template.masks[:, :, 1], pool_masks(values), atol=1e-3)


def test_the_other_slots_take_every_fifth_frame_in_turn(small):
    images, labels = drifting_squares(17)
    one = segmenter(small(), 3)
    one.init(images[0], labels[0])
    held = [None] * 4
    for number in range(1, 17):
        one.step(images[number])
        features = np.asarray(one._state.template.features[0])
        changed = {slot for slot in range(4) if not np.array_equal(features[slot], held[slot])}
        expected = {0} if number == 1 else set()
        expected |= {1, {5: 2, 10: 3, 15: 2}.get(number, 1)} | ({2, 3} if number == 1 else set())
        assert changed == expected, number
        filled = [True, True, number >= 5, number >= 10]
        np.testing.assert_array_equal(one._state.template.filled[0], filled)
        held = features


@pytest.mark.parametrize("mode, ids", NETWORKS)
def test_each_video_of_a_batch_has_its_own_memory(small, mode, ids):
    """Another video beside it, shorter and of another size, changes nothing: bit for bit."""
    images, labels = drifting_squares(4, ids=ids)
    together = segmenter(small(mode=mode), 1)
    maps, memories = [], []
    for seed in (1, 2):
        others, other_labels = drifting_squares(3, 64, 100, ids=ids, seed=seed)
        together.init([images[0], others[0]], [labels[0], other_labels[0]])
        for image, other in zip(images[1:], [*others[1:], None], strict=True):
            together.step([image, other])
            if other is not None:
                memory = np.asarray(together._state.template.features[:, 1])
        maps.append(together.probability_maps(0))
        memories.append(np.split(memory, 2))
    for id_ in ids:
        np.testing.assert_array_equal(maps[0][id_], maps[1][id_])
    (own, beside), (again, beside_again) = memories
    np.testing.assert_array_equal(own, again)
    assert np.abs(beside - beside_again).max() > 0


def test_an_added_object_starts_with_an_empty_memory(small):
    """Its first frame is the one it was added at; those there already keep what they remember."""
    images, labels = drifting_squares(4, ids=(1, 2))
    one = segmenter(small(mode="multi"), 2, aggregation="argmax")
    one.init(images[0], np.where(labels[0] == 1, 1, 0))
    one.step(images[1])
    one.step(images[2])
    before = jax.tree.map(np.asarray, one._state.template)
    one.add_object(images[2], np.where(labels[2] == 2, 2, 0))
    template = one._state.template
    for name, old in zip(template._fields, before, strict=True):
        np.testing.assert_array_equal(getattr(template, name)[:1], old)
    np.testing.assert_array_equal(template.filled, [[True, True, False], [True, False, False]])
    one.step(images[3])
    np.testing.assert_array_equal(one._state.template.filled[1], [True, True, False])


def test_a_single_object_network_remembers_where_an_object_is_alone(small):
    """Not in a video of several, from the first step or from the one after another was added."""
    images, labels = drifting_squares(4, ids=(1, 2))
    alone = [np.where(one == 1, 1, 0) for one in labels]
    one = segmenter(small(), 1)
    one.init([images[0], images[0]], [alone[0], labels[0]])
    one.step([images[1], images[1]])
    filled = one._state.template.filled.reshape(2, 2, 2)
    np.testing.assert_array_equal(filled[:, 0], [[True, True], [True, False]])
    one.add_object(images[1], labels[1] - alone[1], video=0)
    maps = []
    for memory in (1, 0):
        if memory == 0:
            one = segmenter(small(), 0)
            one.init([images[0], images[0]], [alone[0], labels[0]])
            one.step([images[1], images[1]])
        one.step([images[2], images[2]])
        maps.append(one.probability_maps(1))
    np.testing.assert_allclose(maps[0][2], maps[1][2], atol=1e-5)


def test_memory_changes_what_is_found_from_the_second_frame_on(small):
    images, labels = drifting_squares(3)
    maps = []
    for slots in (0, 1):
        one = segmenter(small(), slots)
        one.init(images[0], labels[0])
        maps.append([])
        for image in images[1:]:
            one.step(image)
            maps[-1].append(one.probability_maps()[1])
    np.testing.assert_allclose(maps[0][0], maps[1][0], atol=1e-3)
    assert np.abs(maps[0][1] - maps[1][1]).max() > 1e-2


def test_memory_is_donated_with_the_state(small):
    images, labels = drifting_squares(2)
    one = segmenter(small(), 2)
    one.init(images[0], labels[0])
    old = one._state
    one.step(images[1])
    assert all(part.is_deleted() for part in old.template)
