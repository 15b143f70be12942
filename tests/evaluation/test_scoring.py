"""Predictions that fit, and those that do not."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.evaluation import davis, scoring
from ranet_jax.io.masks import read_ids


@pytest.fixture
def pair(tiny_root):
    (video,) = davis.read_split(tiny_root, "davis2017", "val")
    return video


def test_the_first_and_last_frame_do_not_count(pair, tiny_predictions):
    scores, problems = scoring.score(pair, tiny_predictions, "davis2017")
    assert problems == [] and scores.objects == (1, 2)
    assert scores.j.shape == scores.f.shape == (2, 4)
    assert (scores.j == 1).all() and (scores.f == 1).all()


def test_ids_decide_not_their_order(pair, tiny_predictions):
    path = tiny_predictions / "pair" / "00002.png"
    labels = read_ids(path)
    Image.fromarray(np.choose(labels, [0, 2, 1]).astype(np.uint8)).save(path)
    scores, _ = scoring.score(pair, tiny_predictions, "davis2017")
    np.testing.assert_array_equal(scores.j, [[1, 0, 1, 1], [1, 0, 1, 1]])


def test_an_object_that_was_not_predicted_scores_nothing(pair, tiny_predictions):
    path = tiny_predictions / "pair" / "00003.png"
    labels = read_ids(path)
    Image.fromarray(np.where(labels == 2, 0, labels).astype(np.uint8)).save(path)
    scores, _ = scoring.score(pair, tiny_predictions, "davis2017")
    np.testing.assert_array_equal(scores.j[1], [1, 1, 0, 1])
    np.testing.assert_array_equal(scores.f[1], [1, 1, 0, 1])


def test_missing_files_and_strange_ones_are_named(pair, tiny_predictions):
    (tiny_predictions / "pair" / "00001.png").unlink()
    (tiny_predictions / "pair" / "00003.png").rename(tiny_predictions / "pair" / "3x.png")
    scores, problems = scoring.score(pair, tiny_predictions, "davis2017")
    assert scores is None
    assert problems == [
        "pair: 2 of 4 files are missing (00001.png, 00003.png)",
        "pair: no frame belongs to 3x.png",
    ]


def test_missing_folders_are_named(pair, tmp_path):
    assert scoring.check(pair, tmp_path) == [f"pair: there is no folder {tmp_path / 'pair'}"]


def test_wrong_sizes_are_named(pair, tiny_predictions):
    Image.new("L", (60, 39)).save(tiny_predictions / "pair" / "00002.png")
    _, problems = scoring.score(pair, tiny_predictions, "davis2017")
    assert problems == ["pair: 00002.png is 60x39 pixels, its annotation has 60x40"]


def test_damaged_files_are_named(pair, tiny_predictions):
    path = tiny_predictions / "pair" / "00002.png"
    path.write_bytes(b"no image")
    _, problems = scoring.score(pair, tiny_predictions, "davis2017")
    assert problems == ["pair: 00002.png is not a readable image (not an image)"]


def test_truncated_files_are_named(pair, tiny_predictions):
    path = tiny_predictions / "pair" / "00002.png"
    path.write_bytes(path.read_bytes()[:60])
    _, problems = scoring.score(pair, tiny_predictions, "davis2017")
    assert len(problems) == 1 and "00002.png is not a readable image" in problems[0]


@pytest.mark.parametrize("label", [3, 255])
def test_foreign_ids_are_named(pair, tiny_predictions, label):
    path = tiny_predictions / "pair" / "00002.png"
    labels = read_ids(path).copy()
    labels[0, 0] = label
    Image.fromarray(labels).save(path)
    scores, problems = scoring.score(pair, tiny_predictions, "davis2017")
    assert scores is None
    assert problems == [
        f"pair: ids {label} (first in 00002.png) are none of its objects "
        "(the sequence has objects 1 to 2)"
    ]
    scores, problems = scoring.score(pair, tiny_predictions, "davis2016")
    assert scores is not None and problems == []


def test_two_frames_have_nothing_to_score(tiny_root, tiny_predictions):
    for kind in ("JPEGImages", "Annotations"):
        for path in (tiny_root / kind / "480p/pair").glob("0000[2-9].*"):
            path.unlink()
    for path in (tiny_predictions / "pair").glob("0000[2-9].*"):
        path.unlink()
    (video,) = davis.read_split(tiny_root, "davis2017", "val")
    scores, problems = scoring.score(video, tiny_predictions, "davis2017")
    assert problems == [] and scores.j.shape == (2, 0)


def test_the_archive_is_what_the_server_wants(pair, tiny_predictions, tmp_path):
    archive = tmp_path / "submission.zip"
    with pytest.raises(InputError, match="2 of 6 files are missing .00000.png, 00005.png."):
        scoring.zip_predictions([pair], tiny_predictions, archive)
    assert not archive.exists()
    for frame in (0, 5):
        Image.new("L", (60, 40)).save(tiny_predictions / "pair" / f"{frame:05}.png")
    scoring.zip_predictions([pair], tiny_predictions, archive)
    first = archive.read_bytes()
    with zipfile.ZipFile(archive) as packed:
        assert packed.namelist() == [f"pair/{frame:05}.png" for frame in range(6)]
        for name in packed.namelist():
            assert packed.read(name) == (tiny_predictions / name).read_bytes()
    scoring.zip_predictions([pair], tiny_predictions, archive)
    assert archive.read_bytes() == first
