"""Every unit of the network alone, with the published parameters of that unit."""

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import compare

from ranet_jax.checkpoints.convert import published_name
from ranet_jax.models.decoder import FinestLevel, Level, Merge
from ranet_jax.models.encoder import MatchingFeatures
from ranet_jax.models.layers import Conv, ConvBlock, SharedConvBlock
from ranet_jax.models.ops import resize_align_corners
from ranet_jax.models.ranking import RankingNetwork
from ranet_jax.models.resnet import ResNet

TOLERANCE = 1e-4  # of the largest output; single precision alone makes a tenth of it


@pytest.fixture(scope="module")
def blocks(reference):
    return {
        name: value.astype(np.float32)
        for name, value in reference.stored("units/blocks")[0].items()
    }


def apply_published(reference, module, path: str, *inputs):
    """Runs a module with the parameters that the published network has at `path`."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]

    def fill(keys, leaf):
        name = published_name("/".join([path, *(key.key for key in keys)]))
        if len(leaf.shape) != 4:
            return reference.fill(name, leaf.shape)
        height, width, inner, outer = leaf.shape
        return reference.fill(name, (outer, inner, height, width)).transpose(2, 3, 1, 0)

    return jax.jit(module.apply)(
        {"params": jax.tree_util.tree_map_with_path(fill, shapes)}, *inputs
    )


def check(name: str, ours, stored: np.ndarray) -> None:
    compare(f"unit {name}", ours, stored, TOLERANCE * np.abs(stored).max())


@pytest.mark.parametrize("name, features", [("L3", 128), ("L4", 256), ("L5", 512), ("L_g", 512)])
def test_encoder_blocks(reference, blocks, name, features):
    module = "fuse" if name == "L_g" else f"reduce{name[1]}"
    x = blocks[f"{name}/input"]
    ours = apply_published(reference, ConvBlock(features), f"matching_features/{module}", x)
    check(name, ours, blocks[f"{name}/output"])


@pytest.mark.parametrize("name", ["13", "14", "15", "22", "23", "24", "31", "32", "33"])
def test_laterals(reference, blocks, name):
    level, source = int(name[0]), int(name[1])
    at = 4 - level
    x, stored = blocks[f"ls{name}/input"], blocks[f"ls{name}/output"]
    path = f"lateral_connections/stride{2**at}_from_stride{2**source}"
    ours = apply_published(reference, ConvBlock(32 if source == at else 16, 1), path, x)
    check(f"ls{name}", resize_align_corners(ours, stored.shape[1:3]), stored)


@pytest.mark.parametrize(
    "name, module, shared",
    [
        ("R1", Level((256, 256, 128), 64), 64),
        ("R2", Level((128, 64, 32), 16), 64),
        ("R3", FinestLevel((64, 32, 16), 8), 64),
    ],
)
def test_pyramid_levels(reference, blocks, name, module, shared):
    x = blocks[f"{name}/input"]
    parts = [x[..., :shared]], x[..., shared:]
    ours = apply_published(reference, module, f"pyramid/level{name[1]}", *parts)
    check(name, ours, blocks[f"{name}/output"])


def test_merge(reference, blocks):
    ours = apply_published(reference, Merge(), "merge", blocks["merge/input"])
    check("merge", ours, blocks["merge/output"])


def test_ranking_network(reference, blocks):
    ours = apply_published(reference, RankingNetwork(), "ranking_network", blocks["Ranking/input"])
    check("Ranking", ours.reshape(1, 15, 27, 1), blocks["Ranking/output"])


def test_backbone_and_encoder(reference, blocks):
    normalized = blocks["backbone/input"]
    frame = normalized * np.float32([0.229, 0.224, 0.225]) + np.float32([0.485, 0.456, 0.406])
    levels = apply_published(reference, ResNet(), "backbone", frame)
    strides = {0: 4, 1: 4, 2: 2}
    for level, x in enumerate(levels):
        step = strides.get(level, 1)
        check(f"backbone{level}", x[:, ::step, ::step], blocks[f"backbone/output{level}"])
    features = apply_published(reference, MatchingFeatures(), "matching_features", levels)
    check("encoder", features, blocks["encoder/output"])


def test_shared_conv_block_equals_concatenation():
    """Two objects that share some of the channels: as if each had all of them."""
    key = jax.random.key(0)
    shared = jax.random.normal(key, (3, 6, 7, 5))
    own = jax.random.normal(jax.random.fold_in(key, 1), (6, 6, 7, 4))
    module = SharedConvBlock(8)
    params = module.init(key, [shared], own)
    both = np.concatenate([np.repeat(shared, 2, axis=0), own], axis=-1)
    together = ConvBlock(8).apply({"params": {"conv": params["params"]}}, both)
    np.testing.assert_allclose(module.apply(params, [shared], own), together, atol=1e-5)


def test_parameters_are_checked_and_made_as_flax_does():
    """By `layers.parameter`, which only leaves out what takes time."""
    x = jnp.ones((1, 6, 7, 5))
    module = Conv(8, 3, bias=True)
    drawn = module.init(jax.random.key(0), x)["params"]
    assert np.std(drawn["kernel"]) > 0.01
    with pytest.raises(flax.errors.InvalidRngError):
        module.init({}, x)
    with pytest.raises(flax.errors.ScopeParamShapeError, match=r"\(3, 3, 5, 9\).*\(3, 3, 5, 8\)"):
        Conv(9, 3, bias=True).apply({"params": drawn}, x)
    with pytest.raises(flax.errors.ScopeParamNotFoundError):
        module.apply({"params": {"kernel": drawn["kernel"]}}, x)
    with pytest.raises(flax.errors.ScopeCollectionNotFound):
        module.apply({}, x)
