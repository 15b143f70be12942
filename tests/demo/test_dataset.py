import numpy as np
import pytest
from PIL import Image

from data_pipelines import pipeline
from ranet_jax.demo.dataset import TRAIN, VAL, write_demo_dataset
from ranet_jax.errors import InputError
from ranet_jax.evaluation.davis import read_labels, read_split

SMALL = {"frames": 3, "height": 60, "width": 108}


@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    return write_demo_dataset(tmp_path_factory.mktemp("rendered"), **SMALL)


def test_evaluation_and_training_read_it(davis):
    splits = {split: read_split(davis, "davis2016", split) for split in ("train", "val")}
    assert [video.name for video in splits["train"]] == list(TRAIN)
    assert [video.name for video in splits["val"]] == list(VAL)
    for video in splits["train"] + splits["val"]:
        labels = read_labels(video.annotations, "davis2016")
        assert labels.shape == (3, 60, 108) and len(video.frames) == 3
        assert labels.any(axis=(1, 2)).all(), "every frame shows the object"
    source = pipeline.open_source(f"videos={davis}:train")
    assert sorted(source.videos) == sorted(TRAIN) and sum(source.lengths) == 6


def test_the_held_out_video_is_mirrored_in_space_and_time(davis):
    def read(name, frame):
        with Image.open(davis / "Annotations" / "480p" / name / f"{frame:05d}.png") as image:
            return np.asarray(image)

    for frame in range(3):
        np.testing.assert_array_equal(
            read("mirrored", frame), read("astronaut", 2 - frame)[:, ::-1]
        )


def test_it_is_written_again_but_not_over_another(tmp_path):
    davis = write_demo_dataset(tmp_path, **SMALL)
    before = {path: path.read_bytes() for path in davis.rglob("*.*") if path.is_file()}
    write_demo_dataset(tmp_path, **SMALL)
    assert {path: path.read_bytes() for path in davis.rglob("*.*") if path.is_file()} == before
    with pytest.raises(InputError, match="holds another data set"):
        write_demo_dataset(tmp_path, **SMALL | {"frames": 2})
    assert {path: path.read_bytes() for path in davis.rglob("*.*") if path.is_file()} == before
