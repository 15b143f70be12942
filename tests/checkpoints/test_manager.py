"""Checkpoints of runs: kept, found, restored to the bit, and never half there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ranet_jax
from ranet_jax.checkpoints import checkpoint
from ranet_jax.checkpoints.checksums import DamagedCheckpointError
from ranet_jax.checkpoints.manager import FOLDER, RunCheckpoints, Saved, best
from ranet_jax.errors import InputError


def saved(step: int, params=None) -> Saved:
    """Something to save that is another at each step."""
    if params is None:
        params = {"conv": {"kernel": jnp.arange(6.0).reshape(2, 3) + step}}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    train = {
        "step": jnp.int32(step),
        "opt_state": optimizer.init(params),
        "key": jax.random.key_data(jax.random.key(step)),
    }
    return Saved(params, train, {"next_batch": step}, {"steps": [{"loss": 0.1}]}, {"step": step})


def steps(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)

    def check(a, b):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)

    jax.tree.map(check, one, other)


def test_the_latest_and_the_best_are_kept(tmp_path):
    scores = {3: 0.2, 6: 0.9, 7: None, 9: 0.5, 12: 0.4, 14: None}
    with RunCheckpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest is None
        for step, score in scores.items():
            checkpoints.save(step, saved(step), score=score)
        assert checkpoints.latest == 14
    assert steps(tmp_path) == {"6", "12", "14"}
    assert best(tmp_path) == tmp_path / "6"
    # Another process knows of the best as well.
    with RunCheckpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(15, saved(15), score=0.1)
    assert steps(tmp_path) == {"6", "14", "15"}


def test_without_scores_the_latest_is_the_best(tmp_path):
    with RunCheckpoints(tmp_path, keep=1) as checkpoints:
        for step in (1, 2, 10):
            checkpoints.save(step, saved(step))
    assert steps(tmp_path) == {"10"}
    assert best(tmp_path).name == "10"


def test_everything_comes_back_to_the_bit(tmp_path):
    expected = saved(5)
    with RunCheckpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(5, expected)
    with RunCheckpoints(tmp_path, keep=1) as checkpoints:
        found = checkpoints.restore(5, saved(0).params, saved(0).train)
    same(found.params, expected.params)
    same(found.train, expected.train)
    assert (found.iterator, found.log, found.settings) == expected[2:]


def test_arrays_may_be_given_away_at_once(tmp_path):
    """As the next step does, while the checkpoint is still being written."""
    params = {"kernel": jnp.arange(1e6)}
    double = jax.jit(lambda tree: jax.tree.map(lambda leaf: 2 * leaf, tree), donate_argnums=0)
    with RunCheckpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, saved(1, params))
        double(params)
        found = checkpoints.restore(
            1,
            {"kernel": np.empty(10**6, np.float32)},
            saved(1, {"kernel": np.empty(10**6, np.float32)}).train,
        )
    np.testing.assert_array_equal(found.params["kernel"], np.arange(10**6, dtype=np.float32))


def test_an_interrupted_save_never_counts(tmp_path):
    """What Orbax leaves where it was killed has a name of its own."""
    with RunCheckpoints(tmp_path, keep=3) as checkpoints:
        checkpoints.save(1, saved(1))
    (tmp_path / "1").rename(tmp_path / "2.orbax-checkpoint-tmp")
    with pytest.raises(InputError, match="no complete checkpoint"):
        best(tmp_path)
    with RunCheckpoints(tmp_path, keep=3) as checkpoints:
        assert checkpoints.latest is None
        checkpoints.save(2, saved(2))
    assert steps(tmp_path) == {"2"}


def test_runs_and_their_checkpoints_are_loaded_alike(tmp_path, small, caplog):
    model, params = small()
    settings = {"model": checkpoint.settings_of(model), "trained": True, "stage": "video"}
    with RunCheckpoints(tmp_path / FOLDER, keep=2) as checkpoints:
        for step, score in ((1, 0.7), (2, 0.3)):
            other = jax.tree.map(lambda leaf, by=step: np.asarray(leaf) * np.float32(by), params)
            checkpoints.save(step, saved(step, other)._replace(settings=settings), score=score)
    for path, factor in ((tmp_path, 1), (tmp_path / FOLDER / "2", 2)):
        loaded, values = ranet_jax.load(path)
        assert loaded == model
        same(
            values, jax.tree.map(lambda leaf, by=factor: np.asarray(leaf) * np.float32(by), params)
        )
        assert checkpoint.read_settings(path)["stage"] == "video"
    assert not caplog.records, "a user who loads one reads no warnings"


def test_a_run_without_checkpoints_is_said(tmp_path):
    (tmp_path / FOLDER).mkdir()
    with pytest.raises(InputError, match="no complete checkpoint"):
        ranet_jax.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write"):
        RunCheckpoints(tmp_path / "file" / FOLDER, keep=1)


# Failed reads and writes leave threads behind that complain later: in processes of their own.
_FULL = """
import resource, signal, sys
from pathlib import Path
import test_manager as this
from ranet_jax.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True  # it would be cut short
folder = Path(sys.argv[1])
try:
    with this.RunCheckpoints(folder, keep=2) as checkpoints:
        checkpoints.save(1, this.saved(1))
        checkpoints._manager.wait_until_finished()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        noise = this.np.random.default_rng(0).standard_normal(10**6)
        checkpoints.save(2, this.saved(2, {"kernel": noise}))
except InputError as error:
    print("said:", error)
"""
_OTHER = """
import sys
from pathlib import Path
import test_manager as this
from ranet_jax.errors import InputError
with this.RunCheckpoints(Path(sys.argv[1]), keep=2) as checkpoints:
    checkpoints.save(1, this.saved(1))
for params in ({"conv": {"kernel": this.np.zeros((2, 4))}}, {"other": this.np.zeros(3)}):
    try:
        with this.RunCheckpoints(Path(sys.argv[1]), keep=2) as checkpoints:
            checkpoints.restore(1, params, this.saved(1, params).train)
    except InputError as error:
        print("said:", error)
"""


def _run(script: str, folder: Path) -> list[str]:
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parents[1]}"}
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("said:")]


def test_a_full_disk_is_said_and_what_was_saved_stays(tmp_path):
    (said,) = _run(_FULL, tmp_path)
    assert "cannot be written" in said and "File too large" in said and "from step 1" in said
    assert best(tmp_path).name == "1"
    with RunCheckpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest == 1
        same(checkpoints.restore(1, saved(0).params, saved(0).train).params, saved(1).params)


def test_another_network_or_optimizer_is_refused(tmp_path):
    said = _run(_OTHER, tmp_path)
    assert len(said) == 2 and all("made by another network or optimizer" in one for one in said)


def _damage(path: Path) -> None:
    """Another byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["settings/metadata", "iterator/metadata", "checksums/metadata"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(tmp_path, caplog, file):
    with RunCheckpoints(tmp_path, keep=3) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, saved(step), score=0.5)
    _damage(tmp_path / "2" / file)
    with RunCheckpoints(tmp_path, keep=3) as checkpoints:
        step, found = checkpoints.restore_latest(saved(0).params, saved(0).train)
        assert step == 1 and checkpoints.latest == 1
        same(found.params, saved(1).params)
        checkpoints.save(2, saved(2), score=0.5)
    assert steps(tmp_path) == {"1", "2", "2.damaged"}
    assert f"The checkpoint {tmp_path / '2'} is damaged" in caplog.text


def test_values_that_are_others_are_noticed(tmp_path):
    """Orbax reads them as they are: the checksums tell."""
    for step, values in ((1, saved(1)), (2, saved(2))):
        with RunCheckpoints(tmp_path / str(step), keep=1) as checkpoints:
            checkpoints.save(5, values)
    for name in ("params", "train"):
        mixed = tmp_path / name
        shutil.copytree(tmp_path / "1", mixed)
        shutil.rmtree(mixed / "5" / name)
        shutil.copytree(tmp_path / "2" / "5" / name, mixed / "5" / name)
        with (
            RunCheckpoints(mixed, keep=1) as checkpoints,
            pytest.raises(DamagedCheckpointError, match="the checksum of .* is another"),
        ):
            checkpoints.restore_latest(saved(0).params, saved(0).train)
        assert steps(mixed) == {"5"}, "the only one stays"


@pytest.mark.parametrize("score", ['{"J": NaN}', '{"J": 0.9}', "{", "[]"])
def test_a_damaged_score_is_noticed(tmp_path, score):
    with RunCheckpoints(tmp_path, keep=3) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, saved(step), score=0.5)
    (tmp_path / "2" / "metrics" / "metrics").write_text(score)
    with pytest.raises(DamagedCheckpointError, match=str(tmp_path / "2")):
        best(tmp_path)
    with RunCheckpoints(tmp_path, keep=3) as checkpoints:
        assert checkpoints.latest == 1


def test_a_checkpoint_without_checksums_is_read(tmp_path):
    """As earlier versions wrote it."""
    with RunCheckpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(3, saved(3))
    shutil.rmtree(tmp_path / "3" / "checksums")
    with RunCheckpoints(tmp_path, keep=1) as checkpoints:
        step, found = checkpoints.restore_latest(saved(0).params, saved(0).train)
    assert step == 3
    same(found.params, saved(3).params)
