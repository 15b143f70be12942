import numpy as np
import pytest
from scipy import ndimage

from ranet_jax.demo.clip import render_clip
from ranet_jax.errors import InputError

SMALL = {"height": 120, "width": 214}


@pytest.fixture(scope="module", params=[1, 2])
def clip(request):
    return render_clip(9, **SMALL, objects=request.param)


def overlap(a, b):
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


def test_default_clip_has_the_size_of_davis():
    clip = render_clip(2)
    assert clip.frames.shape == (2, 480, 854, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.labels.shape == (2, 480, 854)


def test_the_same_clip_every_time(clip):
    objects = int(clip.labels.max())
    again = render_clip(9, **SMALL, objects=objects)
    np.testing.assert_array_equal(again.frames, clip.frames)
    np.testing.assert_array_equal(again.labels, clip.labels)


def test_every_frame_shows_every_object_moving_smoothly(clip):
    objects = int(clip.labels.max())
    for label in range(1, objects + 1):
        shown = clip.labels == label
        assert (shown.mean((1, 2)) > 0.01).all()
        steps = [overlap(a, b) for a, b in zip(shown[:-1], shown[1:], strict=True)]
        assert max(steps) < 0.99
        assert min(steps) > 0.2
    # The astronaut does more than slide: no shift makes her first outline her last.
    first, last = (clip.labels[i] == 1 for i in (0, -1))
    shifts = (np.roll(first, (dy, dx), (0, 1)) for dy in range(-8, 9, 2) for dx in range(30, 80, 2))
    assert 0.5 < max(overlap(shifted, last) for shifted in shifts) < 0.95


def test_the_background_pans(clip):
    corner = np.s_[:20, -40:]
    assert (clip.labels[:, :20, -40:] == 0).all()
    assert np.abs(clip.frames[0][corner].astype(int) - clip.frames[-1][corner]).mean() > 5


def test_the_mask_is_where_the_object_is():
    """Adding the cup changes every pixel within its mask and none three pixels off it."""
    one, two = render_clip(3, **SMALL), render_clip(3, **SMALL, objects=2)
    changed = (one.frames != two.frames).any(-1)
    for index in range(3):
        cup = two.labels[index] == 2
        off, within = ndimage.distance_transform_edt(~cup), ndimage.distance_transform_edt(cup)
        assert not changed[index][off > 3].any()
        assert changed[index][within > 2].mean() > 0.98
        np.testing.assert_array_equal(one.labels[index][~cup], two.labels[index][~cup])


def test_the_cup_passes_in_front_of_the_astronaut():
    one, two = render_clip(9, **SMALL), render_clip(9, **SMALL, objects=2)
    hidden = (one.labels == 1) & (two.labels == 2)
    assert hidden.any((1, 2)).any()
    assert not hidden.any((1, 2)).all()


def test_masks_have_no_crumbs(clip):
    for labels in clip.labels:
        _, parts = ndimage.label(labels == labels.max())
        assert parts == 1


def test_clip_length_does_not_change_where_it_ends():
    short, long = render_clip(2, **SMALL), render_clip(5, **SMALL)
    np.testing.assert_array_equal(short.frames[-1], long.frames[-1])
    np.testing.assert_array_equal(short.labels[0], long.labels[0])


@pytest.mark.parametrize(("frames", "objects"), [(1, 1), (0, 2), (5, 3), (5, 0)])
def test_impossible_clips_are_refused(frames, objects):
    with pytest.raises(InputError, match="1 or 2 objects and at least 2 frames"):
        render_clip(frames, **SMALL, objects=objects)
