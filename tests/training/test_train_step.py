"""The training step: the same on any number of devices, and it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_programs
from test_augment import host_batch

from ranet_jax.errors import InputError
from ranet_jax.models.initialization import abstract_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training import train_step
from ranet_jax.training.config import AugmentConfig, OptimizerConfig
from ranet_jax.training.optimizer import make_optimizer
from ranet_jax.training.train_state import create_state

OPTIMIZER = make_optimizer(OptimizerConfig(learning_rate=1e-5), steps=10)


@pytest.fixture(scope="module")
def on_devices(tmp_path_factory):
    return training_programs.run(
        "devices", tmp_path_factory.mktemp("train") / "devices.npz", devices=8
    )


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return training_programs.run("learning", tmp_path_factory.mktemp("train") / "learnt.npz")


@pytest.mark.slow
@pytest.mark.parametrize("other", ["eight", "parts"])
def test_any_number_of_devices_and_parts_does_the_same(on_devices, other):
    for metric, rounding in (("loss", 1e-6), ("iou", 1e-3), ("gradient_norm", 1e-3)):
        np.testing.assert_allclose(
            on_devices[f"{other}:{metric}"], on_devices[f"one:{metric}"], rtol=rounding
        )
    names = [name.split(":")[1] for name in on_devices if name.startswith("one:params/")]
    assert len(names) > 50
    for name in names:
        np.testing.assert_allclose(
            on_devices[f"{other}:{name}"], on_devices[f"one:{name}"], atol=1e-5, err_msg=name
        )


@pytest.mark.slow
def test_a_step_counts_moves_and_averages(on_devices):
    assert on_devices["one:step"] == 1
    name = "pyramid/level3/logits/kernel"
    start, end = on_devices[f"start:params/{name}"], on_devices[f"one:params/{name}"]
    mean = on_devices[f"one:ema_params/{name}"]
    assert np.abs(end - start).max() > 1e-6
    # The first decay is 1/10, whatever the one asked for.
    np.testing.assert_allclose(mean, start + 0.9 * (end - start), atol=1e-7)


@pytest.mark.slow
def test_it_learns(learnt):
    assert learnt["loss"][-1] < 0.6 * learnt["loss"][0]
    assert learnt["iou"][-1] > learnt["iou"][0] + 0.2
    assert np.isfinite(learnt["gradient_norm"]).all()


@pytest.mark.slow
def test_a_frozen_backbone_does_not_move(learnt):
    moved = {
        name.removeprefix("start/").split("/")[0]
        for name in learnt
        if name.startswith("start/")
        and (learnt[name] != learnt[name.replace("start/", "params/")]).any()
    }
    assert "backbone" not in moved
    assert {"matching_features", "ranking_network", "merge", "pyramid"} <= moved


def test_rematerialising_changes_no_name_and_no_shape():
    plain = abstract_params(RANet(depth=50, width=8))
    again = abstract_params(RANet(depth=50, width=8, remat=True))
    assert jax.tree.structure(plain) == jax.tree.structure(again)
    assert jax.tree.leaves(plain) == jax.tree.leaves(again)


def test_parts_that_do_not_divide_the_batch():
    model = RANet(depth=14, width=8)
    shapes = jax.eval_shape(lambda p: create_state(p, OPTIMIZER, seed=0), abstract_params(model))
    config = training_programs.config("data.batch_size=3", "optimizer.grad_accum_steps=3")
    step = train_step.make_step(model, OPTIMIZER, config, jax.devices()[:1])
    batch = {k: jnp.asarray(v)[None] for k, v in host_batch(size=2, slots=1).items()}
    with pytest.raises(InputError, match="3 equal microbatches"):
        step.lower(shapes, batch)


def test_steps_that_differ_in_numbers_are_one_program():
    model = RANet(depth=14, width=8)
    shapes = jax.eval_shape(
        lambda p: create_state(p, OPTIMIZER, seed=0, ema_decay=0.9),
        abstract_params(model),
    )
    batch = {k: jnp.asarray(v)[None] for k, v in host_batch(size=1, slots=1).items()}

    def program(ema_decay, **changes):
        config = training_programs.config(
            f"optimizer.ema_decay={ema_decay}", augment=AugmentConfig(**changes)
        )
        step = train_step.make_step(model, OPTIMIZER, config, jax.devices()[:1])
        return step.lower(shapes, batch).as_text()

    plain = program(0.9)
    strong = {"warp": 0.1, "rotation": 10.0, "scale": (0.9, 1.1), "crop": 0.2}
    assert program(0.98, **strong, flip=0.5, previous_warp=0.1) == plain
    assert program(0.9, color=0.2) != plain
