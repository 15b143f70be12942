"""One small file for a trained network: integers with a scale for each channel, and the settings.

A zip archive of `.npy` arrays and `settings.json`, readable by `numpy.load` and without unpickling:
large kernels are stored as `<name>.values` (int8) and `<name>.scales` (float32, one for each output
channel), everything else as `<name>` in float32. Integers of more than 8 bits have their lower 8 in
`<name>.low` (uint8), apart from the others because that compresses better. The same parameters give
the same bytes.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import numpy as np
from jaxtyping import Float, Int

from ranet_jax.array_typing import Params
from ranet_jax.checkpoints.checksums import check_finite
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder, refuse_existing, replacing
from ranet_jax.io.json_files import parse_json
from ranet_jax.io.paths import absolute, as_path

DEFAULT = "default"
LIMIT = 40_000_000  # bytes; what a repository can carry
MAX_LEVELS = 511  # of either sign: 10 bits
MIN_LEVELS = 15
MIN_PACKED = 1 << 14  # kernels of fewer values stay float32: they cost little and matter much
_VALUES, _LOW, _SCALES, _SETTINGS = ".values", ".low", ".scales", "settings.json"
_MAX_BYTES = 2**31  # of all members, unpacked; a RANet has 0.26 GB
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Layer(NamedTuple):
    """How one parameter was stored.

    Attributes:
        name: its path, such as `merge/block1/conv/kernel`.
        levels: integers of either sign; 0 where it stayed float32.
        size: bytes in the file.
        largest_error: largest difference, relative to the largest value of its output channel; at
            most 1 / (2 * levels).
        mean_error: root mean square difference, relative to the root mean square value.
    """

    name: str
    levels: int
    size: int
    largest_error: float
    mean_error: float


class Quantized(NamedTuple):
    """Integers times the scale of their output channel (the last axis)."""

    values: Int[np.ndarray, "*inputs out"]
    scales: Float[np.ndarray, " out"]


def quantize(kernel: Float[np.ndarray, "*inputs out"], levels: int = MAX_LEVELS) -> Quantized:
    """Rounds each output channel to whole parts of its largest value, `levels` of either sign."""
    largest = np.max(np.abs(kernel), axis=tuple(range(kernel.ndim - 1)))
    scales = (largest / levels).astype(np.float32)
    # A channel of zeros, or of values too small for a scale, becomes zeros.
    divisors = np.where(scales > 0, scales, 1).astype(np.float32)
    rounded = np.where(scales > 0, np.rint(kernel / divisors), 0)
    kind = np.int8 if levels <= np.iinfo(np.int8).max else np.int16
    return Quantized(np.clip(rounded, -levels, levels).astype(kind), scales)


def restore(quantized: Quantized) -> Float[np.ndarray, "*inputs out"]:
    """The values that the integers stand for, float32."""
    return quantized.values.astype(np.float32) * quantized.scales


def save(
    path: Path | str, settings: Mapping[str, Any], params: Params, *, limit: int = LIMIT
) -> list[Layer]:
    """Writes parameters and settings into one file of at most `limit` bytes.

    Kernels start with 10 bits a value; while the file is too large, the largest of those with the
    most bits gives up one of them.

    Args:
        path: the file to create, `.npz`.
        settings: plain JSON values, as `checkpoint.read_settings` gives them.
        params: float32.
        limit: in bytes.

    Returns:
        How each parameter was stored, in the order of their names.

    Raises:
        InputError: if `path` exists, cannot be written or has another suffix, a parameter is not
            finite, or the network is too large for the limit.
    """
    path = absolute(path)
    if path.suffix != ".npz":
        raise InputError(f"{path.name} is no name for a packed checkpoint: let it end in .npz.")
    refuse_existing(path)
    flat = {name: np.asarray(value, np.float32) for name, value in _flatten(params).items()}
    check_finite("What is to be packed", flat)
    make_output_folder(path.parent)
    text = json.dumps(dict(settings), sort_keys=True, indent=1).encode()
    levels = {name: MAX_LEVELS if _is_large(value) else 0 for name, value in flat.items()}
    members = {name: _members(name, value, levels[name]) for name, value in flat.items()}
    sizes = {name: _size(own) for name, own in members.items()}
    while sum(sizes.values()) + _size({_SETTINGS: text}) > limit:
        name = max(levels, key=lambda n: (levels[n], flat[n].size))
        if levels[name] // 2 < MIN_LEVELS:
            raise InputError(f"The network is too large for a file of {limit / 1e6:g} MB.")
        levels[name] //= 2
        members[name] = _members(name, flat[name], levels[name])
        sizes[name] = _size(members[name])
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for own in [{_SETTINGS: text}, *(members[name] for name in sorted(members))]:
            for member, content in own.items():
                file.writestr(zipfile.ZipInfo(member, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return [_describe(name, flat[name], levels[name], sizes[name]) for name in sorted(flat)]


def load(path: Path | str) -> tuple[dict[str, Any], Params]:
    """Settings and parameters (NumPy, float32) from a file written by `save`.

    Raises:
        InputError: if the file is missing, damaged, or something else.
    """
    path = as_path(path)
    settings, arrays = _read(path, everything=True)
    kernels = [name.removesuffix(_VALUES) for name in arrays if name.endswith(_VALUES)]
    parts = (_VALUES, _LOW, _SCALES)
    flat = {name: value for name, value in arrays.items() if not name.endswith(parts)}
    try:
        for name in kernels:
            values = arrays[name + _VALUES]
            if name + _LOW in arrays:
                values = values.astype(np.int16) * 256 + arrays[name + _LOW]
            flat[name] = restore(Quantized(values, arrays[name + _SCALES]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error
    check_finite(f"The packed checkpoint {path}", flat)
    return settings, flax.traverse_util.unflatten_dict(flat, sep="/")


def read_settings(path: Path | str) -> dict[str, Any]:
    """The settings in a file written by `save`.

    Raises:
        InputError: as `load` does.
    """
    return _read(as_path(path), everything=False)[0]


def is_packed(path: Path | str) -> bool:
    """Whether that is a file written by `save`, by its list of contents alone."""
    path = as_path(path)
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return _SETTINGS in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def resolve(name: Path | str) -> Path:
    """The path that a checkpoint's path or name stands for; `default` is the default model.

    Raises:
        InputError: if `default` was asked for and is missing from the installation.
    """
    if str(name) != DEFAULT or Path(name).exists():
        return as_path(name)
    shipped = Path(__file__).parents[1] / "weights" / "default.npz"
    if not shipped.is_file():
        raise InputError(
            f"The trained network {shipped} is missing from this installation; install the "
            "package again, or give the path of a checkpoint."
        )
    return shipped


def _flatten(params: Params) -> dict[str, Any]:
    return flax.traverse_util.flatten_dict(params, sep="/")


def _is_large(value: np.ndarray) -> bool:
    return value.ndim == 4 and value.size >= MIN_PACKED


def _members(name: str, value: np.ndarray, levels: int) -> dict[str, bytes]:
    """The parameter as files of the archive."""
    if not levels:
        return {f"{name}.npy": _npy(value)}
    values, scales = quantize(value, levels)
    parts = {_SCALES: scales, _VALUES: values}
    if values.dtype != np.int8:
        parts |= {_VALUES: (values >> 8).astype(np.int8), _LOW: (values & 255).astype(np.uint8)}
    return {f"{name}{part}.npy": _npy(array) for part, array in parts.items()}


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _size(members: Mapping[str, bytes]) -> int:
    """Bytes they take in the archive, their entries in its directory included; a little more."""
    return sum(
        len(zlib.compress(content)) + 2 * len(name) + 128 for name, content in members.items()
    )


def _describe(name: str, value: np.ndarray, levels: int, size: int) -> Layer:
    if not levels:
        return Layer(name, 0, size, 0.0, 0.0)
    error = np.abs(restore(quantize(value, levels)) - value)
    inputs = tuple(range(value.ndim - 1))
    largest = np.max(np.abs(value), axis=inputs)
    relative = np.max(error, axis=inputs) / np.where(largest > 0, largest, 1)
    whole = max(float(np.linalg.norm(value)), np.finfo(np.float32).tiny)
    return Layer(name, levels, size, float(relative.max()), float(np.linalg.norm(error)) / whole)


def _read(path: Path, everything: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The settings, and all arrays by name if asked for."""
    if not path.is_file():
        raise InputError(f"There is no packed checkpoint {path}; `ranet pack` makes one.")
    try:
        with path.open("rb") as opened:
            if not zipfile.is_zipfile(opened):
                raise _not_packed(path)
            file = zipfile.ZipFile(opened)
            names = file.namelist()
            if _SETTINGS not in names:
                raise _not_packed(path)
            if sum(member.file_size for member in file.infolist()) > _MAX_BYTES:
                raise ValueError("members that would unpack to far more than any network")
            settings = parse_json(file.read(_SETTINGS).decode(), f"{path}")
            if not isinstance(settings, dict) or len(set(names)) < len(names):
                raise ValueError("settings that are none, or a member that is there twice")
            wanted = [n for n in names if n != _SETTINGS] if everything else []
            # Reading a member to its end checks its checksum.
            arrays = {n.removesuffix(".npy"): _array(file.read(n)) for n in wanted}
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib, json and numpy each raise their own
        raise _damaged(path) from error
    return settings, arrays


def _not_packed(path: Path) -> InputError:
    return InputError(
        f"{path} is not a packed checkpoint, or its end is missing: copy it again, or make one "
        "with `ranet pack` (published weights become a checkpoint with `ranet convert`)."
    )


def _damaged(path: Path) -> InputError:
    return InputError(f"The packed checkpoint {path} is damaged; pack or copy it again.")


def _array(content: bytes) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
