"""The folder of a run belongs to one experiment."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from jax.experimental import multihost_utils

from ranet_jax.checkpoints.manager import FOLDER
from ranet_jax.checkpoints.settings import ModelConfig
from ranet_jax.errors import InputError, listed
from ranet_jax.io.atomic import make_output_folder
from ranet_jax.io.json_files import read_json, to_jsonable, write_json
from ranet_jax.io.paths import absolute, refuse_special
from ranet_jax.training.metric_writer import CURVE, METRICS

CONFIG = "config.json"
# What may change when a run is resumed: how long it is, what is written when, where things lie, and
# who makes the batches. The batches themselves stay the same.
_MAY_CHANGE = ("steps", "log.", "eval.every", "eval.root", "data.root", "data.data_dir")
_MAY_CHANGE += ("data.workers", "data.threads")


def reserve(workdir: Path, config: Mapping[str, Any]) -> Path:
    """Reserves a folder for an experiment, or resumes it if it holds the same one.

    Args:
        workdir: is made where it is not there.
        config: written there as `config.json`, by the first process.

    Raises:
        InputError: the folder holds another experiment, with the names of the settings that differ,
            or cannot be written to.
    """
    workdir = make_output_folder(absolute(workdir))
    for name in (CONFIG, METRICS, CURVE):
        # Later there would be threads at work that do not survive the error.
        refuse_special(workdir / name)
        if (workdir / name).is_dir():
            raise InputError(
                f"{workdir / name} is a folder where a run has a file: choose another --workdir."
            )
    path, config = workdir / CONFIG, to_jsonable(config)
    # In this order: the first process of the same run may be writing its config meanwhile.
    held = path.exists() or (workdir / FOLDER).exists()
    before = read_json(path)
    if before is None and held:
        raise InputError(
            f"{workdir} has checkpoints but no {CONFIG}, which says what they are of: choose "
            "another --workdir."
        )
    if before is not None:
        if not isinstance(before, Mapping):
            raise InputError(f"{path} is damaged: it holds no settings; put back a good copy.")
        # A field of the network that is new since then had its default.
        defaults = dict(_flat({"model": dataclasses.asdict(ModelConfig())}))
        old, new = (defaults | dict(_flat(settings)) for settings in (before, config))
        # Any other key that is new has no old value, and the other way round.
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        changed = sorted(key for key in changed if not key.startswith(_MAY_CHANGE))
        if changed:
            raise InputError(
                f"{workdir} holds a run with another {listed(changed)}: choose another --workdir, "
                "or the settings in its config.json."
            )
    if jax.process_index() == 0:
        write_json(path, config)
    if jax.process_count() > 1:
        # Nobody makes the folder of checkpoints before all have looked for it.
        multihost_utils.sync_global_devices("reserve")
    return workdir


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
