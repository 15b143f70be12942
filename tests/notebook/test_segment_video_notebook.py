"""`segment_video.ipynb`, executed with a small network."""

import zipfile

import numpy as np
import pytest
from notebooks import SMALL, check_outputs, code, execute, shown_text

import ranet_jax
from ranet_jax.demo.clip import render_clip
from ranet_jax.io.masks import read_mask
from ranet_jax.io.video_reader import open_video


@pytest.mark.slow
def test_segment_video(small_checkpoint, tmp_path):
    settings = {"CHECKPOINT": small_checkpoint, "SIZE": (64, 96), "CLIP": {**SMALL, "objects": 2}}
    notebook = execute("segment_video", tmp_path, settings)
    check_outputs(notebook)
    out, stems = tmp_path / "colabs" / "segmented", [f"{index:05d}" for index in range(4)]
    masks = [read_mask(out / f"{stem}.png") for stem in stems]
    np.testing.assert_array_equal(masks[0], render_clip(**SMALL, objects=2).labels[0])
    model, params = ranet_jax.load(small_checkpoint)
    video = ranet_jax.Segmenter(model, params, size=(64, 96))
    frames = [frame for _, frame in open_video(tmp_path / "colabs" / "demo-clip")]
    video.init(frames[0], masks[0])
    for frame, mask in zip(frames[1:], masks[1:], strict=True):
        np.testing.assert_array_equal(video.step(frame), mask)
    with zipfile.ZipFile(tmp_path / "colabs" / "masks.zip") as archive:
        assert {f"{stem}.png" for stem in stems} <= set(archive.namelist())
    assert len(list(open_video(out / "overlay.mp4"))) == 4
    html = [
        o.data["text/html"]
        for c in code(notebook)
        for o in c.outputs
        if "text/html" in o.get("data", {})
    ]
    assert any("<video" in text and "data:video/mp4;base64," in text for text in html)
    assert any(
        "application/vnd.jupyter.widget-view+json" in o.get("data", {})
        for c in code(notebook)
        for o in c.outputs
    )
    assert "untrained" not in shown_text(notebook)
