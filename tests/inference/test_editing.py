"""Objects corrected, removed and added between two frames, and going back, with a small network."""

import jax
import numpy as np
import pytest
from small_videos import drifting_squares as clip
from small_videos import segment

from ranet_jax import InputError, Segmenter

SIZE = (96, 160)
NETWORKS = [("single", 0), ("single", 1), ("multi", 0), ("multi", 1)]


def segmenter(small, mode="single", memory=0, **settings) -> Segmenter:
    settings = {"aggregation": "argmax", "size": SIZE} | settings
    return Segmenter(*small(mode=mode, memory=memory), **settings)


def on_host(tree):
    return jax.tree.map(np.array, tree)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_a_corrected_object_is_followed_as_if_it_started_there(small, mode):
    images, labels = clip(4, ids=(5,))
    one = segmenter(small, mode)
    segment(one, images[:3], np.roll(labels[0], 30, axis=1))
    one.correct(images[2], labels[2])
    anew = segmenter(small, mode)
    anew.init(images[2], labels[2])
    np.testing.assert_array_equal(one.step(images[3]), anew.step(images[3]))
    maps = [x.probability_maps()[5] for x in (one, anew)]
    np.testing.assert_allclose(*maps, atol=1e-5)


def test_a_corrected_object_of_several_changes_no_other(small):
    images, labels = clip(2, ids=(3, 8))
    plain, mended = segmenter(small), segmenter(small)
    for one in (plain, mended):
        segment(one, images, labels[0])
    mended.correct(images[1], labels[1], ids=[8])
    before, after = on_host(plain._state), on_host(mended._state)
    np.testing.assert_array_equal(after.template.features[0], before.template.features[0])
    assert np.abs(after.template.features[1] - before.template.features[1]).max() > 0
    np.testing.assert_array_equal(after.valid, before.valid)
    # Its pixels, those that the mended one took from it left out, are as they were.
    elsewhere = after.labels != 2
    np.testing.assert_array_equal(after.labels[elsewhere] == 1, before.labels[elsewhere] == 1)


def test_others_of_a_track_keep_their_labels(small):
    """One track has one template frame: all of its objects get theirs from it."""
    images, labels = clip(2, ids=(3, 8))
    one = segmenter(small, "multi")
    one.init(images[0], labels[0])
    one.correct(images[0], np.where(np.roll(labels[0], 9, axis=0) == 8, 8, 0))
    expected = np.where(np.roll(labels[0], 9, axis=0) == 8, 8, np.where(labels[0] == 3, 3, 0))
    anew = segmenter(small, "multi")
    anew.init(images[0], expected)
    for one_part, other in zip(*(on_host(tuple(x._state)) for x in (one, anew)), strict=True):
        jax.tree.map(np.testing.assert_array_equal, one_part, other)
    assert set(one.probability_maps()) == {3, 8}
    np.testing.assert_array_equal(one.probability_maps()[8], expected == 8)


def test_an_object_out_of_sight_does_not_lose_its_template(small):
    """The one that is corrected leaves the track that both were in."""
    images, labels = clip(2, ids=(3, 8))
    one = segmenter(small, "multi")
    one.init(images[0], labels[0])
    state = one._state
    hidden = np.where(np.asarray(state.labels) == 1, 0, state.labels)  # of id 3
    one._state = state._replace(labels=jax.numpy.asarray(hidden))
    features, masks = np.array(state.template.features[0]), np.array(state.template.masks[0, 0])
    one.correct(images[0], np.where(labels[0] == 8, 8, 0))
    np.testing.assert_array_equal(one._state.template.features[0], features)
    np.testing.assert_array_equal(one._state.template.masks[0, 0], masks)
    np.testing.assert_array_equal(one._state.valid[0], [[True, False], [True, False]])
    one.step(images[1])
    assert one.followed_ids() == (3, 8)


@pytest.mark.parametrize("number", [3, 5])
def test_with_memory_the_old_template_is_kept_beside_the_new_one(small, number):
    """In the slots of the frame that was wrong: of the previous one, at 5 in slot 2 as well."""
    images, labels = clip(7)
    one = segmenter(small, memory=2)
    segment(one, images[: number + 1], labels[0])
    before = on_host(one._state.template)
    one.correct(images[number], labels[number])
    anew = segmenter(small, memory=2)
    anew.init(images[number], labels[number])
    after, new = on_host(one._state.template), on_host(anew._state.template)
    for part in ("features", "masks"):
        axis = 1 if part == "features" else 2
        old, own, first = (getattr(x, part) for x in (before, after, new))
        at = [np.take(own, slot, axis) for slot in range(3)]
        np.testing.assert_array_equal(at[0], np.take(first, 0, axis))
        np.testing.assert_array_equal(at[1], np.take(old, 0, axis))
        np.testing.assert_array_equal(at[2], np.take(old, 0 if number == 5 else 2, axis))
    np.testing.assert_array_equal(after.filled, [[True, True, number == 5]])
    one.step(images[number + 1])
    slot_one = np.asarray(one._state.template.features[:, 1])
    assert np.abs(slot_one - before.features[:, 0]).max() > 0


def test_a_first_frame_that_was_wrong_is_not_kept(small):
    images, labels = clip(1)
    one = segmenter(small, memory=1)
    one.init(images[0], np.roll(labels[0], 20, axis=1))
    one.correct(images[0], labels[0])
    np.testing.assert_array_equal(one._state.template.filled, [[True, False]])


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_a_removed_object_is_gone_and_its_place_serves_another(small, mode):
    images, labels = clip(4, ids=(1, 2))
    one = segmenter(small, mode)
    segment(one, images[:2], labels[0])
    one.remove(1)
    assert one.followed_ids() == (2,) and set(one.probability_maps()) == {2}
    assert set(np.unique(one.step(images[2]))) <= {0, 2}
    tracks = one._state.valid.shape[1]
    one.add_object(images[2], np.where(labels[2] == 1, 7, 0))
    assert one.followed_ids() == (2, 7) and set(one.probability_maps()) == {2}
    if mode == "single":
        assert one._state.valid.shape[1] == tracks
    assert set(np.unique(one.step(images[3]))) <= {0, 2, 7}
    assert set(one.probability_maps()) == {2, 7}


def test_without_objects_everything_is_background(small):
    images, labels = clip(3)
    one = segmenter(small, aggregation="softmax")
    one.init(images[0], labels[0])
    one.remove(1)
    assert not one.step(images[1]).any()
    one.add_object(images[1], labels[1])
    one.step(images[2])
    assert one.followed_ids() == (1,)


@pytest.mark.parametrize("mode, memory", NETWORKS)
def test_going_back_gives_the_same_again_and_again(small, mode, memory):
    images, labels = clip(5, ids=(1, 2))
    one = segmenter(small, mode, memory)
    segment(one, images[:3], labels[0])
    snapshot = one.snapshot()
    maps = one.probability_maps()
    straight = [one.step(image) for image in images[3:]]
    for _ in range(2):
        one.restore(snapshot)
        np.testing.assert_array_equal(one.probability_maps()[2], maps[2])
        np.testing.assert_array_equal([one.step(image) for image in images[3:]], straight)
        one.remove(2)
        one.init(images[0], np.where(labels[0] == 1, 9, 0))
    one.restore(snapshot)
    assert one.followed_ids() == (1, 2)


@pytest.mark.parametrize("mode, memory", NETWORKS)
def test_nothing_is_compiled_per_call(small, mode, memory):
    """What is done a second time, with other arguments, compiles nothing."""
    images, labels = clip(12, ids=(1, 2))
    one = segmenter(small, mode, memory)
    jax.clear_caches()  # the tests before this one have compiled for themselves
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )

    def go_through(first):
        one.step(images[first])
        one.correct(images[first], labels[first], ids=[1 + first % 2])
        one.step(images[first + 1])
        snapshot = one.snapshot()
        one.remove(1 + first % 2)
        one.step(images[first + 2])
        one.restore(snapshot)
        one.step(images[first + 3])

    try:
        one.init(images[0], labels[0])
        go_through(1)
        assert compiled
        compiled.clear()
        go_through(6)
        assert not compiled
    finally:
        jax.monitoring.clear_event_listeners()


def test_a_video_of_a_batch_is_edited_alone(small):
    images, labels = clip(4, ids=(1, 2))
    others, other_labels = clip(4, 64, 100, ids=(4,), seed=1)
    maps = []
    for edited in (False, True):
        one = segmenter(small)
        one.init([others[0], images[0]], [other_labels[0], labels[0]])
        one.step([others[1], images[1]])
        if edited:
            one.correct(images[1], np.where(labels[1] == 2, 2, 0), video=1)
            one.remove(1, video=1)
        found = one.step([others[2], images[2]])
        maps.append(one.probability_maps(0)[4])
    np.testing.assert_array_equal(*maps)
    assert one.followed_ids(1) == (2,) and 1 not in found[1]


IMAGE, LABELS = (part[0] for part in clip(1))


def test_bad_edits(small):
    one = segmenter(small)
    for call in (
        lambda: one.correct(IMAGE, LABELS),
        lambda: one.remove(1),
        one.snapshot,
        one.followed_ids,
    ):
        with pytest.raises(InputError, match="call init"):
            call()
    one.init(IMAGE, LABELS)
    with pytest.raises(InputError, match="Object id 2 is not followed; the ids are 1"):
        one.correct(IMAGE, 2 * LABELS)
    with pytest.raises(InputError, match="Object id 3 is not followed"):
        one.remove(3)
    with pytest.raises(InputError, match="The mask is empty"):
        one.correct(IMAGE, 0 * LABELS)
    with pytest.raises(InputError, match="150x89 and the frame is 150x90"):
        one.correct(IMAGE, LABELS[:-1])
    with pytest.raises(InputError, match="100x60 and the first one was 150x90"):
        one.correct(np.zeros((60, 100, 3), np.uint8), LABELS)
    one.add_object(IMAGE, np.where(np.roll(LABELS, 50, axis=1), 2, 0))
    with pytest.raises(InputError, match="Object id 2 shows no pixel"):
        one.correct(IMAGE, LABELS, ids=[1, 2])
