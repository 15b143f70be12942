"""Segmenters that a trained network has to beat."""

import jax
import numpy as np
import pytest
from PIL import Image

from ranet_jax.evaluation.baselines import CopySegmenter, MatchingSegmenter
from ranet_jax.models.resnet import ResNet


def test_copy_repeats_the_first_mask():
    first = [np.eye(3, dtype=np.uint8), np.full((2, 2), 7)]
    segmenter = CopySegmenter()
    segmenter.init([np.zeros((3, 3, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)], first)
    for _ in range(2):
        one, none = segmenter.step([np.ones((3, 3, 3), np.uint8), None])
        np.testing.assert_array_equal(one, first[0])
        assert none is None


@pytest.fixture(scope="module")
def matching(small):
    return MatchingSegmenter(*small(), size=(128, 192))


def painted(height=128, width=192):
    """A frame of a texture for each of two objects and the background, and its ids 3 and 9."""
    random = np.random.default_rng(0)
    labels = np.zeros((height, width), np.int32)
    labels[16:80, 16:80] = 3
    labels[48:112, 112:176] = 9
    stripes = (np.arange(width) // 4 % 2 * 200)[None, :, None] * np.ones((height, 1, 1))
    frame = random.integers(0, 60, (height, width, 3)).astype(float)
    frame = np.where((labels == 3)[..., None], stripes * [1, 0.1, 0.1], frame)
    frame = np.where((labels == 9)[..., None], [20, 220, 240], frame)
    return frame.astype(np.uint8), labels


def overlap(found, truth, label):
    a, b = found == label, truth == label
    return (a & b).sum() / (a | b).sum()


def test_matching_finds_objects_again(matching):
    frame, labels = painted()
    matching.init([frame], [labels])
    (found,) = matching.step([frame])
    assert set(np.unique(found)) == {0, 3, 9}
    assert min(overlap(found, labels, i) for i in (3, 9)) > 0.75
    moved = np.roll(frame, (0, -16), (0, 1)), np.roll(labels, (0, -16), (0, 1))
    (found,) = matching.step([moved[0]])
    for label in (3, 9):
        assert overlap(found, moved[1], label) > overlap(labels, moved[1], label)


def test_matching_takes_frames_of_any_size_and_videos_that_end(matching):
    frame, labels = painted(100, 190)
    other, other_labels = painted()
    matching.init([frame, other], [labels, np.where(other_labels == 3, 1, 0)])
    first, second = matching.step([frame, other])
    assert first.shape == (100, 190) and overlap(first, labels, 3) > 0.6
    assert set(np.unique(second)) == {0, 1}
    first, second = matching.step([None, other])
    assert first is None and second.shape == (128, 192)


def test_matching_weighs_the_five_most_similar_cells(matching, small):
    """Against the same written out in NumPy, on the backbone's features of two random frames."""
    model, params = small()
    frames = np.random.default_rng(0).integers(0, 256, (2, 128, 192, 3)).astype(np.uint8)
    labels = np.zeros((128, 192), np.uint8)
    labels[:, 70:] = 1
    matching.init([frames[0]], [labels])
    (found,) = matching.step([frames[1]])

    backbone = jax.jit(ResNet(model.depth, model.width).apply)
    levels = backbone({"params": params["backbone"]}, frames.astype(np.float32) / 255)
    features = np.asarray(levels[3], np.float64).reshape(2, 96, -1)
    features /= np.linalg.norm(features, axis=-1, keepdims=True)
    shares = labels.reshape(8, 16, 12, 16).mean(axis=(1, 3)).ravel()
    values = np.zeros(96)
    for cell, similarity in enumerate(features[1] @ features[0].T):
        best = np.argsort(-similarity)[:5]
        votes = np.exp(similarity[best] / 0.05)
        values[cell] = votes @ shares[best] / votes.sum()
    image = Image.fromarray(values.reshape(8, 12).astype(np.float32))
    expected = np.asarray(image.resize((192, 128), Image.Resampling.BILINEAR)) > 0.5
    assert (found == expected).mean() > 0.995 and 0.1 < expected.mean() < 0.9
