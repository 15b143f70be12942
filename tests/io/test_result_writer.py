import os
import threading

import av
import numpy as np
import pytest

from ranet_jax.errors import InputError
from ranet_jax.io import result_writer as writers
from ranet_jax.io.result_writer import result_writer
from ranet_jax.io.video_reader import open_video

FRAME = np.full((16, 16, 3), 90, np.uint8)
LABELS = np.zeros((16, 16), np.int32)


def test_writing_waits_when_the_disk_is_slow(tmp_path, monkeypatch):
    gate, started = threading.Event(), []

    def slow(path, labels):
        gate.wait(30)
        started.append(path.name)

    monkeypatch.setattr(writers, "write_mask", slow)
    handed_over = []

    def work():
        with result_writer(tmp_path) as writer:
            for index in range(30):
                writer.write(f"{index}", FRAME, LABELS, {})
                handed_over.append(index)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join(0.3)
    assert worker.is_alive()
    assert len(handed_over) == 8
    gate.set()
    worker.join(30)
    assert not worker.is_alive()
    assert sorted(started, key=lambda name: int(name[:-4])) == [
        f"{index}.png" for index in range(30)
    ]


def test_a_failure_in_a_thread_ends_the_context(tmp_path, monkeypatch):
    def broken(path, labels):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(writers, "write_mask", broken)
    with pytest.raises(RuntimeError, match="a mistake of ours"), result_writer(tmp_path) as writer:
        writer.write("0", FRAME, LABELS, {})


def test_a_disk_failure_is_bad_input(tmp_path, monkeypatch):
    def denied(path, labels):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(writers, "write_mask", denied)
    with (
        pytest.raises(InputError, match="Permission denied"),
        result_writer(tmp_path, overlay_fps=10) as writer,
    ):
        writer.write("0", FRAME, LABELS, {})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("codecs", [writers._CODECS, writers._CODECS[1:]])
@pytest.mark.parametrize("fps", [0.1, 23.976, 30, 1000])
def test_the_overlay_keeps_order_and_speed(tmp_path, monkeypatch, codecs, fps):
    monkeypatch.setattr(writers, "_CODECS", codecs)
    with result_writer(tmp_path, overlay_fps=fps) as writer:
        for index in range(10):
            writer.write(
                f"{index}", np.full((17, 31, 3), 20 * index, np.uint8), np.zeros((17, 31), int), {}
            )
        assert not (tmp_path / "overlay.mp4").exists()
    video = open_video(tmp_path / "overlay.mp4")
    assert (video.height, video.width, video.length) == (18, 32, 10)
    assert video.fps == pytest.approx(min(max(fps, 1), 120), rel=1e-3)
    brightness = [frame.mean() for _, frame in video]
    np.testing.assert_allclose(brightness, 20 * np.arange(10), atol=6)


def test_a_missing_encoder_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "_CODECS", (("no-such-encoder", {}), *writers._CODECS[1:]))
    with result_writer(tmp_path, overlay_fps=10) as writer:
        writer.write("0", FRAME, LABELS, {})
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
