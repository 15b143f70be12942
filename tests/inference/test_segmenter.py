"""Videos through a small network: ids, sizes, batches, further objects, compilation and memory."""

import jax
import numpy as np
import pytest
from small_videos import drifting_squares as clip
from small_videos import segment

from ranet_jax import InputError, Segmenter
from ranet_jax.inference import state
from ranet_jax.inference.edits import with_tracks
from ranet_jax.models.ranet import RANet

SIZE = (96, 160)


@pytest.fixture(scope="module")
def single(small):
    return small(mode="single")


@pytest.fixture(scope="module")
def multi(small):
    return small(mode="multi")


def silent(network):
    """The network with a logit layer that answers 0.5 everywhere: labels stay background."""
    model, params = network
    level = params["pyramid"]["level3"]
    logits = jax.tree.map(np.zeros_like, level["logits"])
    return model, params | {"pyramid": params["pyramid"] | {"level3": level | {"logits": logits}}}


@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize("ids", [(255,), (3, 7, 200)])
def test_results_have_the_ids_and_the_size_of_the_mask(request, kind, ids):
    images, labels = clip(ids=ids)
    results = segment(Segmenter(*request.getfixturevalue(kind), size=SIZE), images, labels[0])
    for result in results:
        assert result.shape == labels[0].shape and result.dtype == np.int32
        assert set(np.unique(result)) <= {0, *ids}


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_batch_equals_one_video_at_a_time(request, kind):
    """Videos of different sizes, lengths and numbers of objects, together and alone."""
    network = request.getfixturevalue(kind)
    videos = [clip(4, ids=(1, 2)), clip(3, 64, 100, ids=(9, 4), seed=1)]
    together = Segmenter(*network, size=SIZE)
    together.init([v[0][0] for v in videos], [v[1][0] for v in videos])
    for t in range(1, 4):
        frames = [v[0][t] if t < len(v[0]) else None for v in videos]
        results = together.step(frames)
        assert [r is None for r in results] == [f is None for f in frames]
        if t == 1:
            for (images, labels), result in zip(videos, results, strict=True):
                alone = segment(Segmenter(*network, size=SIZE), images[:2], labels[0])[0]
                assert np.mean(alone == result) > 0.999


def test_single_object_network_follows_each_object_by_itself(single):
    """Before objects meet, each one's probability is that of following it alone."""
    images, labels = clip(2, ids=(1, 2))
    together = Segmenter(*single, size=SIZE, aggregation="argmax")
    segment(together, images, labels[0])
    maps = together.probability_maps()
    for id_ in (1, 2):
        alone = Segmenter(*single, size=SIZE, aggregation="argmax")
        segment(alone, images, np.where(labels[0] == id_, id_, 0))
        np.testing.assert_allclose(maps[id_], alone.probability_maps()[id_], atol=1e-3)


def test_one_object_of_a_multi_network_keeps_its_own_path(single, multi):
    """With one object the paths differ: background weights are hard in one, soft in the other."""
    images, labels = clip(2)
    maps = []
    for model in (single[0], multi[0]):
        segmenter = Segmenter(model, single[1], size=SIZE)
        segment(segmenter, images, labels[0])
        maps.append(segmenter.probability_maps()[1])
    assert np.abs(maps[0] - maps[1]).max() > 1e-4


def test_probability_maps(multi):
    images, labels = clip(2, 60, 107, ids=(5, 6, 7))
    segmenter = Segmenter(*multi, size=SIZE)
    with pytest.raises(InputError, match="call init"):
        segmenter.probability_maps()
    segmenter.init(images[0], labels[0])
    np.testing.assert_array_equal(segmenter.probability_maps()[6], labels[0] == 6)
    segmenter.step(images[1])
    maps = segmenter.probability_maps()
    assert set(maps) == {5, 6, 7}
    total = sum(maps.values())
    assert total.shape == (60, 107) and total.min() >= 0 and total.max() <= 1 + 1e-5


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_objects_added_later(request, kind):
    """A new object gets its own template; the ones already there keep theirs."""
    network = request.getfixturevalue(kind)
    images, labels = clip(3, ids=(1, 2))
    one, other = (np.where(labels[0] == id_, new, 0) for id_, new in ((1, 1), (2, 42)))
    segmenter = Segmenter(*network, size=SIZE, aggregation="argmax")
    segmenter.init(images[0], one)
    segmenter.add_object(images[0], other)
    result = segmenter.step(images[1])
    assert set(np.unique(result)) <= {0, 1, 42}
    maps = segmenter.probability_maps()
    assert set(maps) == {1, 42}
    # The given masks do not overlap, so each is followed as if it were the only one.
    for id_, mask in ((1, one), (42, other)):
        alone = Segmenter(*network, size=SIZE, aggregation="argmax")
        segment(alone, images[:2], mask)
        np.testing.assert_allclose(maps[id_], alone.probability_maps()[id_], atol=1e-3)
    with pytest.raises(InputError, match="42 is followed already"):
        segmenter.add_object(images[1], other)
    # From a later frame on, the new object takes its pixels from the others.
    segmenter.add_object(images[1], np.where(other, 7, 0))
    assert set(np.unique(segmenter.step(images[2]))) <= {0, 1, 7, 42}


def test_many_objects_added_one_by_one(single):
    images, labels = clip(2, ids=(1,))
    segmenter = Segmenter(*single, size=SIZE)
    segmenter.init(images[0], labels[0])
    for id_ in (2, 3, 4, 5):
        mask = np.zeros_like(labels[0])
        mask[5:45, 5 * id_ : 5 * id_ + 40] = id_
        segmenter.add_object(images[0], mask)
    segmenter.step(images[1])
    assert set(segmenter.probability_maps()) == {1, 2, 3, 4, 5}


def test_lost_object_leaves_an_empty_frame_and_a_whole_box(single):
    images, labels = clip(3)
    segmenter = Segmenter(*silent(single), size=SIZE)
    results = segment(segmenter, images, labels[0])
    assert not any(result.any() for result in results)
    np.testing.assert_array_equal(segmenter._state.boxes[0, 0], [0, 0, *SIZE])


class Counting(RANet):
    """Counts how often its `segment_and_pool` is traced, that is, compiled."""

    traces = []

    def segment_and_pool(self, *args):
        Counting.traces.append(args[2].shape)
        return super().segment_and_pool(*args)


def test_compiled_once_for_all_frames_and_frame_sizes(single):
    model = Counting(depth=14, width=8)
    Counting.traces.clear()
    for height, width in ((90, 150), (64, 100), (300, 200), (90, 150)):
        images, labels = clip(4, height, width)
        segment(Segmenter(model, single[1], size=SIZE), images, labels[0])
    assert len(Counting.traces) == 1


def test_compiled_once_for_each_bucket_of_objects(multi):
    model = Counting(mode="multi", depth=14, width=8)
    Counting.traces.clear()
    for count in (1, 2, 3, 4, 3, 1):
        images, labels = clip(3, 90, 300, ids=tuple(range(1, count + 1)))
        segment(Segmenter(model, multi[1], size=SIZE), images, labels[0])
    assert [shape[1] for shape in Counting.traces] == [1, 2, 4]


def test_state_is_donated(single):
    """The old state is given to the compiled step, so two states never exist side by side."""
    images, labels = clip(2)
    segmenter = Segmenter(*single, size=SIZE)
    segmenter.init(images[0], labels[0])
    old = segmenter._state
    segmenter.step(images[1])
    assert old.template.features.is_deleted() and old.labels.is_deleted()


def test_nothing_crosses_between_host_and_device_unasked(single, monkeypatch):
    images, labels = clip(2)
    segmenter = Segmenter(*single, size=SIZE)
    segmenter.init(images[0], labels[0])
    advance = state.advance

    def careless(model, params, before, frames, size):
        return advance(model, params, before, np.asarray(frames), size)

    monkeypatch.setattr(state, "advance", careless)
    with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"):
        segmenter.step(images[1])


def test_earlier_results_are_not_changed_by_later_steps(single):
    images, labels = clip(4)
    segmenter = Segmenter(*single, size=SIZE)
    segmenter.init(images[0], labels[0])
    first = segmenter.step(images[1])
    maps = segmenter.probability_maps()
    copies = first.copy(), maps[1].copy()
    segmenter.step(images[2])
    np.testing.assert_array_equal(first, copies[0])
    np.testing.assert_array_equal(maps[1], copies[1])


IMAGE, LABELS = (part[0] for part in clip(1))


@pytest.mark.parametrize(
    "frame, mask, message",
    [
        (IMAGE, LABELS[:-1], "mask is 150x89 and the frame is 150x90"),
        (IMAGE, np.zeros_like(LABELS), "mask is empty"),
        (IMAGE, LABELS.astype(np.float32), "integer object ids, not float32"),
        (IMAGE, np.arange(LABELS.size).reshape(LABELS.shape) % 18, "17 objects; at most 16"),
        (IMAGE, -LABELS, "negative ids"),
        (IMAGE, LABELS[..., None], r"\[height, width\], not"),
        (IMAGE.astype(np.float32), LABELS, "type uint8, not float32"),
        (IMAGE[..., 0], LABELS, r"\[height, width, 3\], not \[90, 150\]"),
    ],
)
def test_bad_first_frames_and_masks(single, frame, mask, message):
    with pytest.raises(InputError, match=message):
        Segmenter(*single, size=SIZE).init(frame, mask)


@pytest.mark.parametrize("frame_scale", [1, 2])
def test_what_is_too_thin_for_the_network_is_cut_out_of_larger_frames(single, frame_scale):
    """A line one pixel high, in a video of twice the network's size."""
    images, _ = clip(frames=2, height=2 * SIZE[0], width=2 * SIZE[1])
    mask = np.zeros(images[0].shape[:2], np.int32)
    mask[81, 100:180] = 5
    segmenter = Segmenter(*single, size=SIZE, frame_scale=frame_scale)
    segmenter.init(images[0], mask)
    assert (segmenter._state.labels == 1).sum() == (80 if frame_scale == 2 else 0)
    found = segmenter.step(images[1])
    assert found.shape == mask.shape and set(np.unique(found)) <= {0, 5}
    values = segmenter.probability_maps()[5]
    np.testing.assert_array_equal(values > 0.5, found == 5)


def test_bad_calls(single):
    with pytest.raises(InputError, match="whole number from 1"):
        Segmenter(*single, frame_scale=0)
    with pytest.raises(InputError, match="multiples of 32"):
        Segmenter(*single, size=(480, 854))
    with pytest.raises(InputError, match="one of softmax, argmax"):
        Segmenter(*single, aggregation="vote")
    segmenter = Segmenter(*single, size=SIZE)
    with pytest.raises(InputError, match="call init"):
        segmenter.step(IMAGE)
    segmenter.init(IMAGE, LABELS)
    with pytest.raises(InputError, match="100x60 and the first one was 150x90"):
        segmenter.step(np.zeros((60, 100, 3), np.uint8))
    batch = Segmenter(*single, size=SIZE)
    with pytest.raises(InputError, match="2 first frames for 1 masks"):
        batch.init([IMAGE, IMAGE], [LABELS])
    batch.init([IMAGE, IMAGE], [LABELS, LABELS])
    with pytest.raises(InputError, match="1 frames for 2 videos"):
        batch.step([IMAGE])


def test_growing_tracks_keeps_the_old_ones(multi):
    images, labels = clip(1, ids=(1, 2))
    segmenter = Segmenter(*multi, size=SIZE)
    segmenter.init(images[0], labels[0])
    state = segmenter._state
    grown = with_tracks(state, 4)
    assert grown.valid.shape == (1, 4, 2) and grown.template.features.shape[0] == 4
    np.testing.assert_array_equal(grown.template.features[:1], state.template.features)
    np.testing.assert_array_equal(grown.boxes[0, :1], state.boxes[0])
    assert not grown.valid[:, 1:].any()
