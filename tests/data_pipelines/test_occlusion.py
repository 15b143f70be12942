"""Something in front of an object: what it is made of, and where."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import square
from test_examples import Clips, make, two_objects

from data_pipelines import occlusion
from ranet_jax.inference.letterbox import Letterbox, letterbox, letterbox_labels


def where_from(ids):
    """An image whose pixels tell where they are and what they show."""
    y, x = np.indices(ids.shape)
    return np.stack([y, x, ids], axis=-1).astype(np.uint8)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**31 - 1))
def test_a_piece_of_background_hides_a_part_of_the_object(seed):
    ids = two_objects()
    image, found = where_from(ids), ids.copy()
    before = image.copy()
    occlusion.occlude(image, found, np.random.default_rng(seed))
    changed = (image != before).any(axis=-1)
    assert (found[changed] == 0).all() and (image[changed][:, 2] == 0).all()
    np.testing.assert_array_equal(found[~changed], ids[~changed])
    moves = (image.astype(int) - before)[changed][:, :2]
    assert (moves == moves[:1]).all(), "copied in one piece"


def test_most_pieces_hide_some_of_the_object_and_few_hide_all():
    ids = square(96, 160, top=30, left=60, side=30)
    left = []
    for seed in range(200):
        found = ids.copy()
        occlusion.occlude(where_from(ids), found, np.random.default_rng(seed))
        left.append(np.count_nonzero(found) / np.count_nonzero(ids))
    assert np.mean(np.array(left) < 0.95) > 0.8 and 0.3 < np.mean(left) < 0.8
    assert np.mean(np.array(left) == 0) < 0.1


def test_an_object_that_fills_the_frame_stays():
    ids = np.ones((32, 64), np.uint8)
    image = where_from(ids)
    before = image.copy()
    occlusion.occlude(image, ids, np.random.default_rng(0))
    assert ids.all()
    np.testing.assert_array_equal(image, before)


def test_examples_have_as_many_occlusions_as_asked_for():
    """A pair whose current frame is the template's image: that and the previous mask stay."""
    source = Clips([[two_objects()]])
    made = [make(source, seed=seed, occlusions=0.5) for seed in range(100)]
    plain = make(source)
    hidden = [(example["ids"] != plain["ids"]).any() for example in made]
    assert 0.35 < np.mean(hidden) < 0.65
    for example in made:
        for name in ("template_image", "template_ids", "previous_ids"):
            np.testing.assert_array_equal(example[name], plain[name])
        changed = (example["image"] != plain["image"]).any(axis=-1)
        assert not example["ids"][changed].any()


def test_nothing_is_copied_from_the_margin():
    """A white image on a wider canvas: black would be the margin."""
    geometry = Letterbox.of((96, 96), (96, 160))
    image = letterbox(np.full((96, 96, 3), 255, np.uint8), geometry)
    ids = letterbox_labels(square(96, 96, top=20, left=60, side=30), geometry)
    for seed in range(50):
        occlusion.occlude(
            image[geometry.window], ids.copy()[geometry.window], np.random.default_rng(seed)
        )
    assert (image[geometry.window] == 255).all()
    outside = np.ones(ids.shape, bool)
    outside[geometry.window] = False
    assert (image[outside] == 0).all()
