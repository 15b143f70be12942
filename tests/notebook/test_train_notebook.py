"""`train.ipynb`, executed: two steps of a small network."""

import json

import pytest
from notebooks import SMALL, check_outputs, execute
from PIL import Image

from ranet_jax.checkpoints import checkpoint


@pytest.mark.slow
def test_train(installed, tmp_path):
    settings = {"STEPS": 2, "BATCH": 2, "HEIGHT": 32, "WIDTH": 64, "CLIP": SMALL}
    notebook = execute("train", tmp_path, settings)
    check_outputs(notebook)
    run = tmp_path / "colabs" / "runs" / "tiny"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if "loss" in r] == [1, 2]
    assert [r["step"] for r in records if "eval/J" in r] == [0, 1, 2]
    assert checkpoint.read_settings(run)["size"] == [32, 64]
    with Image.open(run / "live.png") as curve:
        assert curve.width > 500
    masks = sorted((tmp_path / "colabs" / "segmented").glob("*.png"))
    assert [path.stem for path in masks] == ["00000", "00001", "00002", "00003"]
