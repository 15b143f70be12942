"""One process at a time in a folder."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder, remove_leftovers
from ranet_jax.io.paths import is_address

try:
    import fcntl
except ImportError:  # no POSIX system: no locks
    fcntl = None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes that ask for the same out of a folder, which is made where missing.

    The lock is the system's, on the folder itself: a process that is killed holds it no longer, and
    no file tells of it. A block that raises leaves no folder that was made for it and is empty.
    Addresses, and file systems without locks, are not locked.

    Raises:
        InputError: another process is at work there, or the folder cannot be written to.
    """
    if is_address(folder):
        yield
        return
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    make_output_folder(folder)
    held = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if held is not None:
            _lock(held, folder)
        remove_leftovers(folder, depth=2)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for place in missing:
                place.rmdir()
        raise
    finally:
        if held is not None:
            os.close(held)


def _lock(held: int, folder: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"The folder {folder} is in use by another process: wait until that has ended, or "
            "choose another folder."
        ) from None
    except OSError:  # network file systems without locks
        return
