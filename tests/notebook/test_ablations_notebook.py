"""`ablations.ipynb`, executed: one variant, from its two stages to the table."""

import json

import pytest
from notebooks import SMALL, check_outputs, execute, shown_text
from PIL import Image

from ranet_jax.checkpoints import checkpoint


@pytest.mark.slow
def test_ablations(installed, small_checkpoint, tmp_path):
    settings = {"CHECKPOINT": small_checkpoint, "SIZE": (64, 96), "CLIP": SMALL, "STEPS": 1}
    settings |= {"HEIGHT": 32, "WIDTH": 64, "VARIANTS": ("no_correlation",)}
    notebook = execute("ablations", tmp_path, settings)
    check_outputs(notebook)
    work = tmp_path / "colabs"
    trained = checkpoint.read_settings(work / "runs" / "video_no_correlation")
    assert trained["model"]["correlation"] is False
    assert (trained["stage"], trained["init_from"]) == ("video", "runs/static_no_correlation")
    results = json.loads((work / "results" / "no_correlation" / "results.json").read_text())
    assert results["sequences"] == ["mirrored"]
    percent = f"**{100 * results['global']['J-Mean']:.1f}**"
    (row,) = [
        line
        for line in shown_text(notebook).splitlines()
        if line.startswith("| **ours (rendered)** | ") and percent in line
    ]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == percent and percent not in (cells[1], *cells[3:])
    for name in ("similarity.png", "ranking.png"):
        with Image.open(work / name) as image:
            assert image.width > 1000
