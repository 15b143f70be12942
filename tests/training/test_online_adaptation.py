"""Fine-tuning on the first frame: what it learns, what it leaves alone, how often it compiles."""

import functools

import jax
import numpy as np
import pytest

from ranet_jax import InputError, Segmenter
from ranet_jax.inference.boxes import mask_boxes
from ranet_jax.models.initialization import init_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training import first_frame as views
from ranet_jax.training import online_adaptation as online

SIZE = (64, 96)


class Counting(RANet):
    """Counts how often it is traced, that is, compiled."""

    traces = []

    def __call__(self, *args):
        Counting.traces.append(args[2].shape)
        return super().__call__(*args)


def first_frame(ids=(1,), height=64, width=96, seed=0):
    """Textured squares on a textured ground, and their mask."""
    random = np.random.default_rng(seed)
    frame = random.integers(0, 100, (height, width, 3))
    mask = np.zeros((height, width), np.int32)
    side = height // 3
    for i, id_ in enumerate(ids):
        y, x = height // 3, 8 + i * (side + 8)
        frame[y : y + side, x : x + side] = random.integers(120, 256, (side, side, 3))
        mask[y : y + side, x : x + side] = id_
    return frame.astype(np.uint8), mask


def network(**settings):
    model = Counting(depth=14, width=8, **settings)
    return model, init_params(model, seed=0)


@pytest.fixture(scope="module")
def single():
    return network()


@pytest.fixture(scope="module")
def light():
    """Without correlation there is less to compile."""
    return network(correlation=False)


def tune(network, frame, mask, **settings):
    settings = {"iterations": 2, "learning_rate": 1e-3, "size": SIZE} | settings
    return online.fine_tune(*network, frame, mask, **settings)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_the_loss_falls(request, mode):
    """With two objects: a single-object network learns both, one at a time."""
    tuned = (
        network(mode="multi", correlation=False)
        if mode == "multi"
        else (request.getfixturevalue("single"))
    )
    losses = []
    tune(tuned, *first_frame((3, 200)), iterations=20, on_progress=lambda _, x: losses.append(x))
    assert np.isnan(losses[0]) and np.isfinite(losses[1:]).all()
    assert np.mean(losses[-5:]) < 0.8 * losses[1], losses


def trees_equal(a, b) -> bool:
    # On the host: on the device every shape would be a program to compile.
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_no_iterations_give_the_same_parameters(single):
    assert tune(single, *first_frame(), iterations=0) is single[1]


def test_the_seed_decides_and_the_given_parameters_stay(single):
    before = jax.tree.map(np.array, single[1])
    a = tune(single, *first_frame(), seed=1)
    b = tune(single, *first_frame(), seed=1)
    c = tune(single, *first_frame(), seed=2)
    assert trees_equal(a, b) and not trees_equal(a, c)
    assert trees_equal(before, single[1])
    assert jax.tree.structure(a) == jax.tree.structure(single[1])


def test_progress_is_told_and_changes_nothing(single):
    told = []
    watched = tune(
        single, *first_frame(), iterations=21, on_progress=lambda done, _: told.append(done)
    )
    assert told == [*range(0, 21, 2), 21]
    assert trees_equal(watched, tune(single, *first_frame(), iterations=21))


def test_compiled_once_for_all_videos_iterations_and_rates(single):
    tune(single, *first_frame())
    Counting.traces.clear()
    tune(single, *first_frame(height=90, width=150), iterations=1)
    tune(single, *first_frame(ids=(4, 5, 6), height=50, width=100), iterations=3)
    tune(single, *first_frame(), learning_rate=1e-5, jitter=0.0, seed=3)
    assert not Counting.traces


def test_every_object_is_drawn_and_alone():
    first = views.read_first_frame(*first_frame(ids=(5, 6, 9), width=120), SIZE)
    batch = jax.tree.map(np.asarray, views.draw_batch(jax.random.key(0), first, 1, 60, 0.1))
    labels = np.asarray(first.labels)
    drawn = [int(np.unique(labels[ids == 1]).item()) for ids in batch["ids"]]
    assert {drawn.count(n) >= 10 for n in (1, 2, 3)} == {True}
    for ids, n in zip(batch["ids"], drawn, strict=True):
        np.testing.assert_array_equal(ids, labels == n)
    assert batch["valid"].all() and batch["is_static"].all()


def test_crops_are_those_of_segmentation_jittered():
    first = views.read_first_frame(*first_frame(height=90, width=150), (128, 192))
    draw = functools.partial(views.draw_batch, jax.random.key(1), first, 1, 40)
    exact, moved = draw(0.0), draw(0.1)
    segmenter_box = mask_boxes(first.labels[None] > 0)[0]
    np.testing.assert_array_equal(exact["box"], np.tile(segmenter_box, (40, 1)))
    top, left, bottom, right = np.asarray(moved["box"]).T
    assert top.min() >= 0 and left.min() >= 0 and bottom.max() <= 128 and right.max() <= 192
    height, width = np.diff(np.asarray(segmenter_box).reshape(2, 2), axis=0)[0]
    assert np.all(abs(bottom - top - height) <= 0.1001 * height)
    assert len({*left.tolist()}) > 20
    assert not np.array_equal(moved["box"], moved["template_box"])


def test_a_frozen_backbone_stays(single, light):
    """As it is by default."""
    moved, held = tune(single, *first_frame(), train_backbone=True), tune(light, *first_frame())
    assert trees_equal(held["backbone"], light[1]["backbone"])
    assert not trees_equal(held["pyramid"], light[1]["pyramid"])
    assert not trees_equal(moved["backbone"], single[1]["backbone"])
    assert held.keys() == light[1].keys()


def test_an_object_too_small_for_the_network_teaches_nothing(single):
    frame, mask = first_frame(height=640, width=960)
    mask = np.zeros_like(mask)
    mask[5, 5] = 1
    assert tune(single, frame, mask) is single[1]


FRAME, MASK = first_frame()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mask": np.zeros_like(MASK)}, "mask is empty"),
        ({"mask": MASK[:-1]}, "mask is 96x63 and the frame is 96x64"),
        ({"frame": FRAME[..., 0]}, r"\[height, width, 3\]"),
        ({"iterations": -1}, "asked for -1 iterations"),
        ({"iterations": 1.5}, "asked for 1.5 iterations"),
        ({"learning_rate": 0}, "learning rate is 0"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"jitter": 1.0}, "jitter is 1.0"),
        ({"augmentation": {"wrap": 1}}, "no augmentation wrap"),
        ({"learning_rate": 1e30}, "diverged: after 2 iterations at a learning rate of 1e[+]30"),
    ],
)
def test_bad_input_is_one_sentence(single, changes, message):
    with pytest.raises(InputError, match=message):
        tune(single, **({"frame": FRAME, "mask": MASK} | changes))


def segmenter(network, **settings):
    settings = {"iterations": 2, "learning_rate": 1e-3, "size": SIZE} | settings
    return online.OnlineSegmenter(*network, **settings)


def test_every_video_is_adapted_from_the_given_parameters(light):
    """What it answers is what a segmenter with the fine-tuned parameters answers."""
    videos = [first_frame(seed=s) for s in (0, 1)]
    adapting = segmenter(light)
    for frame, mask in videos:
        adapting.init(frame, mask)
        assert adapting.online_seconds > 0
    alone = Segmenter(light[0], tune(light, *videos[1]), size=SIZE)
    offline = Segmenter(*light, size=SIZE)
    for other in (alone, offline):
        other.init(*videos[1])
    maps = []
    for one in (adapting, alone, offline):
        one.step(videos[1][0])
        maps.append(one.probability_maps()[1])
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[0] - maps[2]).max() > 1e-3


def test_one_video_at_a_time(light):
    one = segmenter(light, iterations=1)
    one.init([FRAME], [MASK])
    assert one.step([FRAME])[0].shape == MASK.shape
    with pytest.raises(InputError, match="one video at a time and was given 2"):
        one.init([FRAME, FRAME], [MASK, MASK])
