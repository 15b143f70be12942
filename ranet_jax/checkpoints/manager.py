"""The checkpoints of a run, `checkpoints/<step>`: the state to resume from beside the parameters.

Each is also a checkpoint that `ranet_jax.load` reads. With `checkpoint.py`, which reads and writes
those, the only file that imports Orbax.
"""

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jaxtyping import PyTree
from orbax.checkpoint.checkpoint_managers import preservation_policy

from ranet_jax.checkpoints import checksums
from ranet_jax.checkpoints.checksums import DamagedCheckpointError
from ranet_jax.checkpoints.storage_errors import reason_of, remove_unfinished, told_once
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder
from ranet_jax.io.paths import absolute
from ranet_jax.io.settings import shown

_LOG = logging.getLogger(__name__)
FOLDER = "checkpoints"  # in the folder of a run
SCORE = "J"  # the mean over held-out objects, by which the best checkpoint is known


class Saved(NamedTuple):
    """What a checkpoint of a run holds.

    Attributes:
        params: what is evaluated and shipped.
        train: arrays that training needs beside them.
        iterator: the position in the data; like `log` and `settings` it can be written as JSON.
        log: what was measured since the last line of the log.
        settings: see `checkpoint.read_settings`.
    """

    params: PyTree
    train: PyTree
    iterator: Mapping[str, Any]
    log: Mapping[str, Any]
    settings: Mapping[str, Any]


class RunCheckpoints:
    """Writes, thins out and reads the checkpoints of one run.

    Saving goes on in the background; a checkpoint appears under its name when it is complete, so
    that an interrupted one never counts. The latest `keep` are kept, and the best.

    Every process of a run makes one on the same folder and makes the same calls.
    """

    def __init__(self, folder: Path, *, keep: int):
        """Opens the folder, makes it if need be, and removes what an interrupted save left.

        Raises:
            InputError: it cannot be written.
        """
        self._folder = make_output_folder(absolute(folder))
        self._set_aside_unscored()
        policies = [
            preservation_policy.LatestN(keep),
            preservation_policy.BestN(get_metric_fn=_score, n=1),
        ]
        self._manager = _manager(
            self._folder,
            cleanup_tmp_directories=True,
            save_root_metadata=False,
            preservation_policy=preservation_policy.AnyPreservationPolicy(policies),
        )
        self._failed = False
        self._told_once = contextlib.ExitStack()
        self._told_once.enter_context(told_once())

    def __enter__(self) -> "RunCheckpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def latest(self) -> int | None:
        """The last step that was saved."""
        return self._manager.latest_step()

    @property
    def steps(self) -> list[int]:
        """All that were saved and kept, the last one first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is, or would be."""
        return self._folder / str(step)

    def save(self, step: int, saved: Saved, *, score: float | None = None) -> None:
        """Copies what there is to save, and starts to write it; waits for the save before it.

        Args:
            step: its number, larger than those before.
            saved: arrays of this process's devices are read from the first of them.
            score: held-out J at this step, where it was measured.

        Raises:
            InputError: this checkpoint, or the one before, cannot be written.
        """
        arrays = {name: jax.tree.map(_copy, getattr(saved, name)) for name in _ARRAYS}
        values = {name: getattr(saved, name) for name in _SAVED_JSON}
        metrics = {} if score is None else {SCORE: score}
        sums = checksums.compute(arrays, values | {_METRICS: metrics})
        items = ocp.args.Composite(
            **{name: ocp.args.StandardSave(tree) for name, tree in arrays.items()},
            **{name: ocp.args.JsonSave(v) for name, v in (values | {checksums.ITEM: sums}).items()},
        )
        try:
            self._manager.save(step, args=items, metrics=metrics, force=True)
        except Exception as error:  # storage errors come in every type
            raise self._cannot_write(error) from error

    def restore(self, step: int, params: PyTree, train: PyTree) -> Saved:
        """A checkpoint, exactly as it was saved; its arrays are numpy's.

        Args:
            step: one that was saved.
            params: of the shapes and types that are expected.
            train: the same.

        Raises:
            DamagedCheckpointError: it is damaged, or was made by a run with another network or
                optimizer.
        """
        targets = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), (params, train))
        path = self.path(step)
        items = ocp.args.Composite(
            **{
                name: ocp.args.StandardRestore(target)
                for name, target in zip(_ARRAYS, targets, strict=True)
            }
        )
        try:
            found = self._manager.restore(step, args=items)
            arrays = {name: found[name] for name in _ARRAYS}
            # Orbax reads an array of another shape without a word.
            jax.tree.map(_check_alike, targets, tuple(arrays.values()))
        except Exception as error:  # storage errors come in every type
            raise DamagedCheckpointError(
                path, "or was made by another network or optimizer"
            ) from error
        values = {name: checksums.read_item(path, name) for name in _SAVED_JSON}
        checksums.verify(path, checksums.compute(arrays, values))
        return Saved(**arrays, **values)

    def restore_latest(self, params: PyTree, train: PyTree) -> tuple[int, Saved] | None:
        """The last checkpoint that is whole, with its step; None where nothing was saved.

        Damaged ones after it get another name, so that they do not count.

        Raises:
            DamagedCheckpointError: none of them can be read.
        """
        errors: dict[int, DamagedCheckpointError] = {}
        for step in self.steps:
            try:
                saved = self.restore(step, params, train)
            except DamagedCheckpointError as error:
                errors[step] = error
                continue
            for damaged, error in errors.items():
                _set_aside(self.path(damaged), error)
            self._manager.reload()
            return step, saved
        if errors:
            raise errors[max(errors)]
        return None

    def _set_aside_unscored(self) -> None:
        """Those whose score cannot be read, on which Orbax would stop; but not all there are."""
        written = _written(self._folder)
        errors: dict[Path, DamagedCheckpointError] = {}
        for path in written:
            try:
                _check_score(path)
            except DamagedCheckpointError as error:
                errors[path] = error
        if errors and len(errors) == len(written):
            raise errors[max(errors, key=lambda path: int(path.name))]
        for path, error in errors.items():
            _set_aside(path, error)

    def close(self) -> None:
        """Waits until everything is written.

        Raises:
            InputError: the last checkpoint cannot be written.
        """
        if self._failed:
            return
        try:
            self._manager.close()
        except Exception as error:  # storage errors come in every type
            raise self._cannot_write(error) from error
        self._told_once.close()  # else its threads may still have something to tell

    def _cannot_write(self, error: Exception) -> InputError:
        self._failed = True
        remove_unfinished(self._folder, "*")
        written = [int(path.name) for path in _written(self._folder)]
        place = f"step {max(written)}" if written else "the start"
        return InputError(
            f"A checkpoint cannot be written to {self._folder} ({reason_of(error)}); make room or "
            f"let it be written to, and give the same command again to go on from {place}."
        )


def best(folder: Path) -> Path:
    """The checkpoint of a run with the best score; the latest where none has one.

    Args:
        folder: `checkpoints` of the run.

    Raises:
        InputError: no checkpoint is complete, or the score of one is damaged.
    """
    folder = absolute(folder)
    for path in _written(folder):
        _check_score(path)
    manager = _manager(folder, create=False, save_root_metadata=False)
    try:
        step = manager.best_step()
    finally:
        manager.close()
    if step is None:
        raise InputError(f"There is no complete checkpoint in {folder} yet.")
    return folder / str(step)


def _written(folder: Path) -> list[Path]:
    try:
        found = list(folder.iterdir())
    except FileNotFoundError:
        # A store has no empty folders. That of a new run comes and goes with what the hosts write
        # to try it, so asking first whether it is there would not help.
        return []
    return [path for path in found if path.name.isdecimal() and path.is_dir()]


def _check_score(path: Path) -> None:
    """Looks at the score of a checkpoint, which Orbax takes for granted."""
    if not (path / _METRICS).is_dir():
        return
    metrics = checksums.read_item(path, _METRICS, _METRICS)
    checksums.verify(path, checksums.compute({}, {_METRICS: metrics}))
    if not isinstance(metrics, Mapping) or not _is_score(metrics.get(SCORE, 0)):
        raise DamagedCheckpointError(path, f"its score is {shown(metrics)}")


def _set_aside(path: Path, error: DamagedCheckpointError) -> None:
    """Gives a checkpoint that cannot be read a name that does not count, and says so."""
    if jax.process_index() == 0:
        aside = path.with_name(f"{path.name}.damaged")
        path.rename(aside)
        _LOG.warning("%s Until then it is %s, and counts no more.", error, aside)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("set aside")


def _is_score(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def handlers() -> dict[str, ocp.CheckpointHandler]:
    """Of the items of a checkpoint, by name."""
    arrays = {name: ocp.StandardCheckpointHandler() for name in _ARRAYS}
    return arrays | {name: ocp.JsonCheckpointHandler() for name in _JSON}


_ARRAYS = ("params", "train")
_SAVED_JSON = ("iterator", "log", "settings")
_JSON = (*_SAVED_JSON, checksums.ITEM)
_METRICS = "metrics"  # written by Orbax, by which it finds the best


def _manager(folder: Path, **options: Any) -> ocp.CheckpointManager:
    return ocp.CheckpointManager(
        folder,
        item_handlers=handlers(),
        options=ocp.CheckpointManagerOptions(best_fn=_score, best_mode="max", **options),
    )


def _score(metrics: Mapping[str, float]) -> float:
    return metrics.get(SCORE, -np.inf)


def _copy(leaf: jax.Array | np.ndarray) -> np.ndarray:
    """A copy: the step that follows donates the memory of its arrays."""
    return np.array(leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf)


def _check_alike(expected: np.ndarray, found: np.ndarray) -> None:
    if (expected.shape, expected.dtype) != (found.shape, found.dtype):
        raise ValueError(f"{found.dtype}{found.shape} in the place of {expected.shape}")
