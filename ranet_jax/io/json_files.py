"""Values as JSON files."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ranet_jax.errors import InputError
from ranet_jax.io.atomic import write_text
from ranet_jax.io.paths import refuse_special

_CHECKSUM = "checksum"
_MAX_DEPTH = 100


def write_json(path: Path, value: Any) -> None:
    """Writes JSON; NaN becomes null."""
    write_text(path, json.dumps(to_jsonable(value), indent=1, allow_nan=False) + "\n")


def write_record(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a JSON object with its checksum, by which `read_json` knows whether it was changed."""
    values = to_jsonable(values)
    write_json(path, {**values, _CHECKSUM: checksum(values)})


def checksum(value: Any) -> str:
    """CRC-32 of a value of plain JSON, however it is written."""
    return f"{zlib.crc32(json.dumps(value, sort_keys=True).encode()):08x}"


def to_jsonable(value: Any) -> Any:
    """A value as JSON keeps it: lists for arrays and tuples, None for NaN."""
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [to_jsonable(item) for item in value]
    if isinstance(value, np.generic):
        return to_jsonable(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def read_json(path: Path) -> Any | None:
    """The contents of a JSON file; None where there is no such file.

    Raises:
        InputError: it is there and cannot be read, is no JSON, or was changed since `write_record`.
    """
    refuse_special(path)
    try:
        value = parse_json(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path} cannot be read ({reason}): put back a good copy.") from error
    if value is None:
        raise InputError(f"{path} is damaged (null instead of values): put back a good copy.")
    if not isinstance(value, dict) or _CHECKSUM not in value:
        return value
    found = value.pop(_CHECKSUM)
    if found != checksum(value):
        raise InputError(f"{path} is damaged or was edited: its checksum is another.")
    return value


def parse_json(text: str, source: str) -> Any:
    """The value that JSON text stands for.

    Raises:
        InputError: it is no JSON; `source` is what to call it.
    """
    try:
        value = json.loads(text)
        _check_depth(value)
        return value
    # Besides bad syntax: numbers of thousands of digits, and lists in lists without end.
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{source} is damaged (no JSON: {error}): put back a good copy."
        ) from error


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise ValueError(f"values within more than {_MAX_DEPTH} others")
