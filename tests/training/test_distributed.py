"""Two processes joined on this machine train as one does."""

import json
import socket

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import small_run

import ranet_jax
from ranet_jax.checkpoints import manager
from ranet_jax.errors import InputError
from ranet_jax.training import distributed

SETTINGS = {
    "steps": 4,
    "log__every": 1,
    "log__images": 2,
    "eval__every": 4,
    "log__checkpoint": 1,
    "log__keep": 4,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_run.write_data(tmp_path_factory.mktemp("data"))


def start_two(data, workdir, **settings):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    together = ["--coordinator", coordinator, "--processes", "2"]
    return [
        small_run.start_command(data, workdir, *together, "--process", str(i), **settings)
        for i in range(2)
    ]


def finish(processes, status: int) -> list[str]:
    told = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, told, strict=True):
        assert process.returncode == status, errors
    return [out for out, _ in told]


def optimizer_state(path):
    items = ocp.args.Composite(train=ocp.args.StandardRestore())
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**manager.handlers())) as reader:
        return reader.restore(path, items).train["opt_state"]


def series(workdir, name) -> list[float]:
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [record[name] for record in records if name in record]


@pytest.mark.slow
def test_two_processes_do_what_one_does(data, tmp_path):
    """Losses, gradients, scores and updated parameters; one of the two writes and speaks."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    # Two devices compute each example as two processes do. All at once is rounded otherwise, which
    # the gradients of a new network can tell by a hundredth (see `test_train_step.py` for a step).
    finish([small_run.start_command(data, alone, devices=2, **SETTINGS)], 0)
    first, second = finish(start_two(data, together, **SETTINGS), 0)
    assert "step 4/4" in first
    assert all(line.startswith("[Gloo]") for line in second.splitlines()), second
    for name in ("loss", "gradient_norm"):
        one, other = series(alone, name), series(together, name)
        assert len(one) == len(other) == 4, "one set of logs"
        np.testing.assert_allclose(other[0], one[0], rtol=1e-5)
        np.testing.assert_allclose(other, one, rtol=1e-3)
    one, other = series(alone, "eval/J"), series(together, "eval/J")
    assert len(one) == len(other) == 2
    np.testing.assert_allclose(other, one, atol=5e-3)
    # The means that Adam keeps are gradients, at a tenth of their size after one step.
    one, other = (optimizer_state(workdir / "checkpoints" / "1") for workdir in (alone, together))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, other)
    one, other = (ranet_jax.load(workdir / "checkpoints" / "4")[1] for workdir in (alone, together))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, other)
    assert len(list((together / "images").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coordinator": "host:1"}, "give all three"),
        ({"coordinator": "host:1", "processes": 2}, "give all three"),
        ({"coordinator": "host", "processes": 2, "process": 0}, "host has no port"),
        ({"coordinator": "host:1", "processes": 2, "process": 2}, "no process 2 among 2"),
        ({"coordinator": "host:1", "processes": 0, "process": 0}, "no process 0 among 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InputError, match=message), distributed.initialize(**arguments):
        pass
