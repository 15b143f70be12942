"""Parts of a mask that lie apart from the object."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from ranet_jax.inference import state
from ranet_jax.inference.parts import CELL, drop_distant_parts
from ranet_jax.models.encoder import TEMPLATE_GRID
from ranet_jax.models.memory import pool_masks

SIZE = 128, 192
ONE = np.zeros(TEMPLATE_GRID, np.float32)
ONE[6:9, 10:14] = 1


def mask(*parts):
    """Rectangles (y, x, height, width) of a mask."""
    made = np.zeros(SIZE, bool)
    for y, x, height, width in parts:
        made[y : y + height, x : x + width] = True
    return made


@functools.cache
def dropping(gap):
    return jax.jit(functools.partial(drop_distant_parts, max_gap=gap))


def kept(made, gap, template=ONE):
    logits = np.where(made, np.float32(3), np.float32(-2))[None, None]
    after = np.asarray(dropping(gap)(logits, template.reshape(1, 1, -1)))
    assert np.all((after == logits) | (after < -10))
    return after[0, 0] > 0


OBJECT = (32, 32, 64, 64)  # its area has the square root 64
APART = (32, 128, 24, 24)  # 32 pixels to its right


def test_a_distant_part_is_dropped_and_a_near_one_is_not():
    object_, both = mask(OBJECT), mask(OBJECT, APART)
    np.testing.assert_array_equal(kept(both, 0.2), object_)
    np.testing.assert_array_equal(kept(both, 0.7), both)
    near = mask(OBJECT, (32, 100, 24, 24))
    np.testing.assert_array_equal(kept(near, 0.2), near)


def test_parts_lead_to_others_in_steps():
    chain = mask(OBJECT, (40, 104, 16, 16), (40, 128, 16, 16), (40, 152, 16, 16))
    np.testing.assert_array_equal(kept(chain, 0.25), chain)
    broken = mask(OBJECT, (40, 128, 16, 16), (40, 152, 16, 16))
    np.testing.assert_array_equal(kept(broken, 0.25), mask(OBJECT))


def test_an_object_of_distant_parts_is_left_whole():
    both = mask(OBJECT, APART)
    of_two = np.asarray(pool_masks(jnp.asarray(both[None, None], jnp.float32)))
    np.testing.assert_array_equal(kept(both, 0.2, of_two), both)


def test_what_surrounds_a_dropped_part_is_dropped_with_it():
    """Its fringe is no foreground, but would be remembered as half of one."""
    logits = np.where(mask(OBJECT), 3.0, np.where(mask(APART), 1.0, -0.1)).astype(np.float32)
    after = dropping(0.3)(logits[None, None], ONE.reshape(1, 1, -1))[0, 0]
    assert after[31, 130] < -10 and after[90, 50] == 3 and after[120, 20] == np.float32(-0.1)


def test_nothing_and_everything_stay():
    for made in (mask(), ~mask()):
        np.testing.assert_array_equal(kept(made, 0.2), made)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from([0.05, 0.2, 0.6]))
@settings(max_examples=30, deadline=None)
def test_what_stays_is_the_largest_group_of_the_parts(seed, parts, gap):
    """As scipy finds it, on the grid of cells."""
    random = np.random.default_rng(seed)
    made = mask(*np.stack([random.integers(0, SIZE[0], parts), random.integers(0, SIZE[1], parts),
                           *random.integers(4, 50, (2, parts))], axis=1))  # fmt: skip
    cells = made.reshape(SIZE[0] // CELL, CELL, SIZE[1] // CELL, CELL).sum((1, 3))
    radius = int(np.round(np.float32(gap) * np.sqrt(np.float32(made.sum())) / (2 * CELL)))
    near = ndimage.distance_transform_cdt(cells == 0, "chessboard") <= radius
    groups, count = ndimage.label(near, np.ones((3, 3)))
    sizes = ndimage.sum(cells, groups, range(1, count + 1))
    after = kept(made, gap)
    found = [group for group in range(1, count + 1) if after[_pixels(groups == group)].any()]
    assert len(found) == 1 and sizes[found[0] - 1] == sizes.max()
    np.testing.assert_array_equal(after, made & _pixels(groups == found[0]))


def _pixels(cells):
    return cells.repeat(CELL, 0).repeat(CELL, 1)


def test_objects_are_told_apart_each_by_itself():
    first, second = mask(OBJECT, APART), mask((0, 0, 40, 40), (100, 150, 20, 40))
    logits = jnp.where(np.stack([first, second]), 3.0, -2.0)[None].repeat(2, 0)
    template = np.broadcast_to(ONE.reshape(-1), (2, 2, ONE.size)).copy()
    template[1, 0, 0] = 1  # of the second sample, the first object
    after = dropping(0.2)(logits, template) > 0
    alone = mask((0, 0, 40, 40))
    np.testing.assert_array_equal(after[0], [mask(OBJECT), alone])
    np.testing.assert_array_equal(after[1], [first, alone])


def test_parts_are_dropped_before_labels_boxes_and_memory(small):
    model, params = small(memory=1)
    frames = np.zeros((1, *SIZE, 3), np.uint8)
    labels = np.ones((1, *SIZE), np.uint8)  # the box is the whole frame
    started = state.start(model, params, frames, labels, np.ones((1, 1, 1), bool), SIZE)
    both = mask(OBJECT, APART)
    logits = jnp.where(both, 3.0, -40.0)[None, None]
    pooled = jnp.ones_like(started.template.features[:, 0])

    def followed(gap):
        return state.follow(model.clone(max_gap=gap), started, logits, pooled)[0]

    whole, near = followed(0), followed(0.2)
    np.testing.assert_array_equal(whole.labels[0], both)
    np.testing.assert_array_equal(near.labels[0], mask(OBJECT))
    assert near.boxes[0, 0, 3] < whole.boxes[0, 0, 3]
    remembered = near.template.masks[0, 0, 1].reshape(TEMPLATE_GRID)
    right = TEMPLATE_GRID[1] * 100 // SIZE[1]
    assert whole.template.masks[0, 0, 1].reshape(TEMPLATE_GRID)[:, right:].sum() > 1
    assert remembered[:, right:].sum() < 1e-6 < remembered.sum()


@pytest.mark.parametrize("gap", [0.2, 1.0])
def test_its_gradient_is_that_of_what_stays(gap):
    both = mask(OBJECT, APART)
    logits = jnp.where(both, 3.0, -2.0)[None, None]
    template = jnp.asarray(ONE.reshape(1, 1, -1))
    gradient = jax.grad(lambda x: drop_distant_parts(x, template, gap).sum())(logits)
    stays = drop_distant_parts(logits, template, gap) > -10
    np.testing.assert_array_equal(gradient, stays.astype(np.float32))
