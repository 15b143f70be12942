"""Exported programs, run in a process that has JAX and not this package."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ranet_jax.checkpoints import checkpoint
from ranet_jax.cli.main import main
from ranet_jax.inference import state

SIZE = (64, 96)

# What the README shows, and a check that nothing else is at hand.
PROGRAM = """
import json, sys
sys.modules["ranet_jax"] = sys.modules["flax"] = None  # importing either raises
import jax, numpy as np
folder, inputs, results = sys.argv[1:]
start, advance = (
    jax.export.deserialize(open(f"{folder}/{name}.stablehlo", "rb").read()).call
    for name in ("start", "advance")
)
params = dict(np.load(f"{folder}/params.npz"))
given = np.load(inputs)
state = start(params, given["frames"][:1], given["labels"], given["valid"])
found = []
for frame in given["frames"][1:]:
    state, labels, values = advance(params, state, frame[None])
    found.append(labels)
np.save(results, np.stack(found))
"""


@pytest.mark.parametrize(("mode", "memory"), [("single", 1), ("multi", 0)])
def test_exported_halves_run_without_this_package(small, tmp_path, capsys, mode, memory):
    model, params = small(mode=mode, memory=memory)
    checkpoint.save(tmp_path / "network", model, params, trained=False)
    given = [str(tmp_path / "network"), str(tmp_path / "out"), "--objects", "2", "--size", "64x96"]
    assert main(["export", *given, "--platforms", "cpu,cuda,tpu"]) == 0
    assert "for cpu, cuda, tpu, 2 objects" in capsys.readouterr().out
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, *SIZE, 3), np.uint8)
    labels = rng.integers(0, 3, (2, 3), np.uint8).repeat(32, 0).repeat(32, 1)[None]
    valid = np.ones((1, 2, 1) if mode == "single" else (1, 1, 2), bool)
    np.savez(tmp_path / "given.npz", frames=frames, labels=labels, valid=valid)
    arguments = [str(tmp_path / name) for name in ("out", "given.npz", "found.npy")]
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, cwd=tmp_path)
    current = state.start(model, params, frames[:1], labels, valid, SIZE)
    expected = []
    for frame in frames[1:]:
        current, segmented, _ = state.advance(model, params, current, frame[None], SIZE)
        expected.append(segmented)
    found = np.load(tmp_path / "found.npy")
    assert found.shape == (2, 1, *SIZE)
    assert np.mean(found == np.stack(expected)) > 0.999  # rounding may decide a pixel
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    assert about["advance"]["arguments"][2] == "uint8[1, 64, 96, 3]"
    assert about["advance"]["arguments"][1] == about["start"]["results"]
    assert about["model"]["memory"] == memory and about["platforms"] == ["cpu", "cuda", "tpu"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--platforms", "cpu,abacus"], "cpu, cuda, rocm, tpu"),
        (["--objects", "17"], "at most 16"),
        (["--size", "100x160"], "multiples of 32"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_nothing(
    small, tmp_path, capsys, flags, said
):
    model, params = small()
    checkpoint.save(tmp_path / "network", model, params, trained=False)
    assert main(["export", str(tmp_path / "network"), str(tmp_path / "out"), *flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"network"}


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert main(["export", "default", str(tmp_path / "out")]) == 2
    assert "exists already" in capsys.readouterr().err
