"""What a run starts from is looked into before the run begins."""

import shutil

import flax.traverse_util
import numpy as np
import pytest

from ranet_jax.checkpoints import checkpoint, convert
from ranet_jax.errors import InputError
from ranet_jax.models.initialization import abstract_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training import loop
from ranet_jax.training.checks import check


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("conv1.weight", None, "missing: conv1.weight"),
        ("conv1.weight", np.zeros((64, 3, 3, 3)), r"conv1.weight \(64, 3, 3, 3\) instead of"),
        ("surprise", np.zeros(3), "unknown: surprise"),
    ],
)
def test_a_resnet_with_other_names_or_shapes_is_refused_before_the_run(
    name, change, message, small_config, tmp_path
):
    """And leaves no folder of a run."""
    shapes = flax.traverse_util.flatten_dict(abstract_params(RANet(depth=50))["backbone"], sep="/")
    state = {}
    for path, leaf in shapes.items():
        published = convert.published_name(f"backbone/{path}").removeprefix("base_model.")
        shape = leaf.shape if len(leaf.shape) < 4 else (*leaf.shape[:1:-1], *leaf.shape[:2])
        state[published] = np.zeros(shape, np.float16)
    state[name] = change
    np.savez(tmp_path / "resnet.npz", **{k: v for k, v in state.items() if v is not None})
    changes = ("model.width=64", "model.depth=50", f"init_from={tmp_path / 'resnet.npz'}")
    config = small_config(*(f"--config.{change}" for change in changes))
    with pytest.raises(InputError, match=message):
        check(config)
    with pytest.raises(InputError, match=message):
        loop.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_whose_parameters_are_not_its_own_is_refused_before_the_run(
    small_config, tmp_path, small
):
    checkpoint.save(tmp_path / "one", *small(), trained=True)
    checkpoint.save(tmp_path / "other", *small(correlation=False), trained=True)
    shutil.rmtree(tmp_path / "one" / "params")
    shutil.copytree(tmp_path / "other" / "params", tmp_path / "one" / "params")
    with pytest.raises(InputError, match="another configuration of the network"):
        check(small_config(f"--config.init_from={tmp_path / 'one'}"))
