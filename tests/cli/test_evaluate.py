"""`ranet evaluate` from arguments to files."""

import argparse
import csv
import json
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ranet_jax.cli import evaluate
from ranet_jax.errors import InputError
from ranet_jax.evaluation import baselines
from ranet_jax.models.ranet import RANet


@pytest.fixture
def network(monkeypatch, fake_segmenter):
    """A package whose networks are fakes; gives the list of segmenters that were made."""
    made = []

    def segmenter(model, params, *, aggregation, memory, max_gap, size, frame_scale, devices):
        made.append(fake_segmenter())
        return made[-1]

    checkpoints = types.ModuleType("ranet_jax.checkpoints.checkpoint")
    checkpoints.read_settings = lambda path: {"model": {}, "trained": True, "stage": "static"}
    checkpoints.trained_at = lambda path: {}
    checkpoints.settings_of = lambda model: {"ranking": model.ranking, "depth": model.depth}
    checkpoints.resolve = Path
    monkeypatch.setitem(sys.modules, "ranet_jax.checkpoints.checkpoint", checkpoints)
    monkeypatch.setattr("ranet_jax.checkpoints.checkpoint", checkpoints, raising=False)
    monkeypatch.setattr(
        "ranet_jax.load",
        lambda path, precision: (RANet(depth=50, ranking="none"), {}),
        raising=False,
    )
    monkeypatch.setattr("ranet_jax.Segmenter", segmenter, raising=False)
    return made


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    path.mkdir()
    (path / "data").write_bytes(b"weights")
    return path


def run(*words):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    arguments = parser.parse_args(list(map(str, words)))
    return arguments.run(arguments)


def read_csv(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_checkpoint_over_a_split(network, checkpoint, davis_root, tmp_path, capsys):
    out = tmp_path / "small-none"
    common = ("--dataset", "davis2016", "--root", davis_root, "--processes", 1, "--out", out)
    run(*common, "--split", "val", "--checkpoint", checkpoint, "--batch", 3)
    results = json.loads((out / "results.json").read_text())
    (overall,) = read_csv(out / "global.csv")
    rows = read_csv(out / "per_sequence.csv")
    assert ",".join(overall) == "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay"
    assert [row["Sequence"] for row in rows] == [f"{name}_1" for name in results["sequences"]]
    for name, value in overall.items():
        assert float(value) == pytest.approx(results["global"][name], abs=1e-6)
    means = [np.mean([float(row[c]) for row in rows]) for c in ("J-Mean", "F-Mean")]
    assert means == pytest.approx([results["global"][c] for c in ("J-Mean", "F-Mean")], abs=2e-6)

    assert results["name"] == "small-none" and results["whole_split"]
    assert len(results["checkpoint"]["sha256"]) == 64
    assert results["settings"]["model"] == {"ranking": "none", "depth": 50}
    assert results["settings"]["size"] == [480, 864]
    assert results["settings"]["aggregation"] == "softmax"
    assert results["settings"]["stage"] == "static"
    assert {"python", "numpy", "jax"} <= set(results["versions"])
    assert results["hardware"]["cores"] >= 1 and results["devices"]
    speed = results["speed"]
    assert speed["frames_per_second"] * speed["milliseconds_per_frame"] == pytest.approx(1000)
    for name in ("sequences", "over_time", "speed"):
        with Image.open(out / "plots" / f"{name}.png") as image:
            assert min(image.size) > 300
    printed = capsys.readouterr().out
    assert "hike_1" in printed and f"{results['global']['J&F-Mean']:.3f}" in printed

    before = {path: path.read_bytes() for path in out.glob("*.csv")}
    run(*common, "--split", "val", "--checkpoint", checkpoint)
    assert network[1].steps == 0
    assert all(path.read_bytes() == content for path, content in before.items())

    (checkpoint / "data").write_bytes(b"other weights")
    with pytest.raises(InputError, match="another checkpoint"):
        run(*common, "--split", "val", "--checkpoint", checkpoint)


def test_a_folder_of_predictions_alone(tiny_root, tiny_predictions, tmp_path):
    out = tmp_path / "scored"
    words = ("--root", tiny_root, "--predictions", tiny_predictions, "--out", out)
    run("--dataset", "davis2017", *words)
    assert [tuple(row.values()) for row in read_csv(out / "per_sequence.csv")] == [
        ("pair_1", "1.000000", "1.000000"),
        ("pair_2", "1.000000", "1.000000"),
    ]
    results = json.loads((out / "results.json").read_text())
    assert results["global"]["J&F-Mean"] == 1 and "checkpoint" not in results


def test_chosen_sequences(network, checkpoint, davis_root, tmp_path):
    out = tmp_path / "out"
    words = ("--root", davis_root, "--checkpoint", checkpoint, "--out", out, "--processes", 1)
    run("--dataset", "davis2016", *words, "--sequences", "swing, bear")
    results = json.loads((out / "results.json").read_text())
    assert results["sequences"] == ["bear", "swing"] and not results["whole_split"]
    assert sorted(path.name for path in (out / "predictions").iterdir()) == ["bear", "swing"]


def test_a_baseline_without_a_checkpoint(davis_root, tmp_path):
    out = tmp_path / "copy"
    words = ("--root", davis_root, "--out", out, "--processes", 1, "--sequences", "bear")
    run("--dataset", "davis2016", *words, "--baseline", "copy")
    results = json.loads((out / "results.json").read_text())
    assert results["settings"] == {"baseline": "copy"} and results["checkpoint"] is None
    given = sorted((davis_root / "Annotations/480p/bear").iterdir())[0]
    with Image.open(given) as truth, Image.open(out / "predictions/bear/00003.png") as shown:
        np.testing.assert_array_equal(np.asarray(shown) > 0, np.asarray(truth) > 0)
    assert 0 < results["global"]["J-Mean"] < 1


def test_matching_baseline_uses_the_checkpoint(
    network, checkpoint, davis_root, tmp_path, fake_baseline
):
    made = fake_baseline("MatchingSegmenter")
    out = tmp_path / "matching"
    words = ("--root", davis_root, "--out", out, "--processes", 1, "--sequences", "bear")
    words = ("--dataset", "davis2016", *words, "--checkpoint", checkpoint)
    run(*words, "--baseline", "matching")
    results = json.loads((out / "results.json").read_text())
    assert results["settings"]["baseline"] == "matching" and len(made) == 1 and not network
    assert len(results["checkpoint"]["sha256"]) == 64
    with pytest.raises(InputError, match="another settings"):
        run(*words)


@pytest.fixture
def fake_baseline(monkeypatch, fake_segmenter):
    """Puts a fake in place of a baseline; gives the list of those that were made."""

    def replace(name):
        made = []

        def segmenter(model, params, *, size):
            made.append(fake_segmenter())
            return made[-1]

        monkeypatch.setattr(baselines, name, segmenter)
        return made

    return replace


@pytest.mark.parametrize(
    "words, message",
    [
        ((), "nothing to evaluate"),
        (("--baseline", "matching"), "matching needs the features of a backbone"),
        (("--baseline", "matching", "--predictions", "p"), "needs the features of a backbone"),
        (("--baseline", "copy", "--checkpoint", "c"), "copy repeats the first masks"),
    ],
)
def test_sources_that_do_not_fit(words, message):
    with pytest.raises(InputError, match=message):
        run("--dataset", "davis2016", "--root", "DAVIS", "--out", "o", *words)


def test_test_dev_becomes_an_archive(network, checkpoint, tiny_root, tmp_path, capsys):
    out = tmp_path / "out"
    words = ("--root", tiny_root, "--split", "test-dev", "--checkpoint", checkpoint, "--out", out)
    run("--dataset", "davis2017", *words)
    with zipfile.ZipFile(out / "submission.zip") as packed:
        assert packed.namelist() == [f"first/{frame:05}.png" for frame in range(6)]
    assert json.loads((out / "results.json").read_text())["global"] is None
    assert not (out / "global.csv").exists()
    assert "submission.zip is ready" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ("--batch", "0"),
        ("--sequences", ","),
        ("--checkpoint", "a", "--predictions", "b"),
        ("--dataset", "davis2018"),
    ],
)
def test_arguments_that_make_no_sense(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--dataset", "davis2016", "--root", "DAVIS", "--out", "o", "--predictions", "p", *words)
    assert stopped.value.code == 2
    assert "error" in capsys.readouterr().err


def test_out_must_not_be_a_file(tiny_root, tiny_predictions, tmp_path):
    (tmp_path / "out").write_text("mine")
    words = ("--root", tiny_root, "--predictions", tiny_predictions, "--out", tmp_path / "out")
    with pytest.raises(InputError, match="out is a file"):
        run("--dataset", "davis2017", *words)
    assert (tmp_path / "out").read_text() == "mine"


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    assert "ranet evaluate --dataset davis2016" in " ".join(capsys.readouterr().out.split())
