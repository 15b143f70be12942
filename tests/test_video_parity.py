"""Whole videos against the published procedure: crops, un-crops, thresholds, boxes and feedback."""

import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from ranet_jax import Segmenter, tracks
from ranet_jax.fitting import fit, fit_frame, fit_labels

SEQUENCES = [("single", f"s{i}") for i in range(4)] + [("multi", f"m{i}") for i in range(4)]
BUCKET = {1: 1, 2: 2, 3: 4}


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
def test_each_frame_from_the_stored_previous_map(request, reference, stored, kind, name):
    """Every frame by itself: at most 100 pixels of the label map differ."""
    model, params = request.getfixturevalue(f"published_{kind}")
    model = model.clone(combine="argmax")
    frames, first = load(reference, kind, name)
    labels, boxes = stored[kind][f"{name}/labels"], stored[kind][f"{name}/boxes"]
    np.testing.assert_array_equal(labels[0], first)
    geometry = fit(first.shape, (480, 864))
    count = int(first.max())
    valid = (np.arange(BUCKET[count]) < count)[None, None]
    start = tracks.start(
        model,
        params,
        fit_frame(frames[0], geometry)[None],
        fit_labels(first, geometry)[None],
        valid,
    )
    np.testing.assert_array_equal(start.boxes[0, 0], boxes[0])
    for t in range(1, len(frames)):
        # Advancing gives its state away, so every frame gets a copy of the template.
        state = tracks.VideoState(
            type(start.template)(*(jnp.array(x) for x in start.template)),
            jnp.array(valid),
            jnp.asarray(fit_labels(labels[t - 1], geometry))[None],
            jnp.asarray(boxes[t - 1])[None, None],
        )
        frame = fit_frame(frames[t], geometry)[None]
        _, ours, _ = tracks.advance(model, params, state, frame)
        ours = np.asarray(ours)[0][geometry.window]
        different = np.count_nonzero(ours != labels[t])
        oracle.figures.append(f"video {name} frame {t}: {different} label pixels   bound 100")
        assert different <= 100, (name, t, different)


@pytest.mark.slow
@pytest.mark.parametrize("kind, name", SEQUENCES)
def test_whole_run(request, reference, stored, kind, name):
    """Feeding back our own results: equal boxes, overlap of at least 0.99."""
    model, params = request.getfixturevalue(f"published_{kind}")
    frames, first = load(reference, kind, name)
    labels, boxes = stored[kind][f"{name}/labels"], stored[kind][f"{name}/boxes"]
    segmenter = Segmenter(model, params, combine="argmax")
    segmenter.init(frames[0], first)
    worst = 1.0
    for t in range(1, len(frames)):
        ours = segmenter.step(frames[t])
        np.testing.assert_array_equal(segmenter._state.boxes[0, 0], boxes[t])
        for id_ in range(1, int(first.max()) + 1):
            overlap = iou(ours == id_, labels[t] == id_)
            worst = min(worst, overlap)
            assert overlap >= 0.99, (name, t, id_, overlap)
    oracle.figures.append(f"video {name} whole run: smallest overlap {worst:.5f}   bound 0.99")
