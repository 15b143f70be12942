"""Frames out of folders and video files."""

import re
import struct
import threading
import time

import av
import numpy as np
import pytest
from PIL import Image
from small_videos import HEIGHT, WIDTH, frames, make_folder, make_video, message_of, read_all

from ranet_jax.io.video_reader import open_video


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".PNG"])
def test_a_folder_gives_its_frames(tmp_path, suffix):
    folder = make_folder(tmp_path / "video", frames(3), suffix=".png")
    (folder / "notes.txt").write_text("not a frame")
    (folder / ".hidden.png").write_text("not a frame")
    for file in folder.glob("[0-9]*.png"):
        with Image.open(file) as image:
            image.load()
        file.unlink()
        image.save(file.with_suffix(suffix), **({"lossless": True} if suffix == ".webp" else {}))
    video = open_video(folder)
    assert (video.length, video.height, video.width, video.fps) == (3, HEIGHT, WIDTH, None)
    for _ in range(2):  # again and again
        names, images = zip(*video, strict=True)
        assert names == ("00000", "00001", "00002")
        np.testing.assert_array_equal(images, frames(3))


def test_frames_come_in_natural_order(tmp_path):
    names = ["f10", "f9", "F1", "f2b", "f2a"]
    folder = make_folder(tmp_path / "video", frames(5), names)
    assert [name for name, _ in read_all(folder)] == ["F1", "f2a", "f2b", "f9", "f10"]


def test_a_folder_of_jpegs_is_upright_rgb(tmp_path):
    folder = make_folder(tmp_path / "video", frames(1, 20, 30), suffix=".jpg")
    grey = Image.fromarray(frames(1, 30, 20)[0]).convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    grey.save(folder / "00001.jpg", exif=exif)
    (_, color), (_, turned) = read_all(folder)
    assert color.shape == turned.shape == (20, 30, 3)
    # Orientation 6 asks for a quarter turn clockwise.
    with Image.open(folder / "00001.jpg") as stored:
        np.testing.assert_array_equal(turned[..., 0], np.rot90(np.asarray(stored), -1))


def test_16_bit_frames_keep_their_brightness(tmp_path):
    folder = tmp_path / "video"
    folder.mkdir()
    values = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    Image.fromarray(values).save(folder / "0.png")
    ((_, frame),) = read_all(folder)
    np.testing.assert_array_equal(frame[..., 1], values >> 8)


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [(".mp4", "mpeg4", "yuv420p"), (".webm", "libvpx-vp9", "yuv420p"), (".gif", "gif", "rgb8")],
)
def test_a_video_file_gives_its_frames(tmp_path, suffix, codec, pixels):
    path = make_video(tmp_path / f"video{suffix}", frames(6), codec=codec, pixels=pixels, rate=10)
    video = open_video(path)
    assert (video.height, video.width) == (HEIGHT, WIDTH)
    assert video.length in (6, None)
    assert video.fps == pytest.approx(10, rel=0.02)
    names, images = zip(*video, strict=True)
    assert names == tuple(f"{index:05d}" for index in range(6))
    assert images[0].dtype == np.uint8
    assert images[0].flags.c_contiguous
    error = np.abs(np.array(images, int)[:, ::4, ::4] - frames(6)[:, ::4, ::4]).mean()
    assert error < (40 if suffix == ".gif" else 12)


@pytest.mark.parametrize(("matrix", "turns"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2)])
def test_the_display_matrix_of_a_video_is_applied(tmp_path, matrix, turns):
    path = make_video(tmp_path / "video.mp4", frames(2))
    (_, plain), *_ = read_all(path)
    stored = bytearray(path.read_bytes())
    # The matrix of the track header (ISO 14496-12, version 0) begins 44 bytes after its name.
    at = stored.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    stored[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(stored)
    video = open_video(path)
    assert (video.height, video.width) == np.rot90(plain, turns).shape[:2]
    for _, frame in video:
        assert frame.shape == np.rot90(plain, turns).shape
    np.testing.assert_array_equal(read_all(path)[0][1], np.rot90(plain, turns))


def test_decoding_runs_only_a_few_frames_ahead(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "video", frames(30))
    decoded = []
    read = Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda *a: decoded.append(1) or read(*a))
    video = iter(open_video(folder))
    next(video)
    time.sleep(0.2)
    assert 2 <= len(decoded) <= 8
    video.close()
    assert not [thread for thread in threading.enumerate() if "decode" in thread.name]


def test_nothing_at_the_path(tmp_path):
    assert "There is no video" in message_of(open_video, tmp_path / "none.mp4")


def test_a_folder_without_frames(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert "holds no frames" in message_of(open_video, tmp_path)


def test_two_frames_of_one_name(tmp_path):
    folder = make_folder(tmp_path / "video", frames(2))
    Image.fromarray(frames(1)[0]).save(folder / "00001.jpg")
    assert "frame 00001 in more than one format" in message_of(open_video, folder)


@pytest.mark.parametrize("content", [b"", b"plain text\n" * 50, b"\x00\x00\x00\x18ftypmp42" * 9])
@pytest.mark.parametrize("name", ["video.mp4", "video.txt", "video"])
def test_a_file_that_is_no_video(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    assert str(tmp_path / name) in message_of(open_video, tmp_path / name)


def test_a_file_with_sound_only(tmp_path):
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    assert "no video stream" in message_of(open_video, tmp_path / "sound.wav")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_video_file_without_frames(tmp_path, suffix):
    path = tmp_path / f"video{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        container.start_encoding()
    assert str(path) in message_of(open_video, path)


def test_a_truncated_video_says_how_far_it_goes(tmp_path):
    path = make_video(tmp_path / "video.mp4", frames(12))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "video.mp4" in message_of(lambda: read_all(path))


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
@pytest.mark.parametrize("keep", [0.4, 0.7])
def test_frames_that_the_header_promises_are_missed(tmp_path, suffix, keep):
    noise = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)
    path = make_video(tmp_path / f"video{suffix}", noise)
    assert len(read_all(path)) == 12
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    message = message_of(lambda: read_all(path))
    assert re.search(r"is cut off: it ends after \d+ .* its header promises", message)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("at", [0, 2])
def test_a_truncated_frame_is_named(tmp_path, suffix, at):
    folder = make_folder(tmp_path / "video", frames(3), suffix=suffix)
    file = folder / f"0000{at}{suffix}"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert str(file) in message_of(lambda: read_all(folder))


def test_a_frame_of_another_size_is_named(tmp_path):
    folder = make_folder(tmp_path / "video", [*frames(2), *frames(1, 20, 30)])
    message = message_of(lambda: read_all(folder))
    assert "00002" in message
    assert "30x20" in message
    assert "64x48" in message
