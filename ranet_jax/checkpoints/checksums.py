"""Checksums of what a checkpoint holds: Orbax's format has none, and reads damaged bytes as values.

They are kept as one more item of a checkpoint. One without it, written by an earlier version, is
taken as it is.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from ranet_jax.errors import InputError
from ranet_jax.io.json_files import checksum, read_json

ITEM = "checksums"
JSON_FILE = "metadata"  # Orbax's name for the file of a JSON item


class DamagedCheckpointError(InputError):
    """A checkpoint that cannot be read, or is not what was written."""

    def __init__(self, path: Path, reason: str):
        super().__init__(
            f"The checkpoint {path} is damaged or incomplete ({reason}); make or copy it again."
        )


def compute(arrays: Mapping[str, PyTree], values: Mapping[str, Any]) -> dict[str, Any]:
    """Checksums of the items of a checkpoint, by name.

    Args:
        arrays: trees of NumPy arrays.
        values: what is written as JSON.
    """
    return {name: _of_tree(tree) for name, tree in arrays.items()} | {
        name: checksum(json.loads(json.dumps(value))) for name, value in values.items()
    }


def verify(path: Path, items: Mapping[str, Any]) -> None:
    """Compares items with their checksums.

    Args:
        path: of the checkpoint.
        items: those that `compute` makes of what was read.

    Raises:
        DamagedCheckpointError: one is another, or the checksums cannot be read.
    """
    if not (path / ITEM).is_dir():
        return
    known = read_item(path, ITEM)
    for name, found in items.items():
        expected = known.get(name) if isinstance(known, Mapping) else None
        if found == expected:
            continue
        if isinstance(found, Mapping) and isinstance(expected, Mapping):
            name = next(key for key in found | expected if found.get(key) != expected.get(key))
        raise DamagedCheckpointError(path, f"the checksum of {name} is another")


def read_item(path: Path, name: str, file: str = JSON_FILE) -> Any:
    """The value of a JSON item of a checkpoint.

    Args:
        path: of the checkpoint.
        name: of the item.
        file: in its folder.

    Raises:
        DamagedCheckpointError: it is missing or no JSON.
    """
    try:
        value = read_json(path / name / file)
    except InputError as error:
        raise DamagedCheckpointError(path, f"{name} is no JSON") from error
    if value is None:
        raise DamagedCheckpointError(path, f"it has no {name}")
    return value


def check_finite(source: str, tree: PyTree) -> None:
    """Refuses parameters that no network computes anything with.

    Args:
        source: what to call them in the error.
        tree: of arrays.

    Raises:
        InputError: a value is NaN or infinite, or no real number.
    """
    for name, leaf in _named(tree):
        values = np.asarray(leaf)
        real = np.issubdtype(values.dtype, np.floating)
        if not real or not np.isfinite(values).all():
            what = "values that are NaN or infinite" if real else f"{values.dtype} values"
            raise InputError(f"{source} holds {what} (in {name}): get weights that are whole.")


def _of_tree(tree: PyTree) -> dict[str, str]:
    return {
        name: f"{zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8)):08x}"
        for name, leaf in _named(tree)
    }


def _named(tree: PyTree) -> list[tuple[str, Any]]:
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in flat]
