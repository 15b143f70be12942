"""Whole runs: what they write, how they go on, and what stops them."""

import json
import random
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run
from PIL import Image

import ranet_jax
from ranet_jax.checkpoints import checkpoint, manager
from ranet_jax.errors import InputError
from ranet_jax.models.initialization import init_params
from ranet_jax.training import loop, train_step


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_run.write_data(tmp_path_factory.mktemp("data"))


def lines(workdir) -> list[dict]:
    text = (workdir / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def measured(workdir) -> list[dict]:
    """What does not depend on the time of day."""
    return [
        {name: value for name, value in record.items() if name != "examples_per_second"}
        for record in lines(workdir)
    ]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    after = loop.Hooks.after

    def after_a_step(hooks, done, state, *others):
        left_running.extend(not leaf.is_ready() for leaf in jax.tree.leaves(state))
        return after(hooks, done, state, *others)

    left_running = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Hooks, "after", after_a_step)
        loop.run(small_run.config(data, log__images=3), workdir, profile=range(2, 4))
    assert left_running and not any(left_running), "on a CPU one step ends before the next begins"
    return workdir


def test_a_run_leaves_all_there_is_to_see(finished):
    left = {path.name for path in finished.iterdir()} - {"tensorboard"}  # an extra
    files = {"checkpoints", "config.json", "curve.png", "metrics.jsonl", "images", "profile"}
    assert left == files
    (trace,) = (finished / "profile").rglob("*.xplane.pb")
    assert b"train" in trace.read_bytes()  # the name of a step
    evaluated = [r["step"] for r in lines(finished) if "eval/J" in r]
    logged = [r["step"] for r in lines(finished) if "loss" in r]
    assert (evaluated, logged) == ([0, 4], [2, 4])
    expected = {"step", "loss", "iou", "gradient_norm", "learning_rate", "examples_per_second"}
    assert set(lines(finished)[1]) - {"memory_gib"} == expected
    assert lines(finished)[1]["learning_rate"] == pytest.approx(1e-3 * 2 / 3), "warming up"
    (sheet,) = (finished / "images").iterdir()
    assert sheet.name == "0000003.png"
    with Image.open(sheet) as image:
        assert image.width > 5 * 200 and image.height > 2 * 120, "five columns, two examples"


def test_checkpoints_of_a_run_are_checkpoints(finished):
    model, params = ranet_jax.load(finished / "checkpoints" / "4")
    settings = checkpoint.read_settings(finished / "checkpoints" / "4")
    assert settings["trained"] is True and settings["model"]["width"] == model.width == 8
    expected = {"step": 4, "name": "tiny", "stage": "video", "init_from": "none"}
    assert expected.items() <= settings.items()
    assert settings["online"] == {"iterations": 0} and settings["size"] == [32, 64]
    assert checkpoint.trained_at(finished) == {"size": (32, 64), "frame_scale": 1}
    # The one that was evaluated, not merely the last, is the best.
    jax.tree.map(np.testing.assert_array_equal, ranet_jax.load(finished)[1], params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_another_experiment_may_not_go_on_there(data, finished):
    before = measured(finished)
    config = small_run.config(data, log__images=3, optimizer__learning_rate=0.01)
    with pytest.raises(InputError, match=r"another optimizer\.learning_rate"):
        loop.run(config, finished)
    assert measured(finished) == before


def test_a_finished_run_does_nothing_more(data, finished, monkeypatch):
    def never(*arguments, **settings):
        raise AssertionError("there is no step to make")

    before = (finished / "metrics.jsonl").read_bytes()
    monkeypatch.setattr(train_step.Step, "__call__", never)
    loop.run(small_run.config(data, log__images=3), finished)
    assert (finished / "metrics.jsonl").read_bytes() == before


def test_a_loss_that_is_not_finite_stops_the_run_unsaved(data, tmp_path):
    """A real one: weights from which nothing finite can come."""
    config = small_run.config(data, init_from=tmp_path / "broken", eval__every=0)
    model = config.network()
    params = init_params(model, seed=0)
    broken = jax.tree.map(lambda leaf: jnp.full_like(leaf, 3e38), params["pyramid"])
    checkpoint.save(tmp_path / "broken", model, params | {"pyramid": broken}, trained=True)
    with pytest.raises(InputError, match=r"loss of step 1 is nan.*480p/(ant|bee|cat)/0000\d.jpg"):
        loop.run(config, tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert lines(tmp_path / "run") == []


@pytest.mark.slow
def test_killed_twice_and_terminated_a_run_ends_as_if_nothing_had_happened(data, tmp_path):
    """To the bit: losses, scores, parameters, averages and the optimizer's state; of clips, with
    a memory."""
    settings = {
        "data__clip_length": 2,
        "model__memory": 1,
        "steps": 12,
        "log__every": 2,  # no divisor of what is between checkpoints
        "log__checkpoint": 3,
        "log__keep": 3,  # 9 and 12, whichever step SIGTERM saves between them
        "eval__every": 6,
    }

    def start(workdir):
        return small_run.start_command(data, workdir, **settings)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    _finish(start(whole))

    steps = [random.randint(1, 2), random.randint(3, 5), random.randint(6, 8)]
    signals = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]
    for step, number in zip(steps, signals, strict=True):
        # Later than what the killed one wrote: that line alone tells that this one is at work.
        later = _last_step(broken) + 1
        process = start(broken)
        _wait_for_step(broken, max(step, later), process)
        process.send_signal(number)
        _, errors = process.communicate()
        assert process.returncode == (143 if number == signal.SIGTERM else -number), errors
        assert "Traceback" not in errors
    saved = manager.RunCheckpoints(broken / "checkpoints", keep=3)
    assert steps[-1] <= saved.latest < 12, "SIGTERM saves the step at which it comes"
    saved.close()
    _finish(start(broken))

    assert measured(broken) == measured(whole), steps
    for at in ("9", "12"):
        one, other = (_arrays(folder / "checkpoints" / at) for folder in (whole, broken))
        jax.tree.map(np.testing.assert_array_equal, one, other)


def _finish(process):
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def _last_step(workdir):
    """The step of the last whole line of the log; 0 if there is none."""
    log = workdir / "metrics.jsonl"
    text = log.read_text() if log.exists() else ""
    steps = [json.loads(line)["step"] for line in text.splitlines(True) if line[-1] == "\n"]
    return max(steps, default=0)


def _wait_for_step(workdir, step, process):
    while process.poll() is None:
        if _last_step(workdir) >= step:
            return
        time.sleep(0.005)
    raise AssertionError(f"it ended before step {step}: {process.stderr.read()}")


def _arrays(path):
    """Everything in a checkpoint, the state of the optimizer included."""
    import orbax.checkpoint as ocp

    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**manager.handlers())) as reader:
        found = reader.restore(
            path,
            ocp.args.Composite(params=ocp.args.StandardRestore(), train=ocp.args.StandardRestore()),
        )
    return found["params"], found["train"]
