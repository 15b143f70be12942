"""`convert.ipynb`, executed with random weights."""

import re

import numpy as np
import pytest
from notebooks import SMALL, check_outputs, execute, shown_text

import ranet_jax
from ranet_jax.checkpoints.convert import published_name, read_state_dict


@pytest.mark.slow
def test_convert(tmp_path):
    settings = {"SIZE": (64, 96), "CLIP": {**SMALL, "frames": 3}}
    notebook = execute("convert", tmp_path, settings)
    check_outputs(notebook)
    state = read_state_dict(tmp_path / "colabs" / "random-resnet50.npz")
    model, params = ranet_jax.load(tmp_path / "colabs" / "converted")
    assert (
        model.depth == 50 and published_name("backbone/conv1/kernel") == "base_model.conv1.weight"
    )
    kernel = np.asarray(params["backbone"]["conv1"]["kernel"]).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(kernel, state["conv1.weight"])
    text = shown_text(notebook)
    assert f"{len(state)} arrays compared, largest difference 0.0" in text
    assert re.search(r"MatchingSegmenter: mean J [01]\.\d{3} over 2 frames", text)
