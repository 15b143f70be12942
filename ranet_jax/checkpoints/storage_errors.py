"""What the storage library makes of a write that the system refuses, as the one thing to tell.

It raises an error, and before that its threads print others, with tracebacks.
"""

import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ranet_jax.errors import system_error
from ranet_jax.io.paths import is_address


def reason_of(error: BaseException) -> str:
    """What the system says of an error that the storage library has wrapped, in one phrase."""
    while error.__cause__ is not None:
        error = error.__cause__
    refused = error if isinstance(error, OSError) else system_error(str(error))
    if refused is not None and refused.strerror:
        return refused.strerror
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def remove_unfinished(folder: Path, name: str) -> None:
    """Removes what the library had written so far of checkpoints, under longer names.

    Args:
        folder: that they were to be in.
        name: a pattern of theirs.
    """
    if not is_address(folder):
        for left in folder.glob(f"{name}.orbax-checkpoint-tmp*"):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def told_once() -> Iterator[None]:
    """Nothing is printed in this context of errors that are raised as well."""
    logger, before = logging.getLogger("absl"), sys.unraisablehook

    def show(unraisable: Any) -> None:
        # Of writes that are still going on when another one has failed.
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    logger.addFilter(_is_news)
    # For good: what nothing waits for any more is told when it is freed, at the end of the process.
    logging.getLogger("asyncio").addFilter(_is_news)
    sys.unraisablehook = show
    try:
        yield
    finally:
        sys.unraisablehook = before
        logger.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    if record.name == "asyncio":  # of the library's writes that nothing waits for any more
        return "was never retrieved" not in record.getMessage()
    return record.levelno < logging.ERROR or "orbax" not in Path(record.pathname).parts
