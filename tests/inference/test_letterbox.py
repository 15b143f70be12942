"""Frames to the network's size and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranet_jax.inference.letterbox import (
    Letterbox,
    letterbox,
    letterbox_labels,
    unletterbox,
    unletterbox_largest,
)

NETWORK = (480, 864)


def test_paddings_equal_the_reference(reference):
    """Resized sizes and surroundings of ten frame sizes, the odd ones included."""
    for case in reference.notes("units/padding")["cases"]:
        geometry = Letterbox.of((case["height"], case["width"]), NETWORK)
        rows, columns = geometry.window
        assert list(geometry.resized[::-1]) == case["resized"], case
        crop = [-columns.start, -rows.start, 864 - columns.start, 480 - rows.start]
        assert crop == case["crop_box"], case


@given(st.integers(1, 3000), st.integers(1, 3000))
@settings(max_examples=200, deadline=None)
def test_every_size_fits_with_its_aspect_kept(height, width):
    geometry = Letterbox.of((height, width), NETWORK)
    rows, columns = geometry.window
    assert 0 <= rows.start < rows.stop <= 480 and 0 <= columns.start < columns.stop <= 864
    assert geometry.resized == (rows.stop - rows.start, columns.stop - columns.start)
    scale = min(480 / height, 864 / width)
    assert abs(geometry.resized[0] - height * scale) <= 2
    assert abs(geometry.resized[1] - width * scale) <= 2


def test_usual_size_changes_no_pixel():
    frame = np.random.default_rng(0).integers(1, 256, (480, 854, 3)).astype(np.uint8)
    geometry = Letterbox.of((480, 854), NETWORK)
    boxed = letterbox(frame, geometry)
    np.testing.assert_array_equal(boxed[:, 5:-5], frame)
    assert not boxed[:, :5].any() and not boxed[:, -5:].any()
    labels = frame[..., 0].astype(np.int32)
    np.testing.assert_array_equal(letterbox_labels(labels, geometry)[geometry.window], labels)


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (853, 480), (100, 1001)])
def test_large_shapes_survive_the_way_there_and_back(size):
    """An object that covers a third of the frame comes back where it was, at any size."""
    labels = np.zeros(size, np.int32)
    rows, columns = (slice(side // 3, 2 * side // 3) for side in size)
    labels[rows, columns] = 1
    geometry = Letterbox.of(size, NETWORK)
    inside = (letterbox_labels(labels, geometry) == 1).astype(np.float32)
    back = unletterbox_largest(np.stack([1 - inside, inside]), geometry)
    assert back.shape == size
    union = np.count_nonzero((back == 1) | (labels == 1))
    assert np.count_nonzero((back == 1) & (labels == 1)) / union > 0.9, size
    assert unletterbox(inside, geometry).shape == size


def test_ties_go_to_the_background_and_then_to_the_later_object():
    geometry = Letterbox.of((480, 854), NETWORK)
    values = np.zeros((3, *NETWORK), np.float32)
    values[:, :160], values[1:, 160:320], values[2, 320:] = 0.5, 0.5, 0.5
    labels = unletterbox_largest(values, geometry)
    assert (labels[:160] == 0).all() and (labels[160:] == 2).all()
