"""One file in place of a checkpoint directory: how much is lost, its size, what it refuses."""

import json
import zipfile

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

import ranet_jax
from ranet_jax.checkpoints import checkpoint, quantized
from ranet_jax.cli import main as cli
from ranet_jax.errors import InputError
from ranet_jax.evaluation.results import hash_checkpoint
from ranet_jax.models.initialization import init_params

kernels = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=4, max_dims=4, max_side=4),
    elements=st.floats(-1e4, 1e4, width=32),
)


@given(kernel=kernels, levels=st.sampled_from([511, 255, 127, 63, 31, 15]))
@settings(deadline=None)
def test_rounding_is_at_most_half_a_step_of_the_channel(kernel, levels):
    rounded = quantized.quantize(kernel, levels)
    assert rounded.values.dtype == (np.int8 if levels <= 127 else np.int16)
    assert np.abs(rounded.values).max() <= levels
    step = np.abs(kernel).max(axis=(0, 1, 2)) / levels
    # The last term is for values close to the smallest that float32 holds.
    assert (np.abs(quantized.restore(rounded) - kernel) <= 0.501 * step + 1e-42 * levels).all()


@given(kernel=kernels)
@settings(deadline=None, max_examples=30)
def test_rounded_values_are_kept_by_rounding_again(kernel):
    once = quantized.restore(quantized.quantize(kernel))
    np.testing.assert_allclose(
        quantized.restore(quantized.quantize(once)), once, rtol=1e-5, atol=1e-40
    )


def test_a_channel_of_zeros_stays_zero():
    kernel = np.zeros((3, 3, 2, 2), np.float32)
    kernel[..., 1] = 5
    np.testing.assert_array_equal(quantized.restore(quantized.quantize(kernel)), kernel)


SETTINGS = {"trained": True, "stage": "video", "online": {"iterations": 0}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory, small):
    """A small network's file, the network, its parameters and what `save` told of them."""
    path = tmp_path_factory.mktemp("packed") / "small.npz"
    model, params = small(mode="multi", ranking="max")
    described = {"model": checkpoint.settings_of(model), **SETTINGS}
    return path, model, params, quantized.save(path, described, params)


def test_a_file_is_read_in_place_of_a_directory(saved):
    path, model, params, layers = saved
    loaded, values = ranet_jax.load(path)
    assert loaded == model
    assert checkpoint.read_settings(path)["stage"] == "video"
    assert jax.tree.structure(values) == jax.tree.structure(params)
    flat = {"/".join(k.key for k in keys): v for keys, v in jax.tree.leaves_with_path(values)}
    for keys, before in jax.tree.leaves_with_path(params):
        after, name = flat["/".join(k.key for k in keys)], "/".join(k.key for k in keys)
        layer = next(layer for layer in layers if layer.name == name)
        error = np.abs(np.asarray(after) - np.asarray(before)).max()
        assert isinstance(after, jax.Array) and after.dtype == np.float32
        if layer.levels == 0:
            assert error == 0
        else:
            assert 0 < error <= layer.largest_error * np.abs(before).max() * 1.0001
            assert layer.mean_error < 0.005
    assert {layer.levels for layer in layers} == {0, 511}


def test_precision_is_chosen_at_loading(saved):
    assert ranet_jax.load(saved[0], precision="bfloat16")[0].dtype == jax.numpy.bfloat16
    with pytest.raises(InputError, match="float32 or bfloat16"):
        ranet_jax.load(saved[0], precision="float16")


def test_numpy_reads_the_file_without_unpickling(saved):
    with np.load(saved[0], allow_pickle=False) as members:
        assert members["backbone/stage4_block1/conv2/kernel.values"].dtype == np.int8
        assert members["backbone/norm1/scale"].dtype == np.float32


def test_equal_parameters_give_equal_bytes(saved, tmp_path):
    path, model, params, _ = saved
    again = tmp_path / "again.npz"
    quantized.save(again, {**SETTINGS, "model": checkpoint.settings_of(model)}, params)
    assert again.read_bytes() == path.read_bytes()


def test_the_largest_kernels_give_up_bits_until_the_file_fits(saved, tmp_path):
    path, model, params, _ = saved
    limit = int(0.95 * path.stat().st_size)
    described = {"model": checkpoint.settings_of(model), **SETTINGS}
    layers = quantized.save(tmp_path / "less.npz", described, params, limit=limit)
    assert (tmp_path / "less.npz").stat().st_size <= limit
    rounded = {layer.name: layer.levels for layer in layers if layer.levels}
    assert set(rounded.values()) <= {511, 255, 127, 63, 31, 15} and min(rounded.values()) < 511
    ranet_jax.load(tmp_path / "less.npz")
    with pytest.raises(InputError, match=r"too large for a file of 0\.01 MB"):
        quantized.save(tmp_path / "least.npz", described, params, limit=10_000)
    assert not (tmp_path / "least.npz").exists()


def test_what_cannot_be_packed(saved, tmp_path):
    path, model, params, _ = saved
    described = {"model": checkpoint.settings_of(model), **SETTINGS}
    with pytest.raises(InputError, match="exists already"):
        quantized.save(path, described, params)
    with pytest.raises(InputError, match="end in .npz"):
        quantized.save(tmp_path / "small.bin", described, params)
    broken = {**params, "extra": {"bias": np.array([1, np.nan], np.float32)}}
    with pytest.raises(InputError, match="NaN or infinite .in extra/bias"):
        quantized.save(tmp_path / "nan.npz", described, broken)
    assert not list(tmp_path.iterdir())


def rewritten(source, target, change):
    """A copy of an archive with the members that `change` gives for its own."""
    with zipfile.ZipFile(source) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(target, "w") as file:
        for name, content in change(members).items():
            file.writestr(name, content)
    return target


def test_every_damaged_byte_is_noticed(saved, tmp_path):
    content = saved[0].read_bytes()
    damaged = tmp_path / "damaged.npz"
    with zipfile.ZipFile(saved[0]) as file:
        info = file.getinfo("backbone/stage4_block1/conv2/kernel.values.npy")
    for place in np.linspace(info.header_offset + 200, info.header_offset + 2000, 7).astype(int):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
        with pytest.raises(InputError, match="damaged; pack or copy it again"):
            ranet_jax.load(damaged)


@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_files_that_are_cut_off(saved, tmp_path, share):
    content = saved[0].read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a packed checkpoint, or its end is missing"):
        ranet_jax.load(tmp_path / "cut.npz")


def test_arrays_of_another_kind(tmp_path):
    np.savez(tmp_path / "resnet.npz", **{"conv1.weight": np.ones(2)})
    with pytest.raises(InputError, match="ranet convert"):
        ranet_jax.load(tmp_path / "resnet.npz")


def test_members_that_do_not_belong_together(saved, tmp_path):
    def without(ending):
        return lambda members: {n: c for n, c in members.items() if not n.endswith(ending)}

    path = rewritten(
        saved[0], tmp_path / "a.npz", without("backbone/stage4_block1/conv2/kernel.scales.npy")
    )
    with pytest.raises(InputError, match="damaged"):
        ranet_jax.load(path)
    path = rewritten(saved[0], tmp_path / "b.npz", without("merge/block1/conv/bias.npy"))
    with pytest.raises(InputError, match="another configuration.*merge/block1/conv/bias"):
        ranet_jax.load(path)


def test_settings_are_checked(saved, tmp_path):
    def with_settings(value):
        return lambda members: {**members, "settings.json": value.encode()}

    newer = json.dumps({"model": {"memory_frames": 3}, "trained": True})
    path = rewritten(saved[0], tmp_path / "newer.npz", with_settings(newer))
    with pytest.raises(InputError, match="memory_frames.*install the version"):
        ranet_jax.load(path)
    path = rewritten(saved[0], tmp_path / "no.npz", with_settings("{}"))
    with pytest.raises(InputError, match="damaged"):
        checkpoint.read_settings(path)


def test_default_names_what_ships(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(quantized, "__file__", str(tmp_path / "checkpoints" / "quantized.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="missing from this installation"):
        ranet_jax.load("default")
    (tmp_path / "weights").mkdir()
    shipped = tmp_path / "weights" / "default.npz"
    shipped.write_bytes(saved[0].read_bytes())
    assert ranet_jax.load("default")[0] == saved[1]
    assert checkpoint.read_settings("default")["stage"] == "video"
    assert hash_checkpoint(checkpoint.resolve("default")) == hash_checkpoint(
        quantized.resolve("default")
    )


def test_hash_changes_with_the_content(saved, tmp_path):
    other = tmp_path / saved[0].name
    other.write_bytes(saved[0].read_bytes() + b"\0")
    assert hash_checkpoint(other) != hash_checkpoint(saved[0])


def test_command(saved, tmp_path, capsys):
    _, model, params, _ = saved
    checkpoint.save(tmp_path / "checkpoint", model, params, trained=True)
    out = tmp_path / "out.npz"
    words = [str(tmp_path / "checkpoint"), str(out), "--limit", "0.5", "--memory", "3"]
    assert cli.main(["pack", *words, "--size", "64x97"]) == 2
    assert "multiples of 32" in capsys.readouterr().err and not out.exists()
    assert cli.main(["pack", *words, "--size", "64x96"]) == 0
    printed = capsys.readouterr().out
    assert "backbone/stage4_block1/conv2/kernel" in printed and " MB, " in printed
    assert out.stat().st_size <= 500_000
    assert checkpoint.read_settings(out)["trained"] is True
    assert ranet_jax.load(out)[0].memory == 3
    assert checkpoint.trained_at(out)["size"] == (64, 96)
    assert cli.main(["pack", str(tmp_path / "nowhere"), str(tmp_path / "x.npz")]) == 2
    assert "no checkpoint directory" in capsys.readouterr().err


def test_command_packs_the_mean_of_several(small, tmp_path, capsys):
    paths = [tmp_path / name for name in ("one", "two")]
    model, first = small(mode="multi", ranking="max")
    several = [(model, first), (model, init_params(model, seed=1))]
    for path, network in zip(paths, several, strict=True):
        checkpoint.save(path, *network, trained=True)
    out = tmp_path / "out.npz"
    assert cli.main(["pack", *map(str, paths), str(out)]) == 0
    assert checkpoint.read_settings(out)["mean_of"] == [str(path) for path in paths]
    mean = jax.tree.map(lambda one, two: (one + two) / 2, *(params for _, params in several))
    for found, expected in zip(*map(jax.tree.leaves, (ranet_jax.load(out)[1], mean)), strict=True):
        largest = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=largest / 1000)

    checkpoint.save(tmp_path / "untrained", *several[0], trained=False)
    assert cli.main(["pack", str(paths[0]), str(tmp_path / "untrained"), str(out) + "2.npz"]) == 2
    assert "not all trained networks" in capsys.readouterr().err
    assert not list(tmp_path.glob("out.npz2*"))
