"""The standard streams as they may be: closed, full, without a reader, or unable to show a name."""

import contextlib
import os
import select
import sys
from typing import TextIO


def prepare() -> None:
    """Lets every text be shown, and opens what is closed, so that no other file takes its place."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # A file of the user's would get the number of the stream, and what libraries print.
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Has everything printed so far arrive.

    Raises:
        OSError: it cannot; its file name says that it is the output.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        error.filename = error.filename or "The output"
        raise


def reader_is_gone() -> bool:
    """Whether the standard output is a pipe that nobody reads any more."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no `poll`, or no real stream
        return False


def drop(stream: TextIO) -> None:
    """Sends what a stream could not write nowhere: the interpreter would try again at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def tell(message: str) -> None:
    """Prints a line on the error stream, if anything can be printed there."""
    try:
        print(message, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        drop(sys.stderr)
