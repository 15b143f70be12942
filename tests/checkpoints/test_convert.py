"""Published weights in, parameters out: every name accounted for, nothing unpickled freely."""

import sys

import numpy as np
import pytest

from ranet_jax.checkpoints import checkpoint
from ranet_jax.checkpoints.convert import (
    convert,
    from_ranet,
    from_resnet,
    published_name,
    read_state_dict,
)
from ranet_jax.errors import InputError


def resnet_state(blocks=(3, 4, 6, 3)) -> dict[str, np.ndarray]:
    """A torchvision state dict, batch-norm statistics and classifier included."""
    random = np.random.default_rng(0)
    state = {}

    def conv(name, outer, inner, size):
        state[f"{name}.weight"] = random.normal(size=(outer, inner, size, size)).astype(np.float32)

    def norm(name, channels):
        for kind in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{kind}"] = random.normal(size=channels).astype(np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(7)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    inner = 64
    for stage, count in enumerate(blocks, 1):
        middle = 32 * 2**stage
        for block in range(count):
            name = f"layer{stage}.{block}"
            for i, (a, b, size) in enumerate(
                [(middle, inner, 1), (middle, middle, 3), (4 * middle, middle, 1)], 1
            ):
                conv(f"{name}.conv{i}", a, b, size)
                norm(f"{name}.bn{i}", a)
            if block == 0:
                conv(f"{name}.downsample.0", 4 * middle, inner, 1)
                norm(f"{name}.downsample.1", 4 * middle)
            inner = 4 * middle
    state["fc.weight"], state["fc.bias"] = np.zeros((1000, 2048)), np.zeros(1000)
    return state


@pytest.fixture(scope="module")
def resnet():
    return resnet_state()


def test_resnet_fills_the_backbone_and_nothing_else(resnet):
    model, params, lines = from_resnet(resnet, "single", seed=0)
    assert model.depth == 50
    block = params["backbone"]["stage3_block6"]
    expected = resnet["layer3.5.conv2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(block["conv2"]["kernel"], expected)
    np.testing.assert_array_equal(block["norm2"]["scale"], resnet["layer3.5.bn2.weight"])
    np.testing.assert_array_equal(block["norm2"]["bias"], resnet["layer3.5.bn2.bias"])
    shortcut = params["backbone"]["stage2_block1"]["shortcut_norm"]
    np.testing.assert_array_equal(shortcut["bias"], resnet["layer2.0.downsample.1.bias"])
    text = " ".join(lines)
    assert "fc.bias" in text and "bn1.running_mean" in text and "not trained" in text


def test_resnet_101_is_recognised():
    model, _, _ = from_resnet(resnet_state((3, 4, 23, 3)), "multi", seed=0)
    assert (model.depth, model.mode) == (101, "multi")


def test_all_problems_are_listed_in_one_error(resnet):
    broken = dict(resnet)
    del broken["layer1.0.conv1.weight"]
    broken["layer1.0.conv2.weight"] = np.zeros((1, 2, 3, 4))
    broken["surprise.weight"] = np.zeros(3)
    with pytest.raises(InputError) as error:
        from_resnet(broken, "single", seed=0)
    message = str(error.value)
    assert "missing: layer1.0.conv1.weight" in message
    assert "unknown: surprise.weight" in message
    assert "layer1.0.conv2.weight (1, 2, 3, 4) instead of (64, 64, 3, 3)" in message


def test_published_names_are_exactly_those_used(published, published_single):
    """Every published name is either read once or among the never-used ones, which are named."""
    model, params, lines = from_ranet(published, "single")
    (skipped,) = lines
    unused = {name for name in published if name.startswith(("p_1b", "res_1b", "p_2b", "rank_A"))}
    assert all(name in skipped for name in unused) and len(unused) == 12
    np.testing.assert_array_equal(
        params["merge"]["block1"]["conv"]["kernel"],
        published["p_1.2.weight"].transpose(2, 3, 1, 0),
    )


def test_wrappers_of_a_training_script_are_undone(tmp_path):
    np.savez(tmp_path / "wrapped.npz", **{"module.conv1.weight": np.ones(2)})
    assert list(read_state_dict(tmp_path / "wrapped.npz")) == ["conv1.weight"]


def test_a_missing_published_name_is_an_error(published):
    broken = {name: value for name, value in published.items() if name != "L_g.2.bias"}
    with pytest.raises(InputError, match=r"missing: L_g\.2\.bias"):
        from_ranet(broken, "single")


def test_supplement_reductions_are_recognised(published):
    """A state dict with 1x1 reductions becomes a model with 1x1 reductions."""
    state = dict(published)
    for level in (3, 4, 5):
        state[f"L{level}.2.weight"] = state[f"L{level}.2.weight"][:, :, 1:2, 1:2]
    model, params, _ = from_ranet(state, "single")
    assert model.reduction_size == 1
    assert params["matching_features"]["reduce4"]["conv"]["kernel"].shape == (1, 1, 1024, 256)


def test_unknown_paths_have_no_published_name():
    with pytest.raises(KeyError, match="no published counterpart"):
        published_name("merge/block9/kernel")


def test_npz_becomes_a_checkpoint(tmp_path, resnet):
    np.savez(tmp_path / "resnet.npz", **resnet)
    text = convert(tmp_path / "resnet.npz", tmp_path / "out", mode="multi")
    assert "Skipped" in text
    assert checkpoint.read_settings(tmp_path / "out")["trained"] is False
    model, params = checkpoint.load(tmp_path / "out")
    assert (model.depth, model.mode) == (50, "multi")
    np.testing.assert_array_equal(
        params["backbone"]["conv1"]["kernel"], resnet["conv1.weight"].transpose(2, 3, 1, 0)
    )


def test_imagenet_weights_convert(tmp_path, weights_dir):
    convert(weights_dir / "resnet50_imagenet.npz", tmp_path / "out")
    model, params = checkpoint.load(tmp_path / "out")
    assert model.depth == 50
    with np.load(weights_dir / "resnet50_imagenet.npz") as arrays:
        expected = arrays["layer4.2.conv3.weight"].astype(np.float32).transpose(2, 3, 1, 0)
    kernel = params["backbone"]["stage4_block3"]["conv3"]["kernel"]
    np.testing.assert_array_equal(kernel, expected)


def test_existing_checkpoint_is_not_overwritten(tmp_path, resnet):
    np.savez(tmp_path / "resnet.npz", **resnet)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists already"):
        convert(tmp_path / "resnet.npz", tmp_path / "out")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("gone.npz", None, "no file"),
        ("weights.txt", b"1 2 3", "neither .npz nor .pth"),
        ("broken.npz", b"PK\x03\x04 not really", "not a readable .npz"),
    ],
)
def test_unreadable_files(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        convert(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="not a readable .npz"):
        read_state_dict(tmp_path / "evil.npz")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="reading .pth needs the `torch` extra")


@pytest.mark.torch
@pytest.mark.parametrize("zipped", [True, False])
def test_pth_equals_npz(torch, tmp_path, resnet, zipped):
    """Both file formats of PyTorch, the old one being that of the published files."""
    path = tmp_path / "resnet.pth"
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in resnet.items()}
    torch.save({"state_dict": tensors}, path, _use_new_zipfile_serialization=zipped)
    state = read_state_dict(path)
    assert state.keys() == resnet.keys()
    np.testing.assert_array_equal(state["conv1.weight"], resnet["conv1.weight"])


@pytest.mark.torch
def test_half_precision_tensors_are_read(torch, tmp_path):
    torch.save({"module.a": torch.ones(3, dtype=torch.bfloat16)}, tmp_path / "half.pth")
    state = read_state_dict(tmp_path / "half.pth")
    assert state["a"].dtype == np.float32 and state["a"].tolist() == [1, 1, 1]


class Evil:
    """Would open a file for writing if it were unpickled freely."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor:UserWarning")
def test_parameters_and_sparse_and_quantized_tensors_are_read(torch, tmp_path):
    ones = torch.ones(2, 3)
    tensors = {
        "parameter": torch.nn.Parameter(ones),
        "sparse": ones.to_sparse(),
        "quantized": torch.quantize_per_tensor(ones, 0.5, 0, torch.qint8),
    }
    torch.save(tensors, tmp_path / "many.pth")
    read = read_state_dict(tmp_path / "many.pth")
    for name in tensors:
        np.testing.assert_array_equal(read[name], np.ones((2, 3), np.float32))


@pytest.mark.torch
def test_tensors_without_values_are_refused(torch, tmp_path):
    torch.save({"a": torch.ones(3, device="meta")}, tmp_path / "meta.pth")
    with pytest.raises(InputError, match="the tensor a holds no values"):
        read_state_dict(tmp_path / "meta.pth")
    torch.save({1: torch.ones(3)}, tmp_path / "numbered.pth")
    with pytest.raises(InputError, match="entries that are no arrays"):
        read_state_dict(tmp_path / "numbered.pth")


@pytest.mark.torch
def test_code_in_a_file_is_not_run(torch, tmp_path):
    target = tmp_path / "touched"
    torch.save({"a": Evil(target)}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="holds more than tensors"):
        read_state_dict(tmp_path / "evil.pth")
    assert not target.exists()


@pytest.mark.torch
def test_a_list_is_refused(torch, tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="not a state dict"):
        read_state_dict(tmp_path / "list.pth")


def test_pth_without_pytorch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"ranet-jax\[torch\]"):
        read_state_dict(tmp_path / "weights.pth")
