"""Checkpoints carry parameters and settings, and refuse to be misread."""

import json
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ranet_jax
from ranet_jax.checkpoints import checkpoint, quantized
from ranet_jax.errors import InputError


@pytest.fixture(scope="module")
def saved(tmp_path_factory, small):
    path = tmp_path_factory.mktemp("checkpoints") / "small"
    model, params = small(mode="multi", ranking="max", aggregation="argmax")
    checkpoint.save(path, model, params, trained=True)
    return path, model, params


def test_loading_needs_nothing_but_the_path(saved):
    path, model, params = saved
    loaded, values = ranet_jax.load(path)
    assert loaded == model
    assert jax.tree.structure(values) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, values, params)
    assert checkpoint.read_settings(path)["trained"] is True
    assert checkpoint.trained_at(path) == {}


def test_precision_is_chosen_at_loading(saved):
    path, model, _ = saved
    loaded, params = ranet_jax.load(str(path), precision="bfloat16")
    assert loaded == model.clone(dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    with pytest.raises(InputError, match="float32 or bfloat16"):
        ranet_jax.load(path, precision="float16")


def test_missing_directory(tmp_path):
    with pytest.raises(InputError, match="no checkpoint directory"):
        ranet_jax.load(tmp_path / "nowhere")


def test_other_directory(tmp_path):
    with pytest.raises(InputError, match="not a RANet checkpoint"):
        ranet_jax.load(tmp_path)


def test_parameters_of_another_configuration(saved, small, tmp_path):
    """Settings of one network beside the parameters of another."""
    path, _, _ = saved
    other, params = small()
    checkpoint.save(tmp_path / "other", other, params, trained=True)
    mixed = tmp_path / "mixed"
    shutil.copytree(path, mixed)
    shutil.rmtree(mixed / "settings")
    shutil.copytree(tmp_path / "other" / "settings", mixed / "settings")
    with pytest.raises(InputError, match="another configuration.*merge/block1/conv/kernel"):
        ranet_jax.load(mixed)


def test_settings_of_a_newer_version(saved, tmp_path):
    newer = tmp_path / "newer"
    shutil.copytree(saved[0], newer)
    file = newer / "settings" / "metadata"
    settings = json.loads(file.read_text())
    settings["model"]["memory_frames"] = 3
    file.write_text(json.dumps(settings))
    with pytest.raises(InputError, match="memory_frames.*install the version"):
        ranet_jax.load(newer)


def test_settings_under_earlier_names(saved, tmp_path):
    """`objects` and `combine` of an earlier version are `mode` and `aggregation`."""
    path, model, params = saved
    settings = checkpoint.settings_of(model)
    settings |= {"objects": settings.pop("mode"), "combine": settings.pop("aggregation")}
    quantized.save(tmp_path / "earlier.npz", {"model": settings, "trained": True}, params)
    earlier = tmp_path / "earlier"
    shutil.copytree(path, earlier)
    file = earlier / "settings" / "metadata"
    file.write_text(json.dumps({"model": settings, "trained": True}))
    for name in ("earlier", "earlier.npz"):
        assert checkpoint.read_settings(tmp_path / name)["model"] == checkpoint.settings_of(model)
        assert ranet_jax.load(tmp_path / name)[0] == model


@pytest.mark.parametrize("name", ["_METADATA", "manifest.ocdbt"])
def test_damaged_parameters(saved, tmp_path, name):
    """In a process of its own: the storage library fails in threads that outlive a test."""
    damaged = tmp_path / "damaged"
    shutil.copytree(saved[0], damaged)
    (damaged / "params" / name).write_bytes(b"not what it was")
    # On standard output: what the library's threads say on their way out would come in between.
    program = (
        "import ranet_jax\n"
        f"try: ranet_jax.load({str(damaged)!r})\n"
        "except ranet_jax.InputError as error: print(error, flush=True)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout.startswith(f"The checkpoint {damaged}")
    assert "damaged or incomplete" in ended.stdout


def test_nothing_is_overwritten(saved):
    path, model, params = saved
    with pytest.raises(InputError, match="exists already"):
        checkpoint.save(path, model, params, trained=True)


def test_place_that_cannot_be_written(saved, tmp_path):
    _, model, params = saved
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write"):
        checkpoint.save(tmp_path / "file" / "checkpoint", model, params, trained=True)
