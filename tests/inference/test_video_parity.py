"""Whole videos against the published procedure: crops, un-crops, thresholds, boxes and feedback."""

import jax
import numpy as np
import oracle
import pytest

from ranet_jax import Segmenter
from ranet_jax.inference.letterbox import Letterbox, letterbox, letterbox_labels
from ranet_jax.inference.state import VideoState, advance

# The networks of the two paths are compiled in different processes where there are several.
SEQUENCES = [
    pytest.param(kind, f"{kind[0]}{i}", marks=pytest.mark.xdist_group(kind))
    for kind in ("single", "multi")
    for i in range(4)
]


@pytest.fixture(scope="module")
def stored(reference):
    return {kind: reference.stored(f"video/{kind}")[0] for kind in ("single", "multi")}


def load(reference, kind, name):
    """Frames, and the first label map as the path of this network sees it."""
    frames, labels = reference.scene(reference.spec["video"][kind][name])
    first = labels[0] if kind == "multi" else (labels[0] > 0).astype(np.uint8)
    return frames, first


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind, name", SEQUENCES)
def test_whole_run_and_each_frame_by_itself(request, reference, stored, kind, name):
    """Feeding back our own results: equal boxes, overlap of at least 0.99. From the stored previous
    map: at most 100 pixels of the label map differ."""
    model, params = request.getfixturevalue(f"published_{kind}")
    frames, first = load(reference, kind, name)
    labels, boxes = stored[kind][f"{name}/labels"], stored[kind][f"{name}/boxes"]
    np.testing.assert_array_equal(labels[0], first)
    segmenter = Segmenter(model, params, aggregation="argmax")
    segmenter.init(frames[0], first)
    np.testing.assert_array_equal(segmenter._state.boxes[0, 0], boxes[0])
    template = [np.asarray(x) for x in segmenter._state.template]
    geometry = Letterbox.of(first.shape, (480, 864))
    worst = 1.0
    for t in range(1, len(frames)):
        previous = letterbox_labels(labels[t - 1], geometry)
        followed = np.array_equal(segmenter._state.labels[0], previous)
        ours = segmenter.step(frames[t])
        np.testing.assert_array_equal(segmenter._state.boxes[0, 0], boxes[t])
        for id_ in range(1, int(first.max()) + 1):
            overlap = iou(ours == id_, labels[t] == id_)
            worst = min(worst, overlap)
            assert overlap >= 0.99, (name, t, id_, overlap)
        alone = ours  # computed from the stored map already, if the run has followed it so far
        if not followed:
            image = letterbox(frames[t], geometry)
            alone = segment_alone(segmenter, template, image, previous, boxes[t - 1])
            alone = alone[geometry.window]
        different = np.count_nonzero(alone != labels[t])
        oracle.figures.append(f"video {name} frame {t}: {different} label pixels   bound 100")
        assert different <= 100, (name, t, different)
    oracle.figures.append(f"video {name} whole run: smallest overlap {worst:.5f}   bound 0.99")


def segment_alone(segmenter, template, image, previous, box):
    """Labels of a frame from a given previous map and its box, at the network's size."""
    state = segmenter._state
    given = VideoState(
        type(state.template)(*template),
        np.asarray(state.valid),
        previous[None],
        np.asarray(box, np.int32)[None, None],
        np.zeros(1, np.int32),
    )
    # Placed as the segmenter's own, so that its program is not compiled a second time.
    given = jax.tree.map(lambda new, own: jax.device_put(new, own.sharding), given, state)
    image = jax.device_put(image[None], segmenter._by_video)
    before = advance._cache_size()
    found = advance(segmenter._model, segmenter._params, given, image, segmenter._size)
    assert advance._cache_size() == before
    return np.asarray(found[1])[0]
