"""Where things lie: paths on this machine, or addresses in a store such as `gs://BUCKET/FOLDER`.

What a run writes and what is read from a run may be either; both have the methods of `pathlib`.
Made from text by `as_path` alone: `pathlib.Path` takes an address for a folder called `gs:`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ranet_jax import extras
from ranet_jax.errors import InputError

STORES = ("gs", "s3")
_MARK = "://"
# Bytes; file systems take 255, and what is written beside it has a longer name.
_MAX_NAME = 200


def as_path(place: str | os.PathLike) -> Path:
    """A path, of `etils.epath` where `place` is an address.

    Raises:
        InputError: the address is of an unknown kind, or what reads it is not installed; or that is
            no path at all.
    """
    text = _text(place)
    if not is_address(text):
        return Path(text)
    store = text.partition(_MARK)[0]
    if store not in STORES:
        raise InputError(
            f"{text} cannot be reached: an address begins with "
            f"{' or '.join(name + _MARK for name in STORES)}, a path has no {_MARK} in it."
        )
    extras.require({"gs": "gcs"}.get(store, store), f"The address {text}")
    from etils import epath

    return epath.Path(text)


def _text(place: str | os.PathLike) -> str:
    if not isinstance(place, str | os.PathLike) or not isinstance(os.fspath(place), str):
        raise InputError(f"A path is needed, not {type(place).__name__}.")
    text = os.fspath(place)
    if "\0" in text or not text:
        raise InputError(f"{text!r} is no path: give the name of a file or a folder.")
    return text


def is_address(place: str | os.PathLike) -> bool:
    """Whether that lies in a store rather than on this machine."""
    return _MARK in _text(place)


def absolute(place: str | os.PathLike) -> Path:
    """A path that means the same wherever the process goes."""
    path = as_path(place)
    return path if is_address(path) else path.absolute()


def local(place: str | os.PathLike) -> Path:
    """A path on this machine, of what has to be read or written there.

    Raises:
        InputError: it is an address.
    """
    if is_address(place):
        raise InputError(
            f"{os.fspath(place)} is an address: copy it to a folder of this machine and name that."
        )
    return Path(place)


def is_plain_name(name: str) -> bool:
    """Whether a name that was read from a file is that of one file or folder, and nothing else.

    It is to become a path that is written: `..` or a separator would lead elsewhere.
    """
    return (
        name not in ("", ".", "..")
        and name.isprintable()
        and not set(name) & set("/\\")
        and len(name.encode()) <= _MAX_NAME
    )


def read_bytes(path: Path) -> bytes:
    """The contents of a file.

    Raises:
        InputError: see `refuse_special`.
    """
    refuse_special(path)
    return path.read_bytes()


def refuse_special(path: Path) -> None:
    """Refuses pipes, devices and sockets, whose reading may never end.

    Raises:
        InputError: `path` is one.
    """
    if not is_address(path) and path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(
            f"{path} is a pipe or a device: copy its contents to a file and name that."
        )


def files_within(folder: Path) -> Iterator[Path]:
    """All files of a folder at any depth; `rglob` does not go into a store."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from files_within(path)
        else:
            yield path


def size_and_time(file: Path) -> tuple[int, int]:
    """Bytes of a file, and when it was last written: nanoseconds, or a store's seconds."""
    found = file.stat()
    if is_address(file):
        return found.length, found.mtime
    return found.st_size, found.st_mtime_ns
