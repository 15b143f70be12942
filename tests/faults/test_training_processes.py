"""Real processes that train or build a set, killed or where nothing can be written."""

import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest
from faults import cases_system
from faults.judge import contents, the_sentence
from faults.processes import (
    POSIX,
    children_of,
    end,
    finish,
    half_written,
    runs,
    start,
    wait_for,
    with_shell,
)
from fixtures.small_disk import fill

resource = pytest.importorskip("resource")
pytestmark = POSIX
TRAIN = [
    *shlex.split(cases_system.TRAIN.replace("OUT", "out")),
    "--config.eval.every=0",
    "--config.log.every=1",
    "--config.log.checkpoint=2",
]
# `ranet train`, whose steps take no time, or all the time there is, and train nothing.
SLOW_TRAINING = """
    import os, sys, time
    import jax
    from ranet_jax.cli.main import main
    from ranet_jax.training import train_step

    class Slow:
        def __call__(self, state, batch):
            with jax.transfer_guard("allow"):
                time.sleep(60 if int(state.step) >= int(os.environ["QUICK_STEPS"]) else 0)
                names = ("loss", "iou", "gradient_norm")
                measured = dict.fromkeys(names, jax.numpy.float32(0.5))
                measured = train_step.TrainMetrics.single_from_model_output(**measured)
                return state._replace(step=state.step + 1), measured

    if __name__ == "__main__":
        train_step.make_step = lambda *_: train_step.Step(Slow().__call__, {})
        train_step.Step.__call__ = lambda step, state, batch: step.program(state, batch)
        sys.exit(main(sys.argv[1:]))
"""


def _wait_for_first_step(run):
    metrics = Path("out/metrics.jsonl")
    wait_for(lambda: metrics.is_file() and metrics.read_text().count("\n"), run)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux for the processes")
def test_the_workers_of_train_end_with_it(here):
    run = start([*TRAIN, "--config.data.workers=2"], quick_steps=1, program=SLOW_TRAINING)
    _wait_for_first_step(run)
    workers = children_of(run)
    assert len(workers) >= 2
    assert end(run, signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not any(map(runs, workers)), seconds=20)


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process, as Linux can")
@pytest.mark.parametrize(("kilobytes", "names"), [(1, "config.json"), (200, "checkpoints")])
def test_a_run_that_cannot_be_written_ends_with_one_sentence(here, kilobytes, names):
    run = start(TRAIN, quick_steps=9, program=SLOW_TRAINING)
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (1024 * kilobytes,) * 2)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 2, errors.decode()
    sentence = the_sentence(errors.decode())
    assert "File too large" in sentence and names in sentence
    assert not list(Path("out").rglob("*tmp*")) and not half_written()


@pytest.mark.parametrize(("free", "names"), [(0, "disk/out"), (40, "checkpoints")])
def test_a_run_on_a_full_disk_ends_with_one_sentence(here, small_disk, free, names):
    fill(small_disk, free)
    before = contents(small_disk) if not free else {}
    run = start(
        [word.replace("out", "disk/out") for word in TRAIN], quick_steps=9, program=SLOW_TRAINING
    )
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 2, errors.decode()
    sentence = the_sentence(errors.decode())
    assert "No space left on device" in sentence and names in sentence
    left = [path.name for path in small_disk.rglob("*")]
    assert not [name for name in left if "tmp" in name or name.startswith(".")], left
    assert free or contents(small_disk) == before


def test_of_two_runs_in_one_folder_the_first_goes_on(here):
    first = start(TRAIN, quick_steps=2, program=SLOW_TRAINING)
    _wait_for_first_step(first)
    second = start(TRAIN, quick_steps=9, program=SLOW_TRAINING)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "is in use by another process" in the_sentence(errors.decode())
    assert first.poll() is None
    assert end(first, signal.SIGKILL) == -signal.SIGKILL
    assert finish(start(TRAIN, quick_steps=9, program=SLOW_TRAINING)) == 0


@pytest.mark.parametrize("free", [0, 8])
def test_a_set_on_a_full_disk_is_told(here, whole_world, small_disk, free):
    shutil.copytree(whole_world.parent / "published", "published")
    fill(small_disk, free)
    before = contents(small_disk)
    build = start(shlex.split("data build ecssd --manual-dir published --data-dir disk/sets"))
    _, errors = build.communicate(timeout=120)
    assert build.returncode == 2, errors.decode()
    assert "No space left on device" in the_sentence(errors.decode())
    assert contents(small_disk) == before
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize("kilobytes", [1, 64])
def test_a_set_that_cannot_be_written_is_told(here, whole_world, kilobytes):
    shutil.copytree(whole_world.parent / "published", "published")
    build = "data build ecssd --manual-dir published --data-dir sets"
    done = with_shell(f"ulimit -f {kilobytes}; $ranet {build}")
    assert done.returncode == 2, done.stderr.decode()
    sentence = the_sentence(done.stderr.decode())
    assert "File too large" in sentence and "sets/ecssd" in sentence
    assert not [path for path in Path("sets").rglob("*") if path.is_file()]
