import numpy as np

from ranet_jax.web.painted import Painted

SIZE = (6, 8)


def labels(**columns) -> np.ndarray:
    """Ids by the columns that they fill: `labels(a1=(0, 3))` is id 1 in columns 0 to 2."""
    ids = np.zeros(SIZE, np.int32)
    for name, (first, stop) in columns.items():
        ids[:, first:stop] = int(name[1:])
    return ids


def test_a_first_frame_is_taken_as_it_is():
    painted = Painted()
    assert painted.first is None
    painted.put(4, labels(a1=(0, 2), a7=(4, 5)), None, False)
    np.testing.assert_array_equal(painted.masks[4], labels(a1=(0, 2), a7=(4, 5)))
    assert painted.first == 4 and list(painted) == [4] and painted.removed == {}


def test_only_what_differs_from_what_was_found_is_kept():
    painted = Painted()
    painted.put(0, labels(a1=(0, 2), a2=(3, 5), a3=(6, 7)), None, False)
    found = labels(a1=(1, 3), a2=(4, 6), a3=(7, 8))
    painted.put(5, labels(a1=(1, 4), a2=(4, 6), a9=(6, 7)), found, False)
    np.testing.assert_array_equal(painted.masks[5], labels(a1=(1, 4), a9=(6, 7)))
    assert painted.removed == {5: [3]}


def test_painting_again_after_tracking_keeps_the_correction():
    """What is shown has it in it already, so it does not differ any more."""
    painted = Painted()
    painted.put(0, labels(a1=(0, 2), a2=(3, 5)), None, False)
    corrected = labels(a1=(1, 4))
    painted.put(5, corrected, labels(a1=(1, 3), a2=(4, 6)), False)
    again = labels(a1=(1, 4), a6=(6, 8))
    painted.put(5, again, corrected, True)
    np.testing.assert_array_equal(painted.masks[5], again)
    assert painted.removed == {5: [2]}
    painted.put(5, labels(a1=(1, 4), a2=(6, 8)), again, True)
    np.testing.assert_array_equal(painted.masks[5], labels(a1=(1, 4), a2=(6, 8)))
    assert painted.removed == {}  # 6 was new here: it was never followed


def test_a_frame_painted_back_is_no_edit():
    painted, found = Painted(), labels(a1=(1, 3))
    painted.put(0, labels(a1=(0, 2)), None, False)
    painted.put(5, labels(), found, False)
    assert painted.removed == {5: [1]}
    painted.put(5, found, found, False)
    assert list(painted) == [0]


def test_an_object_that_was_removed_before_is_not_removed_again():
    painted = Painted()
    painted.put(0, labels(a1=(0, 2), a2=(3, 5)), None, False)
    painted.put(3, labels(a1=(0, 2)), labels(a1=(0, 2), a2=(3, 5)), False)
    painted.put(6, labels(), labels(a1=(0, 2), a2=(3, 5)), False)
    assert painted.removed == {3: [2], 6: [1]}
