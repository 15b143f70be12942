"""The builders and sources on the real ECSSD, DAVIS and COCO."""

import hashlib
import itertools

import numpy as np
import pytest

from data_pipelines import built_sources, loader, sources
from data_pipelines.config import ExampleSettings
from data_pipelines.decoding import decode_image
from ranet_jax.io.masks import decode_ids


@pytest.fixture(scope="module")
def built(tmp_path_factory, data_dir, build):
    folder = tmp_path_factory.mktemp("built")
    return {
        "ecssd": build("ecssd", folder, data_dir / "ECSSD"),
        "davis/2016": build("davis/2016", folder, data_dir / "DAVIS"),
    }


def checksum(source) -> str:
    """Of all masks, by name: unlike JPEG's, what PNG decodes to does not depend on the decoder."""
    digests = []
    for clip, length in enumerate(source.lengths):
        for frame in range(length):
            ids = decode_ids(source.mask(clip, frame), "m", source.mask_rule)
            name = source.frame_name(clip, frame).split(":train/")[-1]
            digests.append(f"{name} {hashlib.sha256(ids.tobytes()).hexdigest()}")
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:16]


def test_ecssd_is_complete(built):
    source = built_sources.TfdsSource(built["ecssd"], "train")
    assert built["ecssd"].info.splits["train"].num_examples == 1000
    assert sum(source.lengths) == len(source.lengths) == 1000
    assert checksum(source) == "70d2958770065161"


def test_davis_2016_train_is_complete(built):
    source = built_sources.TfdsSource(built["davis/2016"], "train")
    assert len(source.lengths) == 30 and sum(source.lengths) == 1222
    assert checksum(source) == "ba4f4974336a5a43"


def test_images_come_back_as_published(built, data_dir):
    source = built_sources.TfdsSource(built["ecssd"], "train")
    for clip in range(0, 1000, 100):
        name = source.frame_name(clip, 0).rsplit("/", 1)[-1]
        assert source.image(clip, 0) == (data_dir / f"ECSSD/images/{name}.jpg").read_bytes()
    names = [source.frame_name(clip, 0).rsplit("/", 1)[-1] for clip in range(1000)]
    grey = decode_image(source.image(names.index("0557"), 0), "0557")
    published = (data_dir / "ECSSD/images/0557.jpg").read_bytes()
    np.testing.assert_array_equal(grey, decode_image(published, "0557"))


def test_a_mixture_of_both_is_read_through_grain(built):
    mixture = [(built_sources.TfdsSource(built[name], "train"), 1.0) for name in built]
    running = loader.Loader(mixture, ExampleSettings(), batch_size=4, seed=0)
    batches = list(itertools.islice(running, 6))
    running.close()
    static = np.concatenate([batch["is_static"].ravel() for batch in batches])
    assert static.sum() == 12
    for batch in batches:
        assert batch["image"].shape == (1, 4, 480, 864, 3)
        assert (batch["template_ids"].max(axis=(2, 3)) == 1).all()
    assert not running.corrupt


@pytest.mark.parametrize(
    ("name", "clips", "frames", "objects"),
    [
        ("DAVIS17_multiobject", 1, 80, 7),
        ("DAVIS17_first_frames", 30, 30, 7),
        ("COCO128_instances", 126, 126, None),
    ],
)
def test_several_objects_from_folders(data_dir, name, clips, frames, objects):
    folder = data_dir / name
    if name.startswith("COCO"):
        source = sources.image_folder(folder / "images", folder / "masks")
    else:
        source = sources.video_folder(folder)
    assert (len(source.lengths), sum(source.lengths)) == (clips, frames)
    most = max(
        int(decode_ids(source.mask(clip, 0), "m", source.mask_rule).max()) for clip in range(clips)
    )
    assert most == objects if objects else most > 3
    settings = ExampleSettings(slots=4, object_sampling="multi")
    running = loader.Loader([(source, 1)], settings, batch_size=4)
    batch = next(running)
    running.close()
    assert batch["valid"].any(axis=2).all()
    for name in ("template_ids", "ids", "previous_ids"):
        assert batch[name].max() <= 4
    held = batch["template_ids"].reshape(4, -1).max(axis=1)
    np.testing.assert_array_equal(held, batch["valid"][0].sum(axis=1))
    assert (batch["is_static"] == (frames == clips)).all()


def test_the_mask_of_two_channels_is_read(built):
    source = built_sources.TfdsSource(built["davis/2016"], "train")
    bear = next(i for i in range(30) if "/bear/" in source.frame_name(i, 0))
    ids = decode_ids(source.mask(bear, 77), "bear/00077", "ids")
    assert set(np.unique(ids)) == {0, 1}
    assert ids.any()
