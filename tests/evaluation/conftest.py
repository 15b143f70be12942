"""DAVIS roots to evaluate on, and a segmenter whose answers are known."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

SEQUENCES = ("bear", "boat", "flamingo", "hike", "swing")


class FakeSegmenter:
    """Moves the first masks a little further every frame; stops where it is told to."""

    def __init__(self, stop_after=None):
        self.steps = 0
        self.groups = []
        self.stop_after = stop_after

    def init(self, frame, mask):
        assert all(
            f.shape[:2] == m.shape and f.dtype == np.uint8 for f, m in zip(frame, mask, strict=True)
        )
        self.masks = list(mask)
        self.groups.append(len(mask))

    def step(self, frame):
        if self.steps == self.stop_after:
            raise KeyboardInterrupt
        self.steps += 1
        assert len(frame) == len(self.masks)
        self.masks = [
            None if f is None else np.roll(m, (1, 2), (0, 1))
            for f, m in zip(frame, self.masks, strict=True)
        ]
        return self.masks


@pytest.fixture
def fake_segmenter():
    """The class of segmenters that need no network."""
    return FakeSegmenter


def stand_in_write_mask(path, labels):
    Image.fromarray(np.asarray(labels).astype(np.uint8)).save(path)


@pytest.fixture(autouse=True)
def mask_writer(monkeypatch):
    """The package's own writer of masks, or a plain one where that is not installed."""
    try:
        from ranet_jax import masks
    except ImportError:
        masks = types.ModuleType("ranet_jax.masks")
        masks.write_mask = stand_in_write_mask
        monkeypatch.setitem(sys.modules, "ranet_jax.masks", masks)
        monkeypatch.setattr("ranet_jax.masks", masks, raising=False)
    return masks.write_mask


@pytest.fixture(scope="session")
def davis_root(data_dir, tmp_path_factory):
    """Five real sequences, 7 to 9 frames of each, laid out as DAVIS-2016."""
    root = tmp_path_factory.mktemp("davis")
    for index, name in enumerate(SEQUENCES):
        for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            folder = root / kind / "480p" / name
            folder.mkdir(parents=True)
            for frame in range(7 + index % 3):
                file = f"{frame:05}.{suffix}"
                (folder / file).symlink_to(data_dir / "DAVIS" / kind / "480p" / name / file)
    lists = root / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(SEQUENCES[:2]) + "\n")
    (lists / "val.txt").write_text("\n".join(SEQUENCES) + "\n")
    return root


@pytest.fixture
def tiny_root(tmp_path):
    """A made-up DAVIS-2017 root: `pair`, two objects in six frames, and `first` with one mask."""
    root = tmp_path / "tiny"
    for name, count in (("pair", 6), ("first", 1)):
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / "480p" / name).mkdir(parents=True)
        for frame in range(6):
            image = np.full((40, 60, 3), 10 * frame, np.uint8)
            Image.fromarray(image).save(root / "JPEGImages/480p" / name / f"{frame:05}.jpg")
        for frame in range(count):
            labels = tiny_labels(frame)
            Image.fromarray(labels).save(root / "Annotations/480p" / name / f"{frame:05}.png")
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("pair\n")
    (lists / "test-dev.txt").write_text("first\n")
    return root


def tiny_labels(frame):
    labels = np.zeros((40, 60), np.uint8)
    labels[5:15, 5 + frame : 20 + frame] = 1
    labels[20:35, 30:50] = 2
    labels[38:, :5] = 255
    return labels


@pytest.fixture
def tiny_predictions(tiny_root, tmp_path):
    """Predictions for `pair` that equal the annotations, without the first and last frame."""
    folder = tmp_path / "predictions" / "pair"
    folder.mkdir(parents=True)
    for frame in range(1, 5):
        labels = tiny_labels(frame)
        labels[labels == 255] = 0
        Image.fromarray(labels).save(folder / f"{frame:05}.png")
    return folder.parent
