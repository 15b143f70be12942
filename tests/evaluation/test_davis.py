"""Splits, annotations and objects of both DAVIS layouts."""

import numpy as np
import pytest
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.evaluation import davis
from ranet_jax.io.masks import read_ids


def test_the_2016_lists_of_pairs(data_dir):
    videos = davis.read_split(data_dir / "DAVIS", "davis2016", "train")
    names = (data_dir / "DAVIS/ImageSets/2016/train.txt").read_text().split()
    assert [video.name for video in videos] == names and len(videos) == 30
    for video in videos:
        assert video.annotated
        assert [path.stem for path in video.frames] == list(video.stems)
        assert video.scored_stems == video.stems[1:-1]


def test_lists_of_names_and_trainval_made_of_both(davis_root):
    videos = davis.read_split(davis_root, "davis2016", "trainval")
    assert [video.name for video in videos] == ["bear", "boat", "flamingo", "hike", "swing"]


def test_a_split_may_be_a_file_of_names(davis_root, tmp_path):
    names = tmp_path / "two.txt"
    names.write_text("swing\r\n\nbear\n")
    videos = davis.read_split(davis_root, "davis2016", str(names))
    assert [video.name for video in videos] == ["swing", "bear"]


def test_some_sequences_of_a_split(davis_root):
    videos = davis.read_split(davis_root, "davis2016", "val", sequences=["swing", "boat"])
    assert [video.name for video in videos] == ["boat", "swing"]


def test_test_dev_has_first_masks_alone(tiny_root):
    (video,) = davis.read_split(tiny_root, "davis2017", "test-dev")
    assert not video.annotated and len(video.annotations) == 1 and len(video.frames) == 6


@pytest.mark.parametrize(
    ("dataset", "split", "sequences", "message"),
    [
        ("davis2017", "train", None, "no list of the davis2017 train split.*ImageSets/2017/train"),
        ("davis2017", "valid", None, "no split 'valid': give one of train, val"),
        ("davis2016", "test-dev", None, "no split 'test-dev'"),
        ("davis2017", "val", ["pear"], "no sequence pear; it has pair"),
    ],
)
def test_what_is_missing_is_named(tiny_root, dataset, split, sequences, message):
    with pytest.raises(InputError, match=message):
        davis.read_split(tiny_root, dataset, split, sequences=sequences)


def test_annotations_must_be_complete(tiny_root):
    (tiny_root / "Annotations/480p/pair/00003.png").unlink()
    with pytest.raises(InputError, match=r"lacks the annotations of 1 of 6 frames \(00003\)"):
        davis.read_split(tiny_root, "davis2017", "val")
    for path in (tiny_root / "Annotations/480p/pair").glob("0000[1-9].png"):
        path.unlink()
    # Only test-dev may leave out all but the first.
    with pytest.raises(InputError, match="lacks the annotations of 5 of 6"):
        davis.read_split(tiny_root, "davis2017", "val")


def test_an_unknown_folder_is_named(tiny_root):
    (tiny_root / "ImageSets/2017/val.txt").write_text("gone\n")
    with pytest.raises(InputError, match="gone holds no annotation"):
        davis.read_split(tiny_root, "davis2017", "val")


def test_void_is_background_in_2017_and_object_in_2016(tiny_root):
    (video,) = davis.read_split(tiny_root, "davis2017", "val")
    labels = davis.read_labels(video.annotations, "davis2017")
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert davis.object_ids(labels[0], "davis2017") == [1, 2]
    merged = davis.read_labels(video.annotations, "davis2016")
    assert sorted(np.unique(merged)) == [0, 1] and merged[0, 39, 0] == 1
    assert davis.object_ids(merged[0], "davis2016") == [1]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
def test_masks_of_every_mode(tmp_path, mode):
    ids = np.zeros((9, 13), np.uint8)
    ids[2:5, 3:8] = 1
    path = tmp_path / "mask.png"
    if mode == "P":
        image = Image.fromarray(ids)
        image.putpalette([0, 0, 0, 200, 10, 10])
    elif mode == "LA":
        image = Image.merge("LA", [Image.fromarray(ids), Image.fromarray(255 - ids)])
    elif mode == "I;16":
        image = Image.fromarray(ids.astype(np.uint16))
    else:
        image = Image.fromarray(ids.astype(bool) if mode == "1" else ids)
    image.save(path)
    np.testing.assert_array_equal(read_ids(path), ids)


def test_real_masks_of_mode_la(data_dir):
    path = data_dir / "DAVIS/Annotations/480p/bear/00077.png"
    with Image.open(path) as image:
        assert image.mode == "LA"
    assert set(np.unique(read_ids(path))) == {0, 255}


def test_files_that_are_no_masks(tmp_path):
    path = tmp_path / "mask.png"
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(InputError, match=r"color image \(mode RGB\)"):
        read_ids(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot be read"):
        read_ids(path)


def test_masks_of_a_video_have_one_size(tiny_root):
    (video,) = davis.read_split(tiny_root, "davis2017", "val")
    Image.new("L", (60, 41)).save(video.annotations[2])
    with pytest.raises(InputError, match="60x41 pixels, but 00000.png beside it 60x40"):
        davis.read_labels(video.annotations, "davis2017")
