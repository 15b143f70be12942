"""Writing files so that a half-written one never carries its final name.

A store such as `gs://` shows an object when all of it has arrived: there, what was written on this
machine is sent in one piece.
"""

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.io.paths import as_path, is_address

_LONGEST_NAME = 200  # bytes; most file systems allow 255, and a temporary name is longer
_TEMPORARY = re.compile(r"\..+\.(\d+)\.part")
_unfinished: set[Path] = set()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a hidden temporary path beside `path`, renamed to `path` when the block succeeds.

    A block that raises, an interrupt included, leaves `path` as it was and nothing beside it. Where
    the system refuses, the `OSError` names `path`.
    """
    if is_address(path):
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder) / path.name
            yield own
            path.write_bytes(own.read_bytes())
        return
    temporary = path.with_name(f".{_shortened(path.name)}.{os.getpid()}.part")
    _unfinished.add(temporary)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        # The folder may be what is in the way.
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, temporary, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        _unfinished.discard(temporary)


def _shortened(name: str) -> str:
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST_NAME else hashlib.sha256(encoded).hexdigest()


def remove_unfinished() -> None:
    """Removes what `replacing` has lent and not taken back, before the process ends at once."""
    for temporary in list(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove_leftovers(folder: Path, *, depth: int = 0) -> None:
    """Removes what processes that were killed while writing left in a folder, and `depth` below."""
    levels = [folder.glob("*/" * level + ".*.part") for level in range(depth + 1)]
    for entry in itertools.chain(*levels):
        found = _TEMPORARY.fullmatch(entry.name)
        if found and not _runs(int(found[1])):
            with contextlib.suppress(OSError):
                entry.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, or no number of a process
        return True
    return True


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields a new hidden folder beside `path`; it replaces `path` when the block succeeds, and is
    removed when it raises."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        # A killed process may have left one.
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file whole, in a folder that is made where missing.

    Names of files may hold bytes that are no text: these are written as their escapes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def refuse_existing(path: Path | str) -> None:
    """Raises InputError where `path` exists: a checkpoint is never overwritten."""
    if as_path(path).exists():
        raise InputError(f"{path} exists already; choose another name or remove it first.")


def make_output_folder(path: Path) -> Path:
    """Makes the folder and tries a file in it, so that a long run does not fail at its end.

    Raises:
        InputError: The folder cannot be made, or not written to.
    """
    path = as_path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        _try_to_write(path)
        if not is_address(path):
            remove_leftovers(path)
    except Exception as error:  # those of a store come in every type
        if not isinstance(error, OSError) and not is_address(path):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Cannot write to the output folder {path} ({reason}); choose another folder."
        ) from error
    return path


def _try_to_write(folder: Path) -> None:
    if is_address(folder):
        probe = folder / f".{os.getpid()}.part"
        probe.write_bytes(b"")
        probe.unlink()
        return
    with tempfile.TemporaryFile(dir=folder):
        pass
