"""Fresh parameters: the matching features start as near-isometries, all else He normal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ranet_jax.models.encoder import MatchingFeatures
from ranet_jax.models.initialization import abstract_params, init_params, prepare_params
from ranet_jax.models.layers import Conv
from ranet_jax.models.normalization import instance_norm
from ranet_jax.models.ops import l2_normalize
from ranet_jax.models.ranet import RANet
from ranet_jax.models.resnet import ResNet

MODEL = RANet(depth=14, width=8)
LEVELS = (3, 4, 5)


@pytest.fixture(scope="module")
def fresh():
    return init_params(MODEL, seed=0)


@pytest.fixture(scope="module")
def pretrained():
    """Parameters on top of a backbone whose third stage writes only eight directions."""
    backbone = init_params(MODEL, seed=3)["backbone"]
    random = np.random.default_rng(0)
    written = random.standard_normal((8, 128)).astype(np.float32)
    block = dict(backbone["stage3_block1"])
    for conv in ("conv3", "shortcut_conv"):
        inputs = block[conv]["kernel"].shape[2]
        kernel = random.standard_normal((inputs, 8)).astype(np.float32) @ written
        block[conv] = {"kernel": jnp.asarray(kernel[None, None])}
    backbone = {**backbone, "stage3_block1": block}
    return written, init_params(MODEL, 0, backbone)


def centre(kernel):
    kernel = np.array(kernel)
    middle = kernel[kernel.shape[0] // 2, kernel.shape[1] // 2].copy()
    kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 0
    assert not kernel.any()
    return middle


def test_reductions_are_mirrored_orthonormal_and_blind_to_the_mean(fresh, pretrained):
    for params in (fresh, pretrained[1]):
        for level in LEVELS:
            matrix = centre(params["matching_features"][f"reduce{level}"]["conv"]["kernel"])
            kept, mirrored = np.split(matrix, 2, axis=1)
            np.testing.assert_array_equal(kept, -mirrored)
            np.testing.assert_allclose(kept.T @ kept, np.eye(kept.shape[1]), atol=1e-5)
            np.testing.assert_allclose(kept.sum(axis=0), 0, atol=1e-5)


def test_reductions_of_a_trained_backbone_keep_what_it_writes(pretrained):
    written, params = pretrained
    stage = params["backbone"]["stage3_block1"]
    matrix = centre(params["matching_features"]["reduce4"]["conv"]["kernel"])
    kept = matrix[:, : matrix.shape[1] // 2]
    for conv in ("conv3", "shortcut_conv"):
        kernel = np.asarray(stage[conv]["kernel"])[0, 0]
        assert np.linalg.matrix_rank(kernel, tol=1e-2) == len(written)
        # The norms bring all channels to one variance.
        rows = kernel / np.linalg.norm(kernel, axis=0)
        rows = rows - rows.mean(axis=1, keepdims=True)
        assert np.linalg.norm(rows @ kept) ** 2 > 0.999 * np.linalg.norm(rows) ** 2
    assert kept.shape[1] / matrix.shape[0] < 0.2


def test_the_fusion_undoes_the_rectified_mirror(fresh):
    """Fusion of the rectified pairs is a linear isometry up to the gains of the levels."""
    matrix = centre(fresh["matching_features"]["fuse"]["conv"]["kernel"])
    channels, out = matrix.shape
    features = np.random.default_rng(0).standard_normal((50, channels // 2)).astype(np.float32)
    parts = np.split(features, np.cumsum([WIDTH_OF[level] for level in LEVELS])[:-1], axis=1)
    pairs = np.concatenate([np.concatenate([p, -p], axis=1) for p in parts], axis=1)
    fused = np.maximum(pairs, 0) @ matrix
    weighted = np.concatenate([g * p for g, p in zip((2, 2, 1), parts, strict=True)], axis=1)
    assert out == 64 and channels == 112
    np.testing.assert_allclose(fused @ fused.T, weighted @ weighted.T, rtol=1e-4, atol=1e-3)


WIDTH_OF = {3: 8, 4: 16, 5: 32}  # pairs of each level at a stem of 8 channels


def cosines(x):
    x = np.asarray(l2_normalize(x)).reshape(-1, x.shape[-1])
    return (x @ x.T)[np.triu_indices(len(x), 1)]


def test_similarities_of_the_levels_survive(fresh):
    """Of features that vary in few directions: cosines of the result against those of a level."""
    random = np.random.default_rng(0)
    hidden = jax.nn.relu(jnp.asarray(random.standard_normal((1, 12, 20, 12)), jnp.float32))
    sizes = ((64, (24, 40)), (128, (12, 20)), (256, (6, 10)))
    levels = [None, None]
    for channels, size in sizes:
        mixed = hidden @ jnp.asarray(random.standard_normal((12, channels)), jnp.float32)
        levels.append(jax.nn.relu(jax.image.resize(mixed, (1, *size, channels), "bilinear")))

    apply = jax.jit(MatchingFeatures(8).apply)

    def correlation(params):
        variables = {"params": params["matching_features"]}
        features = apply(variables, tuple(levels))
        centred = jax.nn.relu(instance_norm(levels[3]))
        centred = centred - centred.mean(axis=-1, keepdims=True)
        return np.corrcoef(cosines(features), cosines(centred))[0, 1], cosines(features).mean()

    kept, mean = correlation(fresh)
    he_normal = {
        name: {"conv": {**m["conv"], "kernel": he(m["conv"]["kernel"].shape)}}
        for name, m in fresh["matching_features"].items()
    }
    spoilt, high = correlation({"matching_features": he_normal})
    assert kept > 0.6 and kept > spoilt + 0.1
    assert abs(mean) < 0.05 < 0.2 < high


def he(shape):
    random = np.random.default_rng(1).standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
    return jnp.asarray(random, jnp.float32)


def test_other_kernels_are_he_normal(fresh):
    kernel = np.asarray(fresh["backbone"]["stage4_block1"]["conv2"]["kernel"])
    assert np.std(kernel) == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.03)


def test_the_backbone_changes_the_reductions_alone(fresh, pretrained):
    """Everything else has the stream of its own name."""
    params = pretrained[1]
    for part in ("merge", "pyramid", "ranking_network", "lateral_connections"):
        jax.tree.map(np.testing.assert_array_equal, params[part], fresh[part])
    own, other = (p["matching_features"] for p in (params, fresh))
    np.testing.assert_array_equal(own["fuse"]["conv"]["kernel"], other["fuse"]["conv"]["kernel"])
    again = init_params(MODEL, 0, params["backbone"])
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_supplement_reductions_start_alike(fresh):
    one = init_params(MODEL.clone(reduction_size=1), seed=0)["matching_features"]
    for level in LEVELS:
        expected = centre(fresh["matching_features"][f"reduce{level}"]["conv"]["kernel"])
        np.testing.assert_array_equal(centre(one[f"reduce{level}"]["conv"]["kernel"]), expected)


def test_kernels_cast_at_once_give_what_those_cast_in_every_step_do(fresh):
    network = MatchingFeatures(8, dtype=jnp.bfloat16)
    random = np.random.default_rng(0)
    levels = [random.standard_normal((1, 32 >> k, 32 >> k, 16 << k), np.float32) for k in range(5)]
    cast = prepare_params(fresh, jnp.bfloat16)["matching_features"]
    assert cast["fuse"]["conv"]["kernel"].dtype == jnp.bfloat16
    assert cast["fuse"]["conv"]["bias"].dtype == jnp.float32
    apply = jax.jit(lambda params: network.apply({"params": params}, levels))
    np.testing.assert_array_equal(apply(cast), apply(fresh["matching_features"]))


def test_blocks_stacked_at_once_give_what_those_stacked_in_every_step_do(monkeypatch):
    monkeypatch.setattr("ranet_jax.models.resnet.SCAN_MIN_BLOCKS", 1)
    network = ResNet(depth=26, width=8, dtype=jnp.bfloat16)
    params = init_params(RANet(depth=26, width=8), seed=0)
    once = prepare_params(params, jnp.bfloat16)
    backbone = once["backbone"]
    assert backbone["stage2_stacked"]["conv1"]["kernel"].shape == (1, 1, 1, 64, 16)
    assert backbone["conv1"]["kernel"].dtype == jnp.bfloat16
    assert backbone["norm1"]["scale"].dtype == jnp.float32
    assert "stage2_block1" in backbone and "stage2_block2" not in backbone
    frame = np.random.default_rng(0).random((1, 32, 64, 3), np.float32)
    apply = jax.jit(lambda backbone: network.apply({"params": backbone}, frame))
    jax.tree.map(np.testing.assert_array_equal, apply(backbone), apply(params["backbone"]))
    twice = prepare_params(once, jnp.bfloat16)
    assert jax.tree.structure(twice) == jax.tree.structure(once)


def test_shapes_are_those_of_what_flax_makes():
    """They are traced with zeros for new parameters; elsewhere Flax makes random kernels."""
    shapes = abstract_params(MODEL)
    frame, masks = jnp.zeros((1, 64, 64, 3)), jnp.zeros((1, 1, 64, 64))
    inputs = frame, masks, frame, masks, jnp.ones((1, 1), bool)
    program, made = jax.make_jaxpr(MODEL.init, return_shape=True)(jax.random.key(0), *inputs)
    assert jax.tree.structure(shapes) == jax.tree.structure(made["params"])
    assert jax.tree.leaves(shapes) == jax.tree.leaves(made["params"])
    assert str(program).count("random_bits") > 10
    kernel = Conv(4, 3).init(jax.random.key(0), frame)["params"]["kernel"]
    assert np.unique(kernel).size == kernel.size
