"""A config that is small, complete and has its data."""

from pathlib import Path

import pytest
from PIL import Image

from ranet_jax.experiment import config as configs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """Three videos in the layout of DAVIS-2016, all of its training split, and photographs."""
    root = tmp_path_factory.mktemp("data")
    names = ("ant", "bee", "cow")
    for name in names:
        for part, mode, suffix in (("JPEGImages", "RGB", "jpg"), ("Annotations", "L", "png")):
            folder = root / "DAVIS" / part / "480p" / name
            folder.mkdir(parents=True)
            for t in range(4):
                picture = Image.new(mode, (96, 64))
                white = 255 if mode == "L" else (250, 240, 230)
                picture.paste(white, (20 + t, 16, 60 + t, 50))
                picture.save(folder / f"{t:05d}.{suffix}")
    lists = root / "DAVIS" / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(names))
    for part, mode, suffix in (("images", "RGB", "jpg"), ("masks", "L", "png")):
        folder = root / part
        folder.mkdir()
        picture = Image.new(mode, (96, 64))
        picture.paste(255 if mode == "L" else (250, 240, 230), (20, 16, 60, 50))
        for name in ("one", "two"):
            picture.save(folder / f"{name}.{suffix}")
    return root


@pytest.fixture
def small_config(data_root):
    """A function that reads `tiny.py` made smaller still, with overrides."""

    def make(*overrides):
        small = {
            "data.root": data_root,
            "data.sets": "(('videos={root}/DAVIS:train', 1.0),)",
            "data.exclude": "('cow',)",
            "held_out.sequences": "('cow',)",
            "data.height": 64,
            "data.width": 96,
            "model.width": 8,
            "steps": 60,
        }
        given = [f"--config.{key}={value}" for key, value in small.items()]
        overridden = {override.split("=")[0] for override in overrides}
        given = [text for text in given if text.split("=")[0] not in overridden]
        return configs.read(ROOT / "configs" / "tiny.py", [*given, *overrides])

    return make
