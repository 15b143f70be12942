"""A real video whose mask was damaged in its middle, and mended later."""

import numpy as np
import pytest

import ranet_jax
from ranet_jax.inference.tracking import track
from ranet_jax.io.images import read_image
from ranet_jax.io.masks import read_mask

FRAMES = range(0, 40, 4)  # every fourth frame: more of the motion in less time
DAMAGED, MENDED = 5, 6  # places among these
SIZE = (192, 352)


@pytest.fixture(scope="module")
def bear(data_dir):
    """Names, frames and masks, at a quarter of their size."""
    part = np.s_[::2, ::2]
    frames, truths = [], []
    for index in FRAMES:
        name = f"{index:05d}"
        image = read_image(data_dir / f"DAVIS/JPEGImages/480p/bear/{name}.jpg")
        mask = read_mask(data_dir / f"DAVIS/Annotations/480p/bear/{name}.png")
        frames.append((name, np.ascontiguousarray(image[part])))
        truths.append((mask[part] > 0).astype(np.int32))
    return frames, truths


def follow(frames, masks):
    segmenter = ranet_jax.Segmenter.load("default", size=SIZE)
    given = {frames[place][0]: mask for place, mask in masks.items()}
    return [labels for _, _, labels in track(segmenter, frames, given)]


def jaccards(found, truths):
    pairs = zip(found, truths, strict=True)
    return np.array([np.sum((a > 0) & (b > 0)) / np.sum((a > 0) | (b > 0)) for a, b in pairs])


def test_a_correction_helps_what_follows_and_changes_nothing_before(bear):
    frames, truths = bear
    damaged = np.roll(truths[DAMAGED], (-40, 140), (0, 1))  # it lies mostly beside the bear
    masks = {0: truths[0], DAMAGED: damaged}
    before = follow(frames, masks)
    after = follow(frames, masks | {MENDED: truths[MENDED]})
    for place in range(MENDED):
        np.testing.assert_array_equal(after[place], before[place])
    np.testing.assert_array_equal(after[MENDED], truths[MENDED])
    scores = [jaccards(found, truths) for found in (before, after)]
    print("J without and with the correction:", *(np.round(score, 3) for score in scores))
    assert scores[0][MENDED] < 0.6, "the damage is one"
    assert scores[1][MENDED + 1 :].mean() > scores[0][MENDED + 1 :].mean() + 0.1
    assert scores[1][MENDED + 1 :].min() > 0.6
