"""The loop over a video: which masks are taken at which frame, and what they do."""

import numpy as np
import pytest
from shifting_segmenter import ShiftingSegmenter, no_network
from small_videos import first_mask, frames, message_of

from ranet_jax.inference.tracking import track, track_batch


def named(images):
    return [(f"{index:05d}", image) for index, image in enumerate(images)]


def moved(mask, columns):
    return np.roll(mask, columns, axis=1)


def test_masks_at_any_frame_add_and_correct_objects():
    """Id 4 is new and lies in front; id 1 is followed already and moves; id 7 stays as it is."""
    second = np.zeros_like(first_mask())
    second[8:18, 3:10] = 4
    second[30:34, 50:60] = 1
    segmenter, masks = ShiftingSegmenter(), {"00000": first_mask(), "00002": second}
    names, images, labels = zip(*track(segmenter, named(frames(4)), masks), strict=True)
    assert names == ("00000", "00001", "00002", "00003")
    np.testing.assert_array_equal(images, frames(4))
    assert segmenter.edits == [("add", {4}), ("correct", {1})]
    before = moved(first_mask(), 2)
    expected = np.where(second > 0, second, np.where(before == 1, 0, before))
    np.testing.assert_array_equal(labels[2], expected)
    np.testing.assert_array_equal(labels[3], moved(expected, 1))


def test_the_first_frame_that_has_a_mask_starts():
    masks = {"00001": first_mask()}
    found = list(track(ShiftingSegmenter(), named(frames(3)), masks))
    assert [name for name, _, _ in found] == ["00001", "00002"]
    np.testing.assert_array_equal(found[1][2], moved(first_mask(), 1))


def test_a_mask_of_the_frame_just_seen_takes_effect_before_the_next():
    segmenter, masks, labels = ShiftingSegmenter(), {"00000": first_mask()}, []
    corrected = np.where(first_mask() == 7, 7, 0)
    for name, _, found in track(segmenter, named(frames(4)), masks):
        labels.append(found)
        if name in ("00000", "00001"):
            masks[name] = corrected
    assert segmenter.edits == [("correct", {7}), ("correct", {7})]
    np.testing.assert_array_equal(labels[2] == 7, moved(corrected, 1) == 7)
    np.testing.assert_array_equal(labels[3] == 1, moved(first_mask(), 3) == 1)


def test_removed_objects_can_come_back():
    removed = {"00001": [1, 7]}
    masks = {"00000": first_mask(), "00002": first_mask()}
    segmenter = ShiftingSegmenter()
    found = list(track(segmenter, named(frames(3)), masks, removed=removed))
    assert segmenter.edits == [("remove", {1}), ("remove", {7}), ("add", {1, 7})]
    assert not found[1][2].any()
    np.testing.assert_array_equal(found[2][2], first_mask())


def test_going_on_from_a_frame_repeats_no_edit():
    segmenter, masks = ShiftingSegmenter(), {"00000": first_mask(), "00001": first_mask()}
    segmenter.init(frames(1)[:1], [first_mask()])
    rest = named(frames(4))[1:]
    found = list(track(segmenter, rest, masks, resumed=first_mask(), removed={"00001": [1]}))
    assert [name for name, _, _ in found] == ["00001", "00002", "00003"]
    assert segmenter.edits == []
    np.testing.assert_array_equal(found[-1][2], moved(first_mask(), 2))


def test_one_mask_is_that_of_the_first_frame():
    alone = list(track(ShiftingSegmenter(), named(frames(2)), first_mask()))
    np.testing.assert_array_equal(alone[0][2], first_mask())
    assert len(alone) == 2


def test_videos_of_a_batch_end_one_by_one(fake_segmenter):
    videos = [named(frames(3)), named(frames(1)), named(frames(2))]
    steps = list(track_batch(fake_segmenter(), videos, [first_mask()] * 3))
    assert [[item and item[0] for item in step] for step in steps] == [
        ["00000"] * 3,
        ["00001", None, "00001"],
        ["00002", None, None],
    ]


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (0, {}, "no frames"),
        (1, {}, "No frame has a mask"),
        (2, {"1": first_mask()}, "named 00000 to 00001, and the masks 1."),
    ],
)
def test_there_must_be_a_frame_with_a_mask(images, masks, message):
    assert message in message_of(lambda: list(track(no_network(), named(frames(images)), masks)))
