import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import encode, random_image, square

from data_pipelines import examples
from data_pipelines.config import ExampleSettings
from data_pipelines.decoding import decode_image
from ranet_jax.errors import InputError
from ranet_jax.io.images import CorruptImageError
from ranet_jax.training.augment import HostBatch

SEEDS = st.integers(0, 2**31 - 1)
SMALL = ExampleSettings(height=96, width=160)


@dataclasses.dataclass
class Clips:
    """A source in memory: `masks[clip][frame]`; every frame has its own image."""

    masks: list[list[np.ndarray]]
    name: str = "clips"
    mask_rule: str = "ids"

    @property
    def lengths(self):
        return [len(clip) for clip in self.masks]

    def frame_name(self, clip, frame):
        return f"clips/{clip}/{frame}"

    def image(self, clip, frame):
        return encode(random_image(100 * clip + frame, *self.masks[clip][frame].shape), "JPEG")

    def mask(self, clip, frame):
        return encode(self.masks[clip][frame])


def two_objects(left: int = 10) -> np.ndarray:
    mask = square(96, 160, 1, 20, left, 30)
    mask[60:90, 100:140] = 2
    return mask


def make(source, clip=0, frame=0, seed=0, **changes):
    wanted = dataclasses.replace(SMALL, **changes)
    return examples.make_example(source, clip, frame, np.random.default_rng(seed), wanted)


def test_an_example_is_what_the_device_takes():
    example = make(Clips([[two_objects()]]), slots=3, object_sampling="multi")
    canvas, ids = ((96, 160, 3), np.uint8), ((96, 160), np.uint8)
    assert {name: (array.shape, array.dtype) for name, array in example.items()} == {
        "template_image": canvas,
        "template_ids": ids,
        "template_box": ((4,), np.float32),
        "image": canvas,
        "ids": ids,
        "previous_ids": ids,
        "box": ((4,), np.float32),
        "valid": ((3,), bool),
        "is_static": ((), bool),
    }


def test_a_static_image_gives_a_pair():
    source = Clips([[square(96, 160)]])
    example = make(source)
    assert example["is_static"]
    np.testing.assert_array_equal(example["template_image"], example["image"])
    pixels = decode_image(source.image(0, 0), "p")
    np.testing.assert_array_equal(example["image"], pixels)
    for name in ("template_ids", "ids", "previous_ids"):
        np.testing.assert_array_equal(example[name], square(96, 160))


@settings(deadline=None)
@given(SEEDS, st.integers(2, 30), st.integers(1, 7), st.data())
def test_videos_give_triplets_of_other_frames_nearby(seed, length, interval, data):
    frame = data.draw(st.integers(0, length - 1))
    rng = np.random.default_rng(seed)
    template, previous = examples.draw_frames(length, frame, rng, interval)
    assert template != frame and 0 <= template < length
    assert 1 <= abs(previous - frame) <= interval and 0 <= previous < length


def test_every_frame_may_be_the_template_and_every_near_one_the_previous():
    rng = np.random.default_rng(0)
    drawn = [examples.draw_frames(20, 9, rng, 5) for _ in range(2000)]
    assert {template for template, _ in drawn} == set(range(20)) - {9}
    assert {previous for _, previous in drawn} == set(range(4, 15)) - {9}


def test_a_triplet_holds_the_frames_it_names():
    masks = [square(96, 160, left=10 + 5 * t) for t in range(12)]
    source = Clips([[square(96, 160)], masks])
    example = make(source, clip=1, frame=6, seed=5)
    assert not example["is_static"]
    left = {
        name: int(np.flatnonzero(example[name].any(axis=0))[0] - 10) // 5
        for name in ("template_ids", "ids", "previous_ids")
    }
    assert (
        left["ids"] == 6 and left["template_ids"] != 6 and 1 <= abs(left["previous_ids"] - 6) <= 5
    )
    for name, frame in (("image", 6), ("template_image", left["template_ids"])):
        np.testing.assert_array_equal(example[name], decode_image(source.image(1, frame), "p"))


def test_a_clip_goes_on_by_the_step_from_the_previous_frame():
    assert examples.later_frames(20, frame=6, previous=4, clip_length=4) == [8, 10, 12]
    assert examples.later_frames(20, frame=6, previous=7, clip_length=3) == [5, 4]
    # At the ends of the video it turns back.
    assert examples.later_frames(20, frame=17, previous=16, clip_length=6) == [18, 19, 18, 17, 16]
    assert examples.later_frames(20, frame=2, previous=5, clip_length=3) == [1, 4]
    assert examples.later_frames(2, frame=1, previous=0, clip_length=4) == [0, 1, 0]
    assert examples.later_frames(1, frame=0, previous=0, clip_length=3) == [0, 0]
    assert examples.later_frames(20, frame=6, previous=4, clip_length=1) == []


@settings(deadline=None)
@given(SEEDS)
def test_a_clip_is_the_triplet_and_the_frames_after_it(seed):
    masks = [square(96, 160, left=10 + 5 * t) for t in range(12)]
    source = Clips([masks, [square(96, 160)]])
    triplet = make(source, frame=6, seed=seed)
    clip = make(source, frame=6, seed=seed, clip_length=3)
    assert set(clip) == HostBatch.__required_keys__ | HostBatch.__optional_keys__
    for name, array in triplet.items():
        np.testing.assert_array_equal(clip[name], array)
    left = [int(np.flatnonzero(ids.any(axis=0))[0] - 10) // 5 for ids in clip["later_ids"]]
    previous = int(np.flatnonzero(clip["previous_ids"].any(axis=0))[0] - 10) // 5
    assert left == examples.later_frames(12, 6, previous, 3)
    for frame, image in zip(left, clip["later_images"], strict=True):
        np.testing.assert_array_equal(image, decode_image(source.image(0, frame), "p"))


def test_the_first_frame_of_a_clip_is_occluded_and_the_later_ones_are_not():
    example = make(Clips([[square(96, 160)]]), clip_length=3, occlusions=1.0)
    assert (example["ids"] != square(96, 160)).any()
    for image, ids in zip(example["later_images"], example["later_ids"], strict=True):
        np.testing.assert_array_equal(ids, square(96, 160))
        np.testing.assert_array_equal(image, example["template_image"])


def test_a_small_image_has_its_box_in_the_frame_too():
    example = make(Clips([[square(48, 80, 1, 10, 15, 20)]]), clip_length=2, jitter=0.0)
    # Enlarged twice about the center of the canvas.
    center = np.array([48, 80, 48, 80])
    np.testing.assert_allclose(example["frame_box"], (example["box"] - center) * 2 + center)


def test_kept_masks_change_nothing_and_save_reading(monkeypatch):
    masks = [square(80, 150, left=10 + 5 * t) for t in range(6)]
    source, kept = Clips([masks, [two_objects()]]), examples.MaskCache()
    frames = [(0, 1), (0, 4), (1, 0), (0, 1), (0, 5)]

    def run(cache):
        rng = np.random.default_rng(0)
        return [examples.make_example(source, *at, rng, SMALL, cache) for at in frames]

    plain, first = run(None), run(kept)
    monkeypatch.setattr(source, "mask", None, raising=False)
    for one, other, again in zip(plain, first, run(kept), strict=True):
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])
            np.testing.assert_array_equal(array, again[name])


def test_images_do_not_share_memory():
    masks = [square(80, 150, left=10 + 5 * t) for t in range(6)]
    source = Clips([masks])
    one, two = make(source, frame=1, seed=0), make(source, frame=3, seed=0)
    for example, frame in ((one, 1), (two, 3)):
        pixels = decode_image(source.image(0, frame), "p")
        np.testing.assert_array_equal(example["image"][8:88, 5:155], pixels)
        assert not example["image"][:8].any() and not example["image"][:, 155:].any()


def test_merged_objects_are_one():
    ids = make(Clips([[two_objects()]]))["ids"]
    np.testing.assert_array_equal(ids, two_objects() > 0)


def test_a_sampled_object_leaves_the_others_to_the_background():
    source = Clips([[two_objects()]])
    seen = [make(source, seed=seed, object_sampling="sampled")["ids"] for seed in range(20)]
    for ids in seen:
        assert any((ids == (two_objects() == i)).all() for i in (1, 2))
    assert len({ids.tobytes() for ids in seen}) == 2


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1, 5), st.integers(1, 6))
def test_slots_hold_objects_in_random_order_up_to_their_number(seed, slots, count):
    template = dict.fromkeys(range(1, count + 1), 0.05)
    wanted = dataclasses.replace(SMALL, slots=slots, object_sampling="multi")
    slot_of = examples.assign_slots(template, template, np.random.default_rng(seed), wanted)
    used = sorted(slot_of[slot_of > 0])
    assert used == list(range(1, min(slots, count) + 1))
    assert not slot_of[0] and not slot_of[count + 1 :].any()


def test_the_order_of_objects_is_shuffled():
    source = Clips([[two_objects()]])
    first = [
        make(source, seed=s, slots=2, object_sampling="multi")["ids"][30, 20] for s in range(20)
    ]
    assert set(first) == {1, 2}


def test_an_object_that_leaves_keeps_its_slot():
    gone = two_objects()
    gone[gone == 2] = 0
    source = Clips([[two_objects(), gone]])
    example = make(source, frame=1, slots=4, object_sampling="multi")
    assert example["valid"].tolist() == [True, True, False, False]
    assert len(np.unique(example["template_ids"])) == 3 and len(np.unique(example["ids"])) == 2


@pytest.mark.parametrize("objects", ["merged", "sampled", "multi"])
def test_frames_that_show_no_object_well_enough_are_turned_down(objects):
    empty, speck = np.zeros((96, 160), np.uint8), square(96, 160, side=3)
    for pair in ([empty], [speck], [square(96, 160), empty], [empty, square(96, 160)]):
        assert make(Clips([pair]), frame=0, object_sampling=objects) is None
    assert make(Clips([[speck]]), object_sampling=objects, min_area=0.0) is not None


def test_boxes_are_those_of_test_time_without_jitter():
    mask = square(96, 160, top=30, left=60, side=31)
    example = make(Clips([[mask]]), jitter=0.0)
    # Extent 30 by 30: half-height 22, half-width int(22.5 / 0.6) = 37, about (45, 75).
    assert example["box"].tolist() == [45 - 22, 75 - 37, 45 + 22, 75 + 37]
    assert make(Clips([[mask]]), crops="frame")["box"].tolist() == [0, 0, 96, 160]


def test_a_small_image_is_left_to_the_device_to_enlarge():
    mask = square(48, 60, top=10, left=20, side=20)
    example = make(Clips([[mask]]), jitter=0.0)
    assert example["ids"].sum() == 400
    top, left, bottom, right = example["box"]
    # Twice the size in the frame: the extent of 19 pixels is 38 there, or 39 by rounding.
    assert 28 <= bottom - top <= 30 and 46 <= right - left <= 49
    middle = (96 - 48) / 2 + 20, (160 - 60) / 2 + 30
    np.testing.assert_allclose(((top + bottom) / 2, (left + right) / 2), middle, atol=1)


def test_a_large_image_is_shrunk():
    mask = square(960, 1600, top=300, left=600, side=300)
    example = make(Clips([[mask]]), crops="frame")
    assert abs(example["ids"].sum() - 900) <= 60
    assert example["image"].shape == (96, 160, 3)
    full = decode_image(encode(random_image(0, 960, 1600), "JPEG"), "p")
    small = full.reshape(96, 10, 160, 10, 3).mean((1, 3))
    assert np.abs(example["image"] - small).mean() < 3


def test_the_box_of_the_frame_is_that_of_the_previous_mask():
    masks = [square(96, 160, top=30, left=20, side=31), square(96, 160, top=50, left=90, side=31)]
    example = make(Clips([masks]), frame=0, jitter=0.0)
    y, x = (example["box"][:2] + example["box"][2:]) / 2
    assert (y, x) == (pytest.approx(65, abs=8), pytest.approx(105, abs=8))


def test_unreadable_files_are_named_with_the_reason(tmp_path):
    class Broken(Clips):
        def image(self, clip, frame):
            return super().image(clip, frame)[:300]

    class Missing(Clips):
        def image(self, clip, frame):
            return (tmp_path / "nothing.jpg").read_bytes()

    class Mismatched(Clips):
        def mask(self, clip, frame):
            return encode(square(40, 40))

    for broken, reason in (
        (Broken, "cannot be read"),
        (Missing, "No such file"),
        (Mismatched, "is 40x40"),
    ):
        with pytest.raises(CorruptImageError, match=reason) as info:
            make(broken([[square(96, 160)]]))
        assert info.value.name == "clips/0/0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object_sampling": "some"}, "data.object_sampling is 'some'"),
        ({"crops": "none"}, "data.crops is 'none'"),
        ({"height": 100}, "a multiple of 32"),
        ({"slots": 2}, "use data.object_sampling=multi"),
        ({"jitter": 1.5}, "data.jitter is 1.5"),
        ({"max_frame_gap": 0}, "data.max_frame_gap is 0"),
        ({"extra_region_prob": 1.5}, "at most 1"),
        ({"missing_region_prob": -0.1}, "of 0 or more"),
        ({"occlusions": 2.0}, "data.occlusions is 2.0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        ExampleSettings(**changes)
