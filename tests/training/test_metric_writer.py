"""Lines, timer and curve: what a run leaves to read."""

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from ranet_jax.training import metric_writer


def test_lines_after_a_step_are_forgotten_and_torn_ones_never_counted(tmp_path):
    lines = metric_writer.JsonlWriter(tmp_path / "metrics.jsonl")
    assert lines.read() == []
    for step in (0, 2, 4, 6):
        lines.append({"step": step, "loss": 1 / 3 + step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "lo')
    assert [record["step"] for record in lines.read()] == [0, 2, 4, 6]
    lines.cut(4)
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 3
    lines.append({"step": 5})
    assert lines.read()[1:] == [{"step": 2, "loss": 1 / 3 + 2}, {"step": 4, "loss": 1 / 3 + 4}] + [
        {"step": 5}
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_the_timer_counts_steps_alone():
    now = iter([10.0, 13.0, 14.0, 20.0, 20.0, 25.0, 25.0])
    timer = metric_writer.StepTimer(now=lambda: next(now))
    assert timer.seconds_a_step() is None and not timer.started
    timer.start()
    assert timer.seconds_a_step() is None
    timer.step()
    with timer.paused():  # from 13 to 14
        pass
    timer.step()
    assert timer.seconds_a_step() == pytest.approx((20 - 10 - 1) / 2)
    timer.step()
    assert timer.seconds_a_step() == pytest.approx(5), "counted anew"


def test_the_curve_is_a_plot_of_loss_and_j(tmp_path):
    losses = [{"step": step, "loss": np.exp(-step / 5)} for step in range(1, 20)]
    scores = [{"step": step, "eval/J": step / 20} for step in (0, 10, 19)]
    for name, records in (("loss.png", losses), ("both.png", losses + scores)):
        metric_writer.draw_curve(records, tmp_path / name)
    alone, both = (np.asarray(Image.open(tmp_path / n)) for n in ("loss.png", "both.png"))
    assert alone.shape == both.shape and (alone != both).any()

    def shows(image, color):
        return (np.abs(image[..., :3].astype(int) - color).max(axis=-1) < 30).any()

    red = (0xD1, 0x49, 0x5B)
    assert shows(both, red) and not shows(alone, red)


def test_a_log_goes_on_after_the_step_it_is_told(tmp_path, capsys):
    def open_log(first, **more):
        return metric_writer.Log(tmp_path, name="run", first=first, steps=10, **more)

    with open_log(0) as log:
        for step in (2, 4, 6):
            log.write(step, {"loss": step / 10})
        log.show(6, {"loss": 0.6, "gradient_norm": 3.0}, 2.0)
    assert "step 6/10: loss 0.6, 0:00:08 left" in capsys.readouterr().out
    with open_log(4) as log:
        log.write(4, {"eval/J": 0.5})
        assert log.evaluated(4) and not log.evaluated(2)
    text = (tmp_path / "metrics.jsonl").read_text()
    steps = [json.loads(line)["step"] for line in text.splitlines()]
    assert steps == [2, 4, 4]


def test_the_curve_is_drawn_from_time_to_time_and_at_the_end(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(metric_writer.time, "monotonic", lambda: now)
    curve = tmp_path / "curve.png"
    with metric_writer.Log(tmp_path, name="run", first=0, steps=10) as log:
        log.draw_curve(last=True)
        assert not curve.exists(), "there is nothing to draw"
        log.write(2, {"loss": 0.5})
        log.draw_curve(last=False)
        assert not curve.exists()
        now = 31.0
        log.draw_curve(last=False)
        first = curve.read_bytes()
        log.write(4, {"loss": 0.1})
        log.draw_curve(last=False)
        assert curve.read_bytes() == first
        log.draw_curve(last=True)
        assert curve.read_bytes() != first


def test_other_processes_write_nothing(tmp_path, capsys):
    with metric_writer.Log(tmp_path, name="run", first=0, steps=10, active=False) as log:
        log.write(2, {"loss": 1.0})
        log.show(2, {"loss": 1.0}, 1.0)
        log.overview({"kernel": np.zeros(3)})
        log.draw_curve(last=True)
        log.advance()
    assert list(tmp_path.iterdir()) == []
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_the_overview_counts_parameters(tmp_path, capsys):
    with metric_writer.Log(tmp_path, name="run", first=0, steps=1) as log:
        log.overview({"conv": {"kernel": np.zeros((3, 3, 2, 5)), "bias": np.zeros(5)}})
    out = capsys.readouterr().out
    assert "conv/kernel" in out and "Total: 95" in out


def test_without_tensorboard_that_is_said_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with metric_writer.Log(tmp_path, name="run", first=0, steps=1) as log:
        log.write(1, {"loss": 1.0})
    out = capsys.readouterr().out
    assert out.count("tensorboardX is not installed") == 1
    assert not (tmp_path / "tensorboard").exists()


def test_with_tensorboard_its_files_are_written(tmp_path):
    pytest.importorskip("tensorboardX")
    with metric_writer.Log(tmp_path, name="run", first=0, steps=1) as log:
        log.write(1, {"loss": 1.5, "eval/J": 0.25})
    (path,) = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    assert list(scalars(path.read_bytes())) == [(1, "loss", 1.5), (1, "eval/J", 0.25)]


def scalars(content: bytes):
    """Step, name and value of every scalar in a file of events."""
    from tensorboardX.proto.event_pb2 import Event

    while content:
        length = int.from_bytes(content[:8], "little")  # a checksum of 4 bytes follows
        event = Event.FromString(content[12 : 12 + length])
        yield from ((event.step, value.tag, value.simple_value) for value in event.summary.value)
        content = content[16 + length :]  # a checksum again
