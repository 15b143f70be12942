import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranet_jax.errors import InputError
from ranet_jax.notebook.outlines import Outline, Outlines, rasterize

SQUARE = [(10, 5), (30, 5), (30, 25), (10, 25)]


def click(outlines, points):
    for point in points:
        outlines.click(*point)


def test_a_pixel_belongs_to_the_outline_around_its_centre():
    outlines = Outlines(40, 60)
    click(outlines, SQUARE)
    expected = np.zeros((40, 60), np.int32)
    expected[5:25, 10:30] = 1
    np.testing.assert_array_equal(outlines.mask(), expected)
    assert outlines.mask().dtype == np.int32


@given(
    top=st.integers(0, 20),
    left=st.integers(0, 30),
    height=st.integers(2, 19),
    width=st.integers(2, 29),
    turn=st.integers(0, 3),
    backwards=st.booleans(),
)
def test_where_an_outline_begins_and_which_way_it_goes_does_not_matter(
    top, left, height, width, turn, backwards
):
    bottom, right = top + height, left + width
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    corners = corners[turn:] + corners[:turn]
    mask = rasterize((Outline(3, tuple(corners[::-1] if backwards else corners)),), 40, 60)
    expected = np.zeros((40, 60), np.int32)
    expected[top:bottom, left:right] = 3
    np.testing.assert_array_equal(mask, expected)


def test_points_outside_are_moved_to_the_edge():
    outlines = Outlines(40, 60)
    click(outlines, [(-5, -5), (90, -5), (90, 90), (-5, 90)])
    assert outlines.drawn[0].points == ((0, 0), (60, 0), (60, 40), (0, 40))
    assert np.all(outlines.mask() == 1)


def test_a_click_on_the_first_point_closes_the_outline():
    outlines = Outlines(40, 60)
    click(outlines, [*SQUARE, (10.5, 5.5)])
    assert outlines.drawn == (Outline(1, tuple(SQUARE), True),)
    click(outlines, [(40, 5), (40.2, 5.2), (50, 5), (50, 25)])
    assert len(outlines.drawn[1].points) == 4, "two points can be near each other"
    assert outlines.drawn[1].label == 1, "another part of the same object"
    assert len(np.unique(outlines.mask())) == 2


def test_the_later_object_is_in_front():
    outlines = Outlines(40, 60)
    click(outlines, SQUARE)
    outlines.next_object()
    assert outlines.label == 2
    click(outlines, [(20, 10), (40, 10), (40, 20), (20, 20)])
    mask = outlines.mask()
    assert np.all(mask[10:20, 20:40] == 2)
    assert np.count_nonzero(mask == 1) == 400 - 100


def test_everything_can_be_undone():
    outlines, states = Outlines(40, 60), []
    actions = [*(lambda p=p: outlines.click(*p) for p in SQUARE), outlines.close]
    actions += [outlines.next_object, lambda: outlines.click(1, 1), outlines.clear]
    for action in actions:
        states.append((outlines.drawn, outlines.label))
        action()
    assert outlines.drawn == () and outlines.label == 1
    for state in reversed(states):
        outlines.undo()
        assert (outlines.drawn, outlines.label) == state
    outlines.undo()
    assert outlines.drawn == (), "nothing is left to take back"


def test_what_is_not_finished_is_refused():
    outlines = Outlines(40, 60)
    with pytest.raises(InputError, match="No object is outlined"):
        outlines.mask()
    for refused in (outlines.close, outlines.next_object):
        with pytest.raises(InputError, match="first"):
            refused()
    click(outlines, SQUARE[:2])
    for refused, message in (
        (outlines.close, "takes 3 points"),
        (outlines.next_object, "no finished outline"),
        (outlines.mask, "has 2 of at least 3"),
    ):
        with pytest.raises(InputError, match=message):
            refused()
    assert outlines.drawn == (Outline(1, tuple(SQUARE[:2])),), "nothing is lost"


def test_an_object_that_would_not_show_is_refused():
    outlines = Outlines(40, 60)
    click(outlines, [(10.6, 5.6), (10.9, 5.6), (10.9, 5.9), (10.7, 5.9)])
    with pytest.raises(InputError, match="Object 1 shows no pixel"):
        outlines.mask()
    outlines.clear()
    for _ in range(2):
        click(outlines, SQUARE)
        outlines.close()
        if outlines.label == 1:
            outlines.next_object()
    with pytest.raises(InputError, match="Object 1 shows no pixel"):
        outlines.mask()


def test_no_more_objects_than_can_be_followed():
    outlines = Outlines(40, 60)
    for _ in range(15):
        click(outlines, SQUARE)
        outlines.next_object()
    click(outlines, SQUARE)
    with pytest.raises(InputError, match="At most 16"):
        outlines.next_object()
