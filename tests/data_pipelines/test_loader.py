import collections
import hashlib
import itertools
import json

import jax
import numpy as np
import pytest

from data_pipelines import loader, sources
from data_pipelines.config import DataConfig, ExampleSettings
from ranet_jax.errors import InputError
from ranet_jax.io.images import encode_image
from ranet_jax.training import augment

SETTINGS = ExampleSettings(height=32, width=64)


@pytest.fixture
def images(image_set):
    return sources.image_folder(image_set / "images", image_set / "masks")


@pytest.fixture
def videos(video_set):
    return sources.video_folder(video_set)


def digest(batch) -> str:
    data = b"".join(np.ascontiguousarray(batch[name]).tobytes() for name in sorted(batch))
    return hashlib.sha256(data).hexdigest()


def take(running, count: int) -> list[str]:
    digests = [digest(batch) for batch in itertools.islice(running, count)]
    running.close()
    return digests


def image_bytes(batch) -> list[bytes]:
    return [row.tobytes() for row in batch["image"].reshape(-1, 32, 64, 3)]


def test_batches_lead_with_devices_and_examples(images):
    batch = next(loader.Loader([(images, 1)], SETTINGS, batch_size=6, local_devices=2))
    assert {name: array.shape for name, array in batch.items()} == {
        "template_image": (2, 3, 32, 64, 3),
        "template_ids": (2, 3, 32, 64),
        "template_box": (2, 3, 4),
        "image": (2, 3, 32, 64, 3),
        "ids": (2, 3, 32, 64),
        "previous_ids": (2, 3, 32, 64),
        "box": (2, 3, 4),
        "valid": (2, 3, 1),
        "is_static": (2, 3),
    }
    assert set(batch) == augment.HostBatch.__required_keys__


def test_workers_and_threads_change_no_batch(images, videos):
    mixture = [(images, 1), (videos, 2)]
    alone = take(loader.Loader(mixture, SETTINGS, batch_size=2, seed=4, threads=0), 9)
    for workers, threads in ((0, 3), (1, 0), (3, 1)):
        running = loader.Loader(
            mixture, SETTINGS, batch_size=2, seed=4, workers=workers, threads=threads
        )
        assert take(running, 9) == alone, (workers, threads)
    assert len(set(alone)) == 9
    assert take(loader.Loader(mixture, SETTINGS, batch_size=2, seed=5), 9) != alone


def test_a_saved_state_goes_on_exactly_with_any_number_of_workers(images, videos):
    mixture = [(images, 1), (videos, 1)]
    running = loader.Loader(mixture, SETTINGS, batch_size=2)
    for _ in range(3):
        next(running)
    state = json.loads(json.dumps(running.get_state()))
    expected = take(running, 4)
    for workers in (0, 1):
        again = loader.Loader(mixture, SETTINGS, batch_size=2, workers=workers)
        next(again)
        again.set_state(state)
        assert take(again, 4) == expected
    # And it goes back as well as forth.
    running.set_state(state)
    assert take(running, 4) == expected


def test_names_of_a_batch_are_those_of_its_images(images, image_set):
    """Whatever the number of workers, and after going on elsewhere."""
    told = {}
    for workers in (0, 1):
        running = loader.Loader([(images, 1)], SETTINGS, batch_size=4, workers=workers)
        for _ in range(4):
            next(running)
        told[workers] = [running.names(number) for number in range(4)]
        running.close()
    assert told[0] == told[1]
    assert sorted(sum(told[0][:3], ())) == sorted(map(str, (image_set / "images").iterdir()))
    again = loader.Loader([(images, 1)], SETTINGS, batch_size=4)
    again.set_state(again.get_state() | {"next_batch": 3})
    next(again)
    assert again.names(3) == told[0][3]
    with pytest.raises(KeyError):
        again.names(2)


def test_a_state_goes_on_with_another_number_of_processes(images):
    alone = loader.Loader([(images, 1)], SETTINGS, batch_size=4)
    next(alone)
    state = alone.get_state()
    expected = image_bytes(next(alone))
    halves = []
    for index in range(2):
        half = loader.Loader(
            [(images, 1)], SETTINGS, batch_size=2, process_index=index, process_count=2
        )
        half.set_state(state)
        halves.append(image_bytes(next(half)))
    assert [p for pair in zip(*halves, strict=True) for p in pair] == expected


def test_a_state_of_other_data_is_refused(images, videos):
    state = loader.Loader([(images, 1)], SETTINGS, batch_size=2).get_state()
    for other in (
        loader.Loader([(videos, 1)], SETTINGS, batch_size=2),
        loader.Loader([(images, 1)], SETTINGS, batch_size=2, seed=1),
        loader.Loader([(images, 1)], SETTINGS, batch_size=4),
    ):
        with pytest.raises(InputError, match="other training data"):
            other.set_state(state)


def test_a_source_is_used_up_before_it_starts_over(images):
    running = loader.Loader([(images, 1)], SETTINGS, batch_size=4)
    rounds = [
        [p for batch in itertools.islice(running, 3) for p in image_bytes(batch)] for _ in range(3)
    ]
    assert [len(set(seen)) for seen in rounds] == [12, 12, 12]
    assert rounds[0] != rounds[1] != rounds[2], "each round has its own order"


def test_processes_share_one_stream(images):
    def stream(**process):
        running = loader.Loader([(images, 1)], SETTINGS, seed=2, **process)
        return [p for batch in itertools.islice(running, 6) for p in image_bytes(batch)]

    whole = stream(batch_size=2)
    halves = [stream(batch_size=1, process_index=i, process_count=2) for i in range(2)]
    assert [p for pair in zip(*halves, strict=True) for p in pair] == whole


def test_sources_take_turns_by_weight(images, videos):
    running = loader.Loader([(images, 3), (videos, 1)], SETTINGS, batch_size=8)
    static = np.concatenate([batch["is_static"].ravel() for batch in itertools.islice(running, 10)])
    assert abs(static.mean() - 0.75) < 0.03


def test_a_broken_image_is_skipped_told_once_and_counted(images, image_set, caplog):
    broken = image_set / "images/0004.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    running = loader.Loader([(images, 1)], SETTINGS, batch_size=4, max_corrupt=0.1, workers=0)
    seen = collections.Counter(
        p for batch in itertools.islice(running, 9) for p in image_bytes(batch)
    )
    assert len(seen) == 11 and sum(seen.values()) == 36
    assert list(running.corrupt) == [str(broken)]
    told = [record for record in caplog.records if str(broken) in record.getMessage()]
    assert len(told) == 1
    assert running.get_state()["corrupt"] == running.corrupt


def test_too_many_broken_images_stop_the_run_with_their_names(images, image_set):
    for number in (2, 7):
        (image_set / f"images/{number:04d}.jpg").write_bytes(b"\xff\xd8broken")
    for workers in (0, 1):
        running = loader.Loader([(images, 1)], SETTINGS, batch_size=4, workers=workers)
        with pytest.raises(InputError, match="more than 1%") as info:
            take(running, 6)
        running.close()
        assert "0002.jpg" in str(info.value) or "0007.jpg" in str(info.value)


def test_a_set_without_objects_is_said(images, image_set):
    blank = np.zeros((48, 64), np.uint8)

    for path in (image_set / "masks").iterdir():
        path.write_bytes(encode_image(blank))
    with pytest.raises(InputError, match="100 frames of .* show no object"):
        next(loader.Loader([(images, 1)], SETTINGS, batch_size=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 3, "local_devices": 2}, "multiple of the number of devices"),
        ({"batch_size": 0}, "multiple of the number of devices"),
        ({"batch_size": 1, "process_index": 2, "process_count": 2}, "There is no process 2"),
        ({"batch_size": 1, "seed": -1}, "The seed is -1"),
        ({"batch_size": 1, "seed": 2**32}, "The seed is 4294967296"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(images, changes, message):
    with pytest.raises(InputError, match=message):
        loader.Loader([(images, 1)], SETTINGS, **changes)


@pytest.mark.parametrize("sets", [(), (("ecssd", 0.0),), (("ecssd", float("inf")),), ("ecssd",)])
def test_sets_without_a_weight_are_refused(sets):
    with pytest.raises(InputError, match="pairs of a dataset and a weight above 0"):
        DataConfig(sets=sets)


def test_batches_reach_the_devices_with_the_state_to_save(images):
    devices = jax.local_devices()
    running = loader.Loader(
        [(images, 1)], SETTINGS, batch_size=2 * len(devices), local_devices=len(devices)
    )
    ahead = loader.prefetch_to_devices(running, devices)
    seen = [next(ahead) for _ in range(3)]
    assert [state["next_batch"] for _, state in seen] == [1, 2, 3]
    assert running.get_state()["next_batch"] > 3, "others are under way"
    assert all(isinstance(array, jax.Array) for array in seen[0][0].values())
    running.set_state(seen[0][1])
    assert digest(next(running)) == digest(jax.device_get(seen[1][0]))


def test_a_batch_goes_through_the_augmentation_under_pmap(images):
    devices = jax.local_device_count()
    running = loader.Loader([(images, 1)], SETTINGS, batch_size=2 * devices, local_devices=devices)
    batch, _ = next(loader.prefetch_to_devices(running, jax.local_devices()))
    keys = jax.random.split(jax.random.key(0), devices)
    seen = jax.pmap(augment.augment)(keys, batch)
    assert seen["image"].shape == (devices, 2, 32, 64, 3)
    assert seen["target_masks"].shape == (devices, 2, 1, 32, 64)
    assert np.asarray(seen["valid"]).all()
