"""`convert.ipynb`, executed: the default model, written out and converted back."""

import re

import jax
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
    state = read_state_dict(tmp_path / "colabs" / "shipped.npz")
    assert published_name("merge/block1/conv/kernel") in state
    model, params = ranet_jax.load(tmp_path / "colabs" / "converted")
    shipped, expected = ranet_jax.load("default")
    assert (model.depth, model.mode) == (shipped.depth, shipped.mode)
    jax.tree.map(np.testing.assert_array_equal, params, expected)
    text = shown_text(notebook)
    assert f"{len(state)} arrays compared, largest difference 0.0" in text
    assert re.search(r"Segmenter: mean J [01]\.\d{3} over 2 frames", text)
    assert "2 of 2 masks are those of the default model, pixel by pixel" in text
