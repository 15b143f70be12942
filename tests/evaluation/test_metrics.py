"""J and F against the reference numbers, real masks, and a plain re-implementation."""

import json
from math import ceil, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.evaluation import metrics

SEQUENCES = ("drift", "large", "late", "perfect", "short4", "three", "tiny", "zero")


@pytest.fixture(scope="module")
def arrays(oracle_dir):
    with np.load(oracle_dir / "metrics" / "metrics.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def expected(oracle_dir):
    return json.loads((oracle_dir / "metrics" / "metrics.json").read_text())


def without_void(labels):
    return np.where(labels == 255, 0, labels)


def scores_2017(arrays, name):
    ground_truth = without_void(arrays[f"{name}/gt"])
    objects = range(1, int(ground_truth[0].max()) + 1)
    return metrics.j_and_f(ground_truth, arrays[f"{name}/prediction"], list(objects))


def one_object(*sides):
    """J and F of everything that is not background, as one (DAVIS-2016)."""
    j, f = metrics.j_and_f(*(labels != 0 for labels in sides), [1])
    return j[0], f[0]


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_frame_of_the_2017_protocol(arrays, name):
    j, f = scores_2017(arrays, name)
    np.testing.assert_allclose(j, arrays[f"{name}/J_every_frame"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(f, arrays[f"{name}/F_every_frame"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(j[:, 1:-1], arrays[f"{name}/J17"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(f[:, 1:-1], arrays[f"{name}/F17"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_frame_of_the_2016_protocol(arrays, name):
    j, f = one_object(arrays[f"{name}/gt"], arrays[f"{name}/prediction"])
    j[[0, -1]] = f[[0, -1]] = np.nan
    np.testing.assert_allclose(j, arrays[f"{name}/J16"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(f, arrays[f"{name}/F16"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SEQUENCES)
def test_statistics_of_sequences(arrays, expected, name):
    j, f = (measure[:, 1:-1] for measure in scores_2017(arrays, name))
    of_all = expected["protocol_2017"][name]
    assert of_all["objects"] == len(j)
    one_j, one_f = one_object(arrays[f"{name}/gt"], arrays[f"{name}/prediction"])
    of_one = expected["protocol_2016"][name]
    for letter, several, single in (("J", j, one_j), ("F", f, one_f)):
        for place, key in enumerate(("Mean", "Recall", "Decay")):
            got = [metrics.statistics(row)[place] for row in several]
            np.testing.assert_allclose(got, of_all[f"{letter}_{key}"], rtol=0, atol=1e-6)
            got = metrics.statistics(single[1:-1])[place]
            assert got == pytest.approx(of_one[f"{letter}_{key}"], abs=1e-6)


def test_statistics_of_plain_vectors(expected):
    for case in expected["statistics"]:
        values = [np.nan if value is None else value for value in case["values"]]
        wanted = [np.nan if case[k] is None else case[k] for k in ("mean", "recall", "decay")]
        np.testing.assert_allclose(metrics.statistics(values), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_no_values_have_no_statistics(values):
    assert np.isnan(metrics.statistics(values)).all()


def test_boundary_tolerance(arrays, expected):
    assert len(expected["boundary_tolerance"]) > 50
    for case in expected["boundary_tolerance"]:
        name, frame = case["sequence"], slice(case["frame"], case["frame"] + 1)
        pair = (without_void(arrays[f"{name}/{side}"][frame]) for side in ("gt", "prediction"))
        _, f = metrics.j_and_f(*pair, [case["object"]], case["bound_th"])
        assert f[0, 0] == pytest.approx(case["F"], abs=1e-6), case


def read_masks(paths):
    masks = []
    for path in paths:
        with Image.open(path) as image:
            mask = np.array(image)
        masks.append(mask[..., 0] if mask.ndim == 3 else mask)
    return masks


def test_real_masks_compared_with_themselves_are_perfect(data_dir):
    videos = [path for path in (data_dir / "DAVIS/Annotations/480p").iterdir() if path.is_dir()]
    videos.append(data_dir / "DAVIS17_multiobject/Annotations/240p/schoolgirls")
    images = [
        *(data_dir / "DAVIS17_first_frames/Annotations/480p").glob("*/*.png"),
        *(data_dir / "COCO128_instances/masks").glob("*.png"),
        *sorted((data_dir / "ECSSD/ground_truth_mask").glob("*.png"))[::20],
    ]
    assert len(videos) == 31 and len(images) == 30 + 126 + 50
    for paths in [*(sorted(video.glob("*.png")) for video in videos), *([p] for p in images)]:
        labels = np.stack(read_masks(paths))
        objects = [int(label) for label in np.unique(labels) if label]
        j, f = metrics.j_and_f(labels, labels, objects)
        assert j.shape == (len(objects), len(paths))
        assert (j == 1).all() and (f == 1).all(), paths[0]


def slow_boundary(mask):
    """Boundary pixels one by one, from the definition."""
    height, width = mask.shape
    found = []
    for y in range(height):
        for x in range(width):
            down, right = min(y + 1, height - 1), min(x + 1, width - 1)
            others = (mask[y, right], mask[down, x], mask[down, right])
            if any(other != mask[y, x] for other in others):
                found.append((y, x))
    return np.array(found).reshape(-1, 2)


def slow_share(points, others, radius):
    if not len(points):
        return 1.0
    if not len(others):
        return 0.0
    squares = ((points[:, None] - others[None]) ** 2).sum(axis=-1)
    return float((squares.min(axis=1) <= radius**2).mean())


def slow_j_and_f(ground_truth, prediction, tolerance):
    union = (ground_truth | prediction).sum()
    j = (ground_truth & prediction).sum() / union if union else 1.0
    if tolerance < 1:
        tolerance *= sqrt(ground_truth.shape[0] ** 2 + ground_truth.shape[1] ** 2)
    true, predicted = slow_boundary(ground_truth), slow_boundary(prediction)
    precision = slow_share(predicted, true, ceil(tolerance))
    recall = slow_share(true, predicted, ceil(tolerance))
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@st.composite
def disturbed_label_maps(draw):
    """Rectangles and specks, and the same moved, lost, renamed and sprinkled with noise."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = draw(st.integers(1, 10))
    # Widths around whole bytes and words are where packed bits go wrong, if they do.
    height = draw(st.integers(1, 24))
    width = draw(st.sampled_from([1, 2, 7, 8, 9, 31, 56, 62, 63, 64, 65, 72, 127, 128, 129]))
    labels = np.zeros((frames, height, width), np.uint8)
    objects = draw(st.integers(1, 5))
    for label in range(1, objects + 1):
        y, x = rng.integers(0, height), rng.integers(0, width)
        h, w = rng.integers(1, height + 1), rng.integers(1, width + 1)
        for frame in range(frames):
            if rng.random() < 0.85:
                labels[frame, y : y + h, x + frame : x + frame + w] = label
    disturbed = np.roll(labels, rng.integers(-3, 4, 2), (1, 2))
    noise = rng.random(labels.shape) < draw(st.sampled_from([0, 0.002, 0.05]))
    disturbed = np.where(noise, rng.integers(0, objects + 2, labels.shape), disturbed)
    disturbed[rng.random(frames) < 0.15] = 0
    return labels, disturbed.astype(np.uint8), list(range(1, objects + 1))


@settings(max_examples=60, deadline=None)
@given(disturbed_label_maps(), st.sampled_from([0.008, 0.05, 0.3, 1, 2, 3, 7, 70]))
def test_agrees_with_the_plain_definition(case, tolerance):
    ground_truth, prediction, objects = case
    j, f = metrics.j_and_f(ground_truth, prediction, objects, tolerance)
    for row, label in enumerate(objects):
        for frame in range(len(ground_truth)):
            pair = ground_truth[frame] == label, prediction[frame] == label
            wanted = slow_j_and_f(*pair, tolerance)
            np.testing.assert_allclose((j[row, frame], f[row, frame]), wanted, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(disturbed_label_maps(), st.randoms(use_true_random=False))
def test_objects_are_matched_by_id_not_by_order(case, random):
    ground_truth, prediction, objects = case
    shuffled = random.sample(objects, len(objects))
    j, f = metrics.j_and_f(ground_truth, prediction, objects)
    other_j, other_f = metrics.j_and_f(ground_truth, prediction, shuffled)
    order = [shuffled.index(label) for label in objects]
    np.testing.assert_array_equal(other_j[order], j)
    np.testing.assert_array_equal(other_f[order], f)


@settings(max_examples=20, deadline=None)
@given(disturbed_label_maps())
def test_large_ids_count_as_small_ones_do(case):
    ground_truth, prediction, objects = case
    j, f = metrics.j_and_f(ground_truth, prediction, objects)
    large = [label * 257 for label in objects]
    wide = (side.astype(np.int32) * 257 for side in (ground_truth, prediction))
    other_j, other_f = metrics.j_and_f(*wide, large)
    np.testing.assert_array_equal(other_j, j)
    np.testing.assert_array_equal(other_f, f)


def test_labels_that_are_not_asked_for_are_background():
    ground_truth = np.zeros((1, 20, 30), np.int64)
    ground_truth[0, 5:10, 5:10] = 2
    prediction = ground_truth.copy()
    prediction[0, 0:3] = 200
    j, f = metrics.j_and_f(ground_truth, prediction, [2])
    assert j[0, 0] == f[0, 0] == 1


@pytest.mark.parametrize("tolerance", [1, 2, 5, 31, 33, 64, 65, 70, 100])
@pytest.mark.parametrize("width", [103, 104, 105, 119, 120, 127, 128, 129, 136, 192, 193])
def test_opposite_edges_never_meet(width, tolerance):
    # Rows lie end to end in memory: what is far right in one must not match far left in the next.
    ground_truth = np.zeros((2, 6, width), np.uint8)
    prediction = ground_truth.copy()
    ground_truth[:, :, 0] = prediction[:, :, -1] = 1
    _, f = metrics.j_and_f(ground_truth, prediction, [1], tolerance)
    # The true boundary is column 0, the predicted one the column before the last.
    assert (f == (width - 2 <= tolerance)).all()


def test_a_full_frame_has_no_boundary():
    ones = np.ones((1, 20, 30), bool)
    j, f = one_object(ones, ones)
    assert j[0] == f[0] == 1
    j, f = one_object(ones, np.zeros_like(ones))
    # Neither side has a boundary, yet nothing overlaps.
    assert (j[0], f[0]) == (0, 1)


def test_inputs_stay_as_they_are():
    ground_truth = np.eye(40, dtype=np.uint8)[None]
    prediction = ground_truth[:, ::-1].copy()
    before = ground_truth.copy(), prediction.copy()
    metrics.j_and_f(ground_truth, prediction, [1])
    np.testing.assert_array_equal(ground_truth, before[0])
    np.testing.assert_array_equal(prediction, before[1])


@pytest.mark.parametrize(
    ("shapes", "dtype", "objects", "message"),
    [
        (((2, 5, 5), (2, 5, 6)), np.uint8, [1], "cannot be compared"),
        (((5, 5), (5, 5)), np.uint8, [1], "cannot be compared"),
        (((0, 5, 5), (0, 5, 5)), np.uint8, [1], "cannot be compared"),
        (((1, 5, 5), (1, 5, 5)), np.float32, [1], "whole numbers"),
        (((1, 5, 5), (1, 5, 5)), np.uint8, [0], "distinct ids from 1"),
        (((1, 5, 5), (1, 5, 5)), np.uint8, [1, 1], "distinct ids from 1"),
    ],
)
def test_what_cannot_be_scored_is_refused(shapes, dtype, objects, message):
    sides = (np.zeros(shape, dtype) for shape in shapes)
    with pytest.raises(InputError, match=message):
        metrics.j_and_f(*sides, objects)
