import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ranet_jax.cli import main as cli
from ranet_jax.errors import InputError
from ranet_jax.io.masks import read_mask, write_mask

ROOT = Path(__file__).resolve().parents[2]


class ShiftingSegmenter:
    def __init__(self, model, params, *, aggregation, memory, max_gap, size, frame_scale):
        self.made_with = (model, params, aggregation)
        MADE.append(self.made_with)

    def init(self, frame, mask):
        (self.labels,) = mask

    def step(self, frame):
        self.labels = np.roll(self.labels, 1, axis=1)
        return [self.labels]

    def probability_maps(self):
        return {1: (self.labels == 1).astype(np.float32)}


MADE = []


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """Stands in for what loads and runs a network."""
    MADE.clear()

    def load(path, precision):
        if str(path) == "broken":
            raise InputError("The checkpoint broken cannot be read.")
        return f"model of {path} in {precision}", "params"

    def convert(source, out, mode):
        return f"converted {source} to {out} for {mode}"

    monkeypatch.setattr("ranet_jax.checkpoints.checkpoint.load", load)
    monkeypatch.setattr("ranet_jax.checkpoints.checkpoint.trained_at", lambda path: {})
    monkeypatch.setattr("ranet_jax.checkpoints.convert.convert", convert)
    monkeypatch.setattr("ranet_jax.inference.segmenter.Segmenter", ShiftingSegmenter)
    monkeypatch.setattr("ranet_jax.inference.segmenter.NETWORK_SIZE", (64, 96))


@pytest.fixture
def video(tmp_path):
    folder = tmp_path / "video"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(np.full((32, 48, 3), 20 * index, np.uint8)).save(folder / f"{index}.jpg")
    labels = np.zeros((32, 48), np.uint8)
    labels[8:20, 8:20] = 1
    write_mask(tmp_path / "mask.png", labels)
    return folder


def segment(video, *more, mask="mask.png", out="out", checkpoint=("--checkpoint", "c")):
    paths = ["--mask", str(video.parent / mask), "--out", str(video.parent / out)]
    return cli.main(["segment", str(video), *paths, *checkpoint, *more])


def test_segment_writes_results(video, capsys):
    assert segment(video) == 0
    assert sorted(os.listdir(video.parent / "out")) == [f"{i}.png" for i in range(4)]
    assert MADE == [("model of c in float32", "params", None)]
    printed = capsys.readouterr().out
    assert printed.startswith("4 frames in ")
    assert "frames per second" in printed


def test_segment_passes_its_options_on(video):
    asked = ("--overlay", "--probabilities", "--combine", "argmax", "--precision", "bfloat16")
    assert segment(video, *asked) == 0
    written = set(os.listdir(video.parent / "out"))
    assert {"overlay.mp4", "probabilities"} <= written
    assert MADE == [("model of c in bfloat16", "params", "argmax")]


def spoil(video, what):
    """Makes one input bad; returns the arguments of `segment` and what its sentence must say."""
    mask = np.asarray(read_mask(video.parent / "mask.png")).astype(np.uint8)
    path = video.parent / "mask.png"
    if what == "missing mask":
        return {"mask": "none.png"}, "no mask file"
    if what == "another size":
        write_mask(path, mask[:20])
        return {}, "48x20 .* 48x32"
    if what == "anti-aliased":
        grey = Image.fromarray(mask * 255).resize((96, 64), Image.Resampling.BILINEAR)
        grey.resize((48, 32), Image.Resampling.BILINEAR).save(path)
        return {}, "smoothed edges"
    if what == "color":
        Image.fromarray(mask).convert("RGB").save(path)
        return {}, "color image"
    if what == "empty":
        write_mask(path, 0 * mask)
        return {}, "is empty"
    if what == "17 objects":
        write_mask(path, np.kron(np.arange(96).reshape(8, 12) % 18, np.ones((4, 4), int)))
        return {}, "17 objects"
    if what == "truncated":
        frame = video / "2.jpg"
        frame.write_bytes(frame.read_bytes()[:400])
        return {}, "2.jpg cannot be read"
    if what == "empty folder":
        for frame in video.iterdir():
            frame.unlink()
        return {}, "holds no frames"
    if what == "broken checkpoint":
        return {"checkpoint": ("--checkpoint", "broken")}, "checkpoint broken cannot be read"
    (video.parent / "file").write_text("")
    return {"out": "file/out"}, "Cannot write"


@pytest.mark.parametrize(
    "what",
    [
        "missing mask",
        "another size",
        "anti-aliased",
        "color",
        "empty",
        "17 objects",
        "truncated",
        "empty folder",
        "broken checkpoint",
        "unwritable",
    ],
)
def test_bad_input_is_one_sentence_and_status_two(video, capsys, what):
    arguments, sentence = spoil(video, what)
    assert segment(video, **arguments) == cli.BAD_INPUT == 2
    shown = [line for line in capsys.readouterr().err.splitlines() if "ranet: error" in line]
    assert len(shown) == 1
    assert re.search(sentence, shown[0])
    left = [p.name for p in video.parent.rglob("*.part")]
    assert not left


def test_convert_prints_its_summary(capsys):
    assert cli.main(["convert", "a.pth", "b", "--objects", "multi"]) == 0
    assert capsys.readouterr().out == "converted a.pth to b for multi\n"
    assert cli.main(["convert", "a.pth", "b"]) == 0
    assert "for single" in capsys.readouterr().out


def test_segment_and_demo_take_the_network_that_ships_unless_told(video, tmp_path, capsys):
    assert segment(video, checkpoint=()) == 0
    arguments = ["demo", "--out", str(tmp_path / "demo"), "--frames", "2"]
    assert cli.main(arguments) == 0
    assert "mean J" in capsys.readouterr().out
    assert cli.main([*arguments, "--checkpoint", "c"]) == 0
    models = [model for model, _, _ in MADE]
    shipped = "model of default in float32"
    assert models == [shipped, shipped, "model of c in float32"]


@pytest.mark.parametrize("command", sorted(cli.COMMANDS.keys() - {"data"}))
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert f"example:\n  ranet {command} " in printed


@pytest.mark.parametrize("command", sorted(cli.COMMANDS.keys() - {"data"}))
def test_the_example_is_accepted(command):
    parser = cli._parser(command)
    commands = next(a for a in parser._actions if a.choices and command in a.choices)
    words = commands.choices[command].epilog.split("\n")[1].split()
    assert words[0] == "ranet"
    arguments, rest = parser.parse_known_args(words[1:])
    assert callable(arguments.run) and (not rest or "overrides" in arguments)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["segment", "x"], ["demo", "--objects", "3"]])
def test_wrong_arguments_end_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: ranet" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_no_traceback(video, monkeypatch, capsys):
    def interrupt(self, frame):
        raise KeyboardInterrupt

    monkeypatch.setattr(ShiftingSegmenter, "step", interrupt)
    assert segment(video) == cli.INTERRUPTED == 130
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert "interrupted" in shown


def test_help_needs_no_jax():
    code = "import sys; from ranet_jax.cli.main import main\ntry: main(['--help'])\nfinally: "
    code += "assert not {'jax', 'av', 'numpy', 'PIL'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "segment" in done.stdout


SLOW_RUN = """
    import signal, sys, time, types
    import numpy as np
    from ranet_jax.cli.main import main

    # A shell's background job ignores Ctrl-C, and so would what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    class Segmenter:
        def __init__(self, *_, **__): pass
        def init(self, frame, mask): self.labels = mask
        def step(self, frame):
            time.sleep(0.02)
            return self.labels
        def probability_maps(self):
            return {1: np.full(self.labels[0].shape, 0.5, np.float32)}

    sys.modules["ranet_jax.inference.segmenter"] = types.SimpleNamespace(
        Segmenter=Segmenter, NETWORK_SIZE=(64, 96)
    )
    fake = types.SimpleNamespace(load=lambda *_, **__: (None, None), trained_at=lambda _: {})
    sys.modules["ranet_jax.checkpoints.checkpoint"] = fake
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_signal_leaves_no_half_written_file(video, number, status):
    rng = np.random.default_rng(0)
    with Image.open(video / "0.jpg") as image:
        for index in range(4, 400):
            image.save(video / f"{index}.jpg")
    labels = rng.integers(0, 2, (32, 48))
    write_mask(video.parent / "mask.png", labels)
    out = video.parent / "out"
    paths = [str(video), "--mask", str(video.parent / "mask.png"), "--out", str(out)]
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW_RUN), "segment", *paths]
        + ["--checkpoint", "c", "--overlay", "--probabilities"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (out / "9.png").exists():
            assert run.poll() is None, run.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run.send_signal(number)
        _, shown = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == status
    assert "Traceback" not in shown
    masks = sorted(out.glob("*.png"))
    assert 9 < len(masks) < 390
    for path in masks:
        np.testing.assert_array_equal(read_mask(path), labels)
    for path in out.glob("probabilities/1/*.png"):
        with Image.open(path) as image:
            assert np.asarray(image).min() == 128
    assert not (out / "overlay.mp4").exists()
    if number != signal.SIGKILL:
        assert not list(out.rglob("*.part"))
