import os
import struct
import threading
import time

import av
import numpy as np
import pytest
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.masks import read_mask, write_mask
from ranet_jax.video import open_video, segment_video

HEIGHT, WIDTH = 48, 64


class ShiftingSegmenter:
    """Stands for the network: every step moves the labels one pixel to the right."""

    def __init__(self, fail_at=None, error=RuntimeError):
        self.seen, self.fail_at, self.error = [], fail_at, error

    def init(self, frame, mask):
        self.labels = mask
        self.seen.append(frame)

    def step(self, frame):
        if len(self.seen) == self.fail_at:
            raise self.error("stopped")
        self.seen.append(frame)
        self.labels = np.roll(self.labels, 1, axis=1)
        return self.labels

    def probability_maps(self):
        present = np.unique(self.labels[self.labels > 0])
        return {int(i): (self.labels == i).astype(np.float32) * 0.5 for i in present}


def frames(count, height=HEIGHT, width=WIDTH):
    down, right = np.mgrid[:height, :width]
    ramp = [np.stack([3 * right % 256, 4 * down % 256, 0 * down + 9 * t], -1) for t in range(count)]
    return np.array(ramp).astype(np.uint8)


def first_mask(height=HEIGHT, width=WIDTH):
    labels = np.zeros((height, width), np.int32)
    labels[10:20, 5:15] = 1
    labels[25:40, 20:40] = 7
    return labels


def make_folder(path, images, names=None, suffix=".png"):
    path.mkdir()
    for index, image in enumerate(images):
        name = names[index] if names else f"{index:05d}"
        Image.fromarray(image).save(path / f"{name}{suffix}")
    return path


def make_video(path, images, *, codec="mpeg4", rate=12, pixels="yuv420p"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], pixels
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def message_of(call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def read_all(path):
    return list(open_video(path))


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
    (_, colour), (_, turned) = read_all(folder)
    assert colour.shape == turned.shape == (20, 30, 3)
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


def test_results_are_named_as_the_frames(tmp_path):
    folder = make_folder(tmp_path / "video", frames(5), [f"shot{i}" for i in range(5)], ".jpg")
    segmenter = ShiftingSegmenter()
    summary = segment_video(segmenter, folder, first_mask(), tmp_path / "a" / "out", progress=False)
    assert sorted(os.listdir(tmp_path / "a" / "out")) == [f"shot{i}.png" for i in range(5)]
    for index in range(5):
        found = read_mask(tmp_path / "a" / "out" / f"shot{index}.png")
        np.testing.assert_array_equal(found, np.roll(first_mask(), index, axis=1))
    np.testing.assert_array_equal(segmenter.seen, [frame for _, frame in read_all(folder)])
    assert summary.frames == 5
    assert summary.seconds > 0
    assert summary.frames_per_second > 0


def test_overlay_and_probabilities(tmp_path):
    folder = make_folder(tmp_path / "video", frames(5, 47, 63))
    mask = first_mask(47, 63)
    write_mask(tmp_path / "mask.png", mask)
    out = tmp_path / "out"
    asked = {"overlay": True, "probabilities": True, "progress": False}
    segment_video(ShiftingSegmenter(), folder, tmp_path / "mask.png", out, **asked)
    assert sorted(os.listdir(out / "probabilities")) == ["1", "7"]
    with Image.open(out / "probabilities" / "7" / "00002.png") as image:
        assert image.mode == "L"
        expected = np.where(np.roll(mask, 2, axis=1) == 7, 128, 0)
        np.testing.assert_array_equal(np.asarray(image), expected)
    movie = read_all(out / "overlay.mp4")
    assert len(movie) == 5
    assert movie[0][1].shape == (48, 64, 3)  # an odd size is made even
    with av.open(str(out / "overlay.mp4")) as container:
        assert container.streams.video[0].format.name == "yuv420p"
    # Object 1 is red in its middle, and the background is as it was.
    red = movie[0][1][12:18, 7:13].reshape(-1, 3).mean(0) - frames(1)[0][12:18, 7:13].mean((0, 1))
    assert red[0] > 60
    corner = movie[0][1][:8, 50:62].astype(int) - frames(1)[0][:8, 50:62]
    assert np.abs(corner).mean() < 12


def test_a_video_file_in_gives_numbered_masks(tmp_path):
    path = make_video(tmp_path / "video.mp4", frames(4), rate=12)
    out = tmp_path / "out"
    segment_video(ShiftingSegmenter(), path, first_mask(), out, overlay=True, progress=False)
    assert sorted(os.listdir(out)) == [*(f"{i:05d}.png" for i in range(4)), "overlay.mp4"]
    assert open_video(out / "overlay.mp4").fps == 12


@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_videos(tmp_path, count):
    folder = make_folder(tmp_path / "video", frames(count))
    out = tmp_path / "out"
    summary = segment_video(ShiftingSegmenter(), folder, first_mask(), out, progress=False)
    assert (summary.frames, summary.frames_per_second) == (count, None)
    assert len(os.listdir(out)) == count


def test_the_progress_bar_tells_the_speed(tmp_path, capsys):
    folder = make_folder(tmp_path / "video", frames(3))
    segment_video(ShiftingSegmenter(), folder, first_mask(), tmp_path / "out")
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "frame/s" in shown


def no_network():
    segmenter = ShiftingSegmenter()
    segmenter.init = lambda *_: pytest.fail("something was computed")
    return segmenter


def test_a_mask_of_another_size_is_refused_first(tmp_path):
    folder = make_folder(tmp_path / "video", frames(2))
    write_mask(tmp_path / "mask.png", first_mask(40, 50))
    arguments = (no_network(), folder, tmp_path / "mask.png", tmp_path / "out")
    message = message_of(segment_video, *arguments)
    assert "50x40" in message
    assert "64x48" in message
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_is_refused_first(tmp_path):
    folder = make_folder(tmp_path / "video", frames(2))
    (tmp_path / "file").write_text("")
    arguments = (no_network(), folder, first_mask(), tmp_path / "file" / "out")
    assert "Cannot write" in message_of(segment_video, *arguments)


def test_the_frames_are_never_overwritten(tmp_path):
    folder = make_folder(tmp_path / "video", frames(2))
    arguments = (no_network(), folder, first_mask(), tmp_path / "out" / ".." / "video")
    assert "holds the frames" in message_of(segment_video, *arguments)
    np.testing.assert_array_equal(read_all(folder)[0][1], frames(2)[0])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_a_stopped_run_leaves_whole_files_only(tmp_path, error):
    folder = make_folder(tmp_path / "video", frames(20))
    out = tmp_path / "out"
    segmenter = ShiftingSegmenter(fail_at=12, error=error)
    with pytest.raises(error):
        segment_video(segmenter, folder, first_mask(), out, overlay=True, progress=False)
    written = sorted(os.listdir(out))
    assert 4 <= len(written) <= 12
    for name in written:  # neither an overlay nor temporary files
        found = read_mask(out / name)
        np.testing.assert_array_equal(found, np.roll(first_mask(), int(name[:5]), axis=1))
    busy = [t.name for t in threading.enumerate() if t.name.startswith(("decode", "write"))]
    assert not busy


def test_a_stop_before_the_first_frame_leaves_no_overlay(tmp_path):
    folder = make_folder(tmp_path / "video", frames(2))
    segmenter = ShiftingSegmenter()
    segmenter.init = lambda *_: (_ for _ in ()).throw(InputError("No."))
    with pytest.raises(InputError, match="No"):
        segment_video(segmenter, folder, first_mask(), tmp_path / "out", overlay=True)
    assert not os.listdir(tmp_path / "out")


def test_an_unreadable_frame_stops_the_run_and_keeps_what_is_done(tmp_path):
    folder = make_folder(tmp_path / "video", frames(12), suffix=".jpg")
    broken = folder / "00009.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    out = tmp_path / "out"
    arguments = (ShiftingSegmenter(), folder, first_mask(), out)
    message = message_of(segment_video, *arguments, overlay=True, progress=False)
    assert str(broken) in message
    assert all(name.endswith(".png") and name < "00009" for name in os.listdir(out))


def test_a_result_that_cannot_be_written_stops_the_run(tmp_path):
    folder = make_folder(tmp_path / "video", frames(40))
    out = tmp_path / "out"
    (out / "00003.png").mkdir(parents=True)  # no file can take this name
    segmenter = ShiftingSegmenter()
    assert "Cannot write" in message_of(segment_video, segmenter, folder, first_mask(), out)
    assert len(segmenter.seen) < 40
    assert not [name for name in os.listdir(out) if name.endswith(".part")]


def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "video", frames(3))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    message = message_of(
        segment_video, ShiftingSegmenter(), folder, first_mask(), tmp_path / "out", progress=False
    )
    assert "No space left on device" in message
    assert not os.listdir(tmp_path / "out")


def test_real_frames_and_masks_go_through(tmp_path, data_dir):
    bear = data_dir / "DAVIS/JPEGImages/480p/bear"
    source = tmp_path / "bear"
    source.mkdir()
    for index in range(4):
        (source / f"{index:05d}.jpg").write_bytes((bear / f"{index:05d}.jpg").read_bytes())
    mask = data_dir / "DAVIS/Annotations/480p/bear/00000.png"
    out = tmp_path / "out"
    segment_video(ShiftingSegmenter(), source, mask, out, overlay=True, progress=False)
    np.testing.assert_array_equal(read_mask(out / "00000.png"), read_mask(mask))
    assert read_mask(out / "00003.png").shape == (480, 854)
    assert len(read_all(out / "overlay.mp4")) == 4


def test_results_are_palette_pngs(tmp_path):
    folder = make_folder(tmp_path / "video", frames(1))
    segment_video(ShiftingSegmenter(), folder, first_mask(), tmp_path / "out", progress=False)
    with Image.open(tmp_path / "out" / "00000.png") as image:
        assert (image.format, image.mode) == ("PNG", "P")
