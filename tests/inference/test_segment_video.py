"""Whole runs: a video and a mask in, files out."""

import json
import os
import threading

import av
import numpy as np
import pytest
from PIL import Image
from shifting_segmenter import ShiftingSegmenter, no_network
from small_videos import first_mask, frames, make_folder, make_video, message_of, read_all

from ranet_jax.errors import InputError
from ranet_jax.inference.video import segment_video
from ranet_jax.io.masks import read_mask, write_mask
from ranet_jax.io.video_reader import open_video


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


def moved(mask, columns):
    return np.roll(mask, columns, axis=1)


def test_backwards_from_the_last_mask_too(tmp_path):
    """Frames 0 and 1 lie before the first mask, frame 4 is nearer to the second, 3 is midway."""
    path = make_video(tmp_path / "video.mp4", frames(7))
    early, late = first_mask(), np.where(moved(first_mask(), 9) == 1, 2, 0)
    masks, out = {"00002": early, "00005": late}, tmp_path / "out"
    asked = {"reverse": True, "overlay": True, "coco_rle": True, "progress": False}
    summary = segment_video(ShiftingSegmenter(), path, masks, out, **asked)
    assert summary.frames == 7
    complete = np.where(late > 0, late, moved(early, 3))
    expected = [moved(early, 2), moved(early, 1), early, moved(early, 1)]
    expected += [moved(complete, 1), complete, moved(complete, 1)]
    for index, labels in enumerate(expected):
        np.testing.assert_array_equal(read_mask(out / f"{index:05d}.png"), labels, str(index))
    assert len(read_all(out / "overlay.mp4")) == 7
    content = json.loads((out / "coco.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [f"{i:05d}" for i in range(7)]


def test_cut_outs_and_the_rate_of_the_overlay(tmp_path):
    folder = make_folder(tmp_path / "video", frames(2))
    asked = {"rgba": True, "overlay": True, "fps": 7, "progress": False}
    segment_video(ShiftingSegmenter(), folder, first_mask(), tmp_path / "out", **asked)
    with Image.open(tmp_path / "out" / "rgba" / "00001.png") as image:
        assert image.mode == "RGBA"
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels[..., :3], frames(2)[1])
    np.testing.assert_array_equal(pixels[..., 3], 255 * (moved(first_mask(), 1) > 0))
    assert open_video(tmp_path / "out" / "overlay.mp4").fps == 7


@pytest.mark.parametrize(
    ("masks", "more", "message"),
    [
        ({"0": first_mask()}, {}, "named as the mask 0: they are 00000 to 00001"),
        ({"00001": first_mask(40, 50)}, {}, "mask of frame 00001 is 50x40"),
        ({"00000": first_mask()}, {"removed": {"7": [1]}}, "named as the removal 7"),
        (first_mask(), {"removed": {"00001": [1]}, "reverse": True}, "forwards only"),
    ],
)
def test_masks_and_removals_that_cannot_be_are_refused_first(tmp_path, masks, more, message):
    folder = make_folder(tmp_path / "video", frames(2))
    arguments = (no_network(), folder, masks, tmp_path / "out")
    assert message in message_of(segment_video, *arguments, **more)
    assert not (tmp_path / "out").exists()


def test_a_removed_object_is_gone_from_its_frame_on(tmp_path):
    folder = make_folder(tmp_path / "video", frames(4))
    out, removed = tmp_path / "out", {"00002": [7]}
    arguments = (ShiftingSegmenter(), folder, first_mask(), out)
    segment_video(*arguments, removed=removed, progress=False)
    shown = [set(np.unique(read_mask(out / f"{index:05d}.png"))) for index in range(4)]
    assert shown == [{0, 1, 7}, {0, 1, 7}, {0, 1}, {0, 1}]
