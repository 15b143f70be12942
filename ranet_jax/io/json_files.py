"""Values as JSON files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ranet_jax.io.atomic import write_text


def write_json(path: Path, value: Any) -> None:
    """Writes JSON; NaN becomes null."""
    write_text(path, json.dumps(to_jsonable(value), indent=1, allow_nan=False) + "\n")


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
    """The contents of a JSON file, or None if there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
