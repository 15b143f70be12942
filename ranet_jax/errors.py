"""The one exception that stands for a mistake in what the user gave us, and words for it."""

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator

MAX_NAMES = 10  # in one sentence
MAX_SENTENCE = 800  # characters

_SPACE = "free some space, or choose a folder on another disk"
_ADVICE = {
    errno.EAGAIN: "close other programs, or raise the limit on processes (`ulimit -u`)",
    errno.EACCES: "ask for the right to it, or choose another place",
    errno.EDQUOT: _SPACE,
    errno.EEXIST: "choose another name, or remove what is there",
    errno.EFBIG: "raise the limit on the size of files, or choose another disk",
    errno.EIO: "the disk fails; choose another one",
    errno.EISDIR: "a folder stands where a file is needed; choose another name or remove it",
    errno.ELOOP: "its links lead in a circle; name the file itself",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENFILE: "close other programs, which hold too many files open",
    errno.ENOENT: "check the path",
    errno.ENOMEM: "close other programs, or choose smaller sizes",
    errno.ENOSPC: _SPACE,
    errno.ENOTDIR: "a file stands where a folder is needed; choose another name or remove it",
    errno.EPERM: "ask for the right to it, or choose another place",
    errno.EROFS: "choose a folder that can be written to",
}
# Libraries in C++ tell of the system in errors of their own types: by these words.
_REASONS = {os.strerror(number): number for number in _ADVICE}
_OUT_OF_MEMORY = re.compile(r"RESOURCE_EXHAUSTED|[Oo]ut of memory|bad_alloc")
_TOO_LARGE = (
    "There is not enough memory for this: choose a smaller size, fewer objects, or a smaller batch."
)


class InputError(ValueError):
    """Bad input: a file, a mask, a checkpoint or a setting that cannot be used.

    Its message is one sentence for the person at the keyboard: what is wrong and what to do about
    it. The command line prints that sentence and exits with status 2; a traceback would add
    nothing.
    """


def explain(error: BaseException) -> str | None:
    """One sentence for an exception that is not the program's fault; None for any other.

    That is bad input, and what the system refuses: a disk that is full, a file that may not be
    written, memory that is not there. The cause of an exception counts as well.
    """
    for cause in _chain(error):
        if isinstance(cause, InputError):
            return one_line(str(cause))
        if isinstance(cause, OSError):
            return one_line(_describe_os_error(cause))
        if isinstance(cause, MemoryError):
            return _TOO_LARGE
        if refused := system_error(str(cause)):
            return one_line(_describe_os_error(refused))
        if isinstance(cause, RuntimeError | ValueError) and _OUT_OF_MEMORY.search(str(cause)):
            return _TOO_LARGE
        if type(cause).__name__ == "BrokenProcessPool":
            return "A helper process was ended from outside, or for want of memory: try again."
    return None


def system_error(text: str, path: str | None = None) -> OSError | None:
    """What the system has refused, where the text of a library tells of it."""
    found = (OSError(n, reason, path) for reason, n in _REASONS.items() if reason in text)
    return next(found, None)


def one_line(text: str, longest: int = MAX_SENTENCE) -> str:
    """Text as a terminal can show it on a line: control characters escaped, the middle left out of
    one of more than `longest` characters."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[: half - 3]} ... {text[-half + 2 :]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the names most like it, or those there are."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {listed(known, MAX_NAMES)}."


def listed(names: Iterable[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _describe_os_error(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    advice = _ADVICE.get(error.errno, "check the path and the disk")
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if not names:
        return f"The system refused to read or write a file ({reason}): {advice}."
    return f"{os.fsdecode(names[-1])} cannot be read or written ({reason}): {advice}."
