"""Files from a browser: names, sizes and what becomes a clip."""

import io

import numpy as np
import pytest
from PIL import Image
from small_videos import frames, make_video

from ranet_jax.errors import InputError
from ranet_jax.io.masks import encode_mask
from ranet_jax.web.clip import Budget, open_upload, read_truth, save_uploads


def jpeg(height=48, width=64) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def save(folder, **files) -> list:
    given = [(name.replace("_", "."), io.BytesIO(data)) for name, data in files.items()]
    return save_uploads(given, folder / "upload")


def opened(tmp_path, paths, limit=1 << 20):
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return open_upload(paths, work, Budget(limit))


@pytest.mark.parametrize(
    "name", ["../../a.jpg", "/etc/a.jpg", "..\\a.jpg", "C:\\x\\a.jpg", ".a.jpg"]
)
def test_a_name_leads_nowhere_else(tmp_path, name):
    (path,) = save_uploads([(name, io.BytesIO(b"x"))], tmp_path / "upload")
    assert path == tmp_path / "upload" / "a.jpg"


@pytest.mark.parametrize("name", ["", "..", "/"])
def test_a_name_that_is_none_gets_one(tmp_path, name):
    (path,) = save_uploads([(name, io.BytesIO(b"x"))], tmp_path / "upload")
    assert path.parent == tmp_path / "upload" and path.is_file()


def test_two_files_of_one_name(tmp_path):
    with pytest.raises(InputError, match=r"Two files are named a\.jpg"):
        save_uploads([("x/a.jpg", io.BytesIO()), ("y/a.jpg", io.BytesIO())], tmp_path / "upload")


def test_images_are_a_clip_in_their_order(tmp_path):
    paths = save(tmp_path, f10_jpg=jpeg(), f9_jpg=jpeg())
    clip = opened(tmp_path, paths)
    assert clip.names == ["f9", "f10"] and clip.source is None
    assert clip.video.files == tuple(sorted(paths, reverse=True))


def test_the_frames_of_a_video_become_files(tmp_path):
    paths = save(tmp_path, clip_mp4=make_video(tmp_path / "x.mp4", frames(3)).read_bytes())
    clip = opened(tmp_path, paths)
    assert clip.source == "clip.mp4" and clip.names == ["00000", "00001", "00002"]
    assert all(file.parent == tmp_path / "work" for file in clip.video.files)
    with pytest.raises(InputError, match="take more than 0 MB"):
        opened(tmp_path, paths, limit=100)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a_jpg": jpeg(), "b_jpg": jpeg(40)}, "Frame b.jpg is 64x40 pixels and the first is"),
        ({"a_jpg": jpeg(), "b_jpg": b"no image"}, "b.jpg cannot be read"),
        ({"a_txt": b"", "b_txt": b""}, "holds no frames"),
    ],
)
def test_files_that_are_no_clip(tmp_path, files, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        opened(tmp_path, save(tmp_path, **files))
    assert str(tmp_path) not in str(caught.value)


def test_known_masks_are_found_by_their_names(tmp_path):
    mask = np.eye(5, dtype=np.int32)
    paths = save(tmp_path, f9_png=encode_mask(mask))
    masks = read_truth(paths, ["f8", "f9"])
    assert list(masks) == [1]
    np.testing.assert_array_equal(masks[1], mask)
    with pytest.raises(InputError, match=r"f9\.png is named as no frame: they are a to b"):
        read_truth(paths, ["a", "b"])
