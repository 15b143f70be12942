"""Small datasets on disk."""

from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from small_sets import davis_files, static_files, write_tree

# On a busy machine a single example may take any time.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def image_set(tmp_path) -> Path:
    """A folder with twelve photographs in `images` and their masks in `masks`."""
    files = static_files("images/{}.jpg", "masks/{}.png", 12)
    return write_tree(tmp_path / "photographs", files)


@pytest.fixture
def video_set(tmp_path) -> Path:
    """Three videos of two objects in the layout of DAVIS-2017."""
    files = davis_files("2017", {"train": {"ant": 9, "bee": 7}, "val": {"cow": 4}})
    return write_tree(tmp_path / "videos", files) / "DAVIS"


@pytest.fixture(scope="session")
def build() -> Callable:
    """Builds a set from `manual_dir`."""
    import tensorflow_datasets as tfds

    from data_pipelines import builders

    def run(name: str, data_dir: Path, manual_dir: Path) -> tfds.core.DatasetBuilder:
        builder = builders.builder(name, data_dir)
        config = tfds.download.DownloadConfig(manual_dir=manual_dir)
        builder.download_and_prepare(download_dir=data_dir / "downloads", download_config=config)
        return builder

    return run
