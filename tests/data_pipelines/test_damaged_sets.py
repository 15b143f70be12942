"""Archives and built sets that are incomplete or damaged."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest
from small_sets import ECSSD, davis_files, static_files, write_tree, write_zip

from data_pipelines import builders
from data_pipelines.pipeline import open_source
from ranet_jax.errors import InputError

WHOLE = static_files(*ECSSD)


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("hku_is", {}, "No images and masks of hku_is were found"),
        ("davis/2017", {"readme.txt": b""}, "No list of a split of DAVIS 2017"),
        ("ecssd", {"images.zip": b"PK not a zip"}, "images.zip is no readable zip archive"),
    ],
)
def test_what_is_missing_is_said(name, files, message, tmp_path, build):
    write_tree(tmp_path / "manual", files | {"note.txt": b"x"})
    with pytest.raises(InputError, match=message):
        build(name, tmp_path / "built", tmp_path / "manual")
    assert not builders.builder(name, tmp_path / "built").is_prepared()


def test_incomplete_sets_are_refused_and_leave_nothing_behind(tmp_path, build):
    files = dict(WHOLE)
    del files["ground_truth_mask/0002.png"]
    with pytest.raises(InputError, match="1 of 3 images of ecssd have no mask"):
        build("ecssd", tmp_path / "built", write_tree(tmp_path / "a", files))
    files = davis_files("2017", {"train": {"ant": 3}})
    del files["DAVIS/Annotations/480p/ant/00001.png"]
    with pytest.raises(InputError, match="ant of DAVIS train is incomplete.*00001.png is missing"):
        build("davis/2017", tmp_path / "built", write_tree(tmp_path / "b", files))
    files = static_files("MSRA10K_Imgs_GT/Imgs/{}.jpg", "MSRA10K_Imgs_GT/Imgs/{}.png")
    files["MSRA10K_Imgs_GT/Imgs/0001.jpg"] = b"broken"
    with pytest.raises(InputError, match="0001.jpg cannot be read"):
        build("msra10k", tmp_path / "built", write_tree(tmp_path / "c", files))
    assert not list((tmp_path / "built").rglob("*.array_record*"))


def _spoiled(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x20
    path.write_bytes(content)


def test_damage_to_a_built_set_is_noticed(tmp_path, build):
    write_tree(tmp_path / "manual", dict(WHOLE))
    folder = Path(build("ecssd", tmp_path / "whole", tmp_path / "manual").data_dir)
    assert open_source("ecssd", tmp_path / "whole").lengths == [1, 1, 1]
    (shard,) = (path.name for path in folder.glob("*array_record*"))
    record = (folder / shard).read_bytes().index(b"JFIF") + 200
    damage = {
        "record": lambda folder: _spoiled(folder / shard, record),
        "end": lambda folder: os.truncate(folder / shard, 1000),
        "info": lambda folder: _spoiled(folder / "dataset_info.json", 30),
        "features": lambda folder: (folder / "features.json").unlink(),
        "checksums": lambda folder: _spoiled(folder / "checksums.json", 30),
    }
    for name, spoil in damage.items():
        shutil.copytree(tmp_path / "whole", tmp_path / name)
        spoil(tmp_path / name / folder.relative_to(tmp_path / "whole"))
        with pytest.raises(InputError, match="damaged"):
            open_source("ecssd", tmp_path / name)
    (folder / "checksums.json").unlink()
    assert open_source("ecssd", tmp_path / "whole").lengths == [1, 1, 1], "of an earlier version"


def _encrypted(path: Path) -> None:
    """Says of every member that it is encrypted."""
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + flags] |= 1
    path.write_bytes(content)


def _compressed_strangely(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for mark, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + method] = 77
    path.write_bytes(content)


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("images/0000.jpg", b"again")


@pytest.mark.parametrize(
    "spoil",
    [
        _encrypted,
        _compressed_strangely,
        _twice,
        lambda path: _spoiled(path, path.read_bytes().index(b"JFIF") + 200),
        lambda path: os.truncate(path, path.stat().st_size // 2),
    ],
    ids=["encrypted", "unknown compression", "twice", "checksum", "cut off"],
)
def test_archives_that_cannot_be_read(spoil, tmp_path, build):
    path = write_zip(tmp_path / "manual" / "images.zip", dict(WHOLE))
    spoil(path)
    with pytest.raises(InputError, match=r"images\.zip"):
        build("ecssd", tmp_path / "built", tmp_path / "manual")
    assert not list((tmp_path / "built").rglob("*.array_record*"))


def test_two_images_of_one_name_are_refused(tmp_path, build):
    files = dict(WHOLE)
    files["images/0001.JPG"] = files["images/0001.jpg"]
    write_tree(tmp_path / "manual", files)
    with pytest.raises(InputError, match="two images called 0001"):
        build("ecssd", tmp_path / "built", tmp_path / "manual")
