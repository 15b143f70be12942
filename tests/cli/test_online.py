"""`ranet segment --online` and `ranet evaluate --online` with a real, small network."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from ranet_jax.checkpoints import checkpoint
from ranet_jax.cli import main as cli
from ranet_jax.demo.clip import render_clip
from ranet_jax.evaluation.report import report
from ranet_jax.evaluation.report.run import read_run
from ranet_jax.io.masks import read_mask, write_mask

VIDEOS = ("first", "second")
SIZE = ("--size", "96x160")


@pytest.fixture(scope="module")
def work(tmp_path_factory, small):
    """A DAVIS-2016 root of two short videos of different sizes, and a checkpoint."""
    folder = tmp_path_factory.mktemp("work")
    for name, width in zip(VIDEOS, (170, 128), strict=True):
        clip = render_clip(4, 96, width)
        images, labels = (folder / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for index, (frame, mask) in enumerate(zip(clip.frames, clip.labels, strict=True)):
            Image.fromarray(frame).save(images / f"{index:05d}.jpg")
            write_mask(labels / f"{index:05d}.png", mask)
    lists = folder / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n".join(VIDEOS) + "\n")
    # Without correlation there is less to compile.
    checkpoint.save(folder / "checkpoint", *small(correlation=False), trained=True)
    return folder


def evaluate(work, out, *more) -> int:
    words = ["evaluate", "--dataset", "davis2016", "--root", work, "--processes", 1, "--out", out]
    words += SIZE
    return cli.main([*map(str, words), "--checkpoint", str(work / "checkpoint"), *map(str, more)])


def segment(work, out, *more) -> int:
    frames = work / "JPEGImages" / "480p" / "first"
    mask = work / "Annotations" / "480p" / "first" / "00000.png"
    words = ["segment", frames, "--mask", mask, "--out", out, *SIZE]
    return cli.main([*map(str, words), "--checkpoint", str(work / "checkpoint"), *map(str, more)])


def predictions(folder) -> list[np.ndarray]:
    return [read_mask(folder / f"{index:05d}.png") for index in range(4)]


@pytest.mark.slow
def test_evaluate_adapts_to_every_video_and_resumes(work, tmp_path, capsys):
    out = tmp_path / "online"
    words = ("--online", 2, "--online-lr", 1e-2)
    assert evaluate(work, out, *words) == 0
    printed = capsys.readouterr().out
    for name in VIDEOS:
        assert re.search(rf"{name}: \d+\.\d s of online learning", printed)
    assert re.search(r"ms a frame, \d+\.\d of them for online learning", printed)

    results = json.loads((out / "results.json").read_text())
    expected = {"iterations": 2, "learning_rate": 1e-2, "batch_size": 2}
    assert results["settings"]["online"] == expected
    speed = results["speed"]
    times = [json.loads((out / f"sequences/{name}.timing.json").read_text()) for name in VIDEOS]
    steps = sum(t["seconds"] for t in times) / sum(t["frames"] for t in times)
    online = sum(t["online_seconds"] for t in times) / 6
    assert speed["milliseconds_per_frame"] == pytest.approx(1000 * (steps + online))
    assert speed["online_milliseconds_per_frame"] == pytest.approx(1000 * online)
    # Table 6 is about the whole network, which this one is not for want of correlation.
    run = dataclasses.replace(read_run(out), ablations=())
    table = report.tables([run])[5]
    assert [row.cells[0] for row in table.rows if row.ours] == ["2"]

    # The second video again, alone, as after an interruption.
    tables = {path: path.read_bytes() for path in out.glob("*.csv")}
    before = predictions(out / "predictions" / "second")
    shutil.rmtree(out / "predictions" / "second")
    for path in (out / "sequences").glob("second.*"):
        path.unlink()
    assert evaluate(work, out, *words) == 0
    assert "first: " not in capsys.readouterr().out
    assert len(tables) == 2 and all(path.read_bytes() == text for path, text in tables.items())
    for old, new in zip(before, predictions(out / "predictions" / "second"), strict=True):
        np.testing.assert_array_equal(old, new)

    for other in (("--online", 3), ("--online", 0), ("--online", 2, "--online-lr", 1e-3)):
        assert evaluate(work, out, *other) == 2
        assert "an evaluation with another settings" in capsys.readouterr().err

    # The same video by itself, through the other command.
    assert segment(work, tmp_path / "segmented", *words) == 0
    assert re.search(r"2 iterations of online learning in \d+\.\d s", capsys.readouterr().out)
    assert segment(work, tmp_path / "offline") == 0
    assert "online" not in capsys.readouterr().out
    one, other = (predictions(tmp_path / name) for name in ("segmented", "offline"))
    for mine, theirs in zip(one, predictions(out / "predictions" / "first"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--online", "5", "--batch", "2"), "one video at a time: leave --batch away"),
        (("--online", "5", "--predictions", "folder"), "leave out --predictions"),
    ],
)
def test_what_does_not_go_with_online(work, tmp_path, capsys, words, sentence):
    common = ["evaluate", "--dataset", "davis2016", "--root", str(work), "--out", str(tmp_path)]
    source = [] if "--predictions" in words else ["--checkpoint", str(work / "checkpoint")]
    assert cli.main([*common, *source, *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [("--online", "-1"), ("--online", "1.5"), ("--online-lr", "0"), ("--online-batch", "0")],
)
@pytest.mark.parametrize("command", [evaluate, segment])
def test_numbers_out_of_range(work, tmp_path, capsys, command, words):
    with pytest.raises(SystemExit) as stopped:
        command(work, tmp_path / "out", *words)
    assert stopped.value.code == 2
    assert f"{words[1]!r} is not a" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--online-lr", "1e-4"), ("--online-batch", "2")])
@pytest.mark.parametrize("command", [evaluate, segment])
def test_settings_of_online_learning_without_it(work, tmp_path, capsys, command, words):
    assert command(work, tmp_path / "out", *words) == 2
    assert "change nothing without --online:" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))
