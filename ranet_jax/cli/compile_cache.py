"""Compiled programs on disk: what one run of a command compiled, the next one reads.

This is JAX's persistent compilation cache, kept in the platform's folder for caches. Commands that
report how long compiling takes go without.
"""

import argparse
import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs

FOLDER = "RANET_CACHE_DIR"
OFF = "RANET_NO_CACHE"
# JAX warns so of a file that it could not read or write, and continues without it.
_TROUBLE = r"Error (reading|writing) persistent compilation cache entry for '(?P<program>[^']*)'"


def add_cache_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--no-cache`."""
    parser.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="neither read nor keep compiled programs, as with the environment variable "
        f"{OFF}=1 (default: they are kept in {FOLDER} or the user's folder for caches)",
    )


@contextlib.contextmanager
def compile_cache(wanted: bool) -> Iterator[None]:
    """Keeps what is compiled in the block, and reads what was kept before.

    A cache that cannot be written is left alone; an entry that cannot be read is compiled again and
    replaced. Where the user has set JAX's own variable, the cache is the one named there. JAX reads
    its settings when it is imported: in a process that has done so already nothing changes.

    Args:
        wanted: False reads and keeps nothing, wherever the user has a cache; so does the
            environment variable `RANET_NO_CACHE`, unless it is empty or 0.
    """
    if not wanted or os.environ.get(OFF, "0") not in ("", "0"):
        settings = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    elif "JAX_COMPILATION_CACHE_DIR" in os.environ or (folder := _writable_folder()) is None:
        settings = {}
    else:
        # Hundreds of small programs take as long as the few large ones.
        settings = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        settings["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        with _repaired(os.environ.get("JAX_COMPILATION_CACHE_DIR")):
            yield
    finally:
        for name in settings:
            os.environ.pop(name)
        os.environ.update({name: before[name] for name in settings.keys() & before.keys()})


def remove_damaged(folder: Path, warning: str) -> bool:
    """Removes the entries of the program that JAX warns of, which it would not replace.

    Args:
        folder: of the cache.
        warning: any warning's text.

    Returns:
        Whether it was a warning of the cache.
    """
    trouble = re.match(_TROUBLE, warning)
    if trouble is None:
        return False
    for entry in folder.glob(f"{trouble['program']}-*"):
        with contextlib.suppress(OSError):
            entry.unlink()
    return True


def _writable_folder() -> Path | None:
    """The folder, for the user alone: who can write to it can run code as the user."""
    named = os.environ.get(FOLDER)
    folder = Path(named) if named else platformdirs.user_cache_path("ranet-jax", appauthor=False)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


@contextlib.contextmanager
def _repaired(folder: str | None) -> Iterator[None]:
    """Removes the entries that JAX warns of, instead of showing the warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_TROUBLE)
        show = warnings.showwarning

        def repair(message: Warning | str, *where: Any, **more: Any) -> None:
            if folder is None or not remove_damaged(Path(folder), str(message)):
                show(message, *where, **more)

        warnings.showwarning = repair
        yield
