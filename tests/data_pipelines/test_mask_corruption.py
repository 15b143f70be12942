"""Mistakes in the previous mask: what they may touch, and that a network is shown them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import square
from test_examples import Clips, make, two_objects

from data_pipelines.mask_corruption import add_extra_regions, remove_regions

SEEDS = st.integers(0, 2**31 - 1)


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_pieces_carry_ids_of_the_mask(seed):
    ids = two_objects()
    kept = ids.copy()
    found = add_extra_regions(ids, np.random.default_rng(seed))
    assert found.shape == ids.shape and found.dtype == ids.dtype
    assert set(np.unique(found)) <= {0, 1, 2}
    np.testing.assert_array_equal(ids, kept)


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_what_is_lost_is_lost_and_nothing_else_changes(seed):
    ids = two_objects()
    found = remove_regions(ids, np.random.default_rng(seed))
    assert ((found == ids) | (found == 0)).all()
    assert (found != ids).any()


def test_pieces_lie_at_the_object_and_everywhere_else():
    ids = square(96, 160, top=40, left=70, side=12)
    drawn = [add_extra_regions(ids, np.random.default_rng(seed)) for seed in range(200)]
    share = np.mean([found != ids for found in drawn], axis=0)
    near = share[30:62, 60:92].mean()
    corners = [share[:20, :30], share[:20, -30:], share[-20:, :30], share[-20:, -30:]]
    assert all(0 < corner.mean() < near for corner in corners)


def test_a_single_pixel_is_an_object_as_well():
    ids = np.zeros((32, 64), np.uint8)
    ids[31, 63] = 1
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert set(np.unique(add_extra_regions(ids, rng))) <= {0, 1}
        assert remove_regions(ids, rng).sum() <= 1


@pytest.mark.parametrize("objects", ["merged", "multi"])
def test_examples_have_as_many_errors_as_asked_for(objects):
    source = Clips([[two_objects(), two_objects()]])
    slots = 2 if objects == "multi" else 1
    asked = {
        "object_sampling": objects,
        "slots": slots,
        "extra_region_prob": 0.5,
        "missing_region_prob": 0.25,
    }
    made = [make(source, seed=seed, **asked) for seed in range(120)]
    more = [((e["previous_ids"] > 0) & (e["ids"] == 0)).any() for e in made]
    less = [((e["previous_ids"] == 0) & (e["ids"] > 0)).any() for e in made]
    assert 0.35 < np.mean(more) < 0.6 and 0.12 < np.mean(less) < 0.4
    for example in made:
        assert example["ids"].any(), "the answer stays what it was"
        both = (example["previous_ids"] > 0) & (example["ids"] > 0)
        np.testing.assert_array_equal(example["previous_ids"][both], example["ids"][both])


def test_the_crop_is_that_of_the_corrupted_mask():
    ids = square(96, 160, top=30, left=60, side=30)
    source = Clips([[ids, ids]])
    plain = make(source, jitter=0.0)["box"]
    asked = {"jitter": 0.0, "extra_region_prob": 1.0}
    boxes = [make(source, seed=seed, **asked)["box"] for seed in range(20)]
    assert any(box[0] < plain[0] or box[3] > plain[3] for box in boxes)
    lost = [make(source, seed=seed, jitter=0.0, missing_region_prob=1.0) for seed in range(60)]
    empty = [example for example in lost if not example["previous_ids"].any()]
    assert empty and all(e["box"].tolist() == [0, 0, 96, 160] for e in empty)
