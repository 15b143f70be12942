"""The one exception that stands for a mistake in what the user gave us, and words for it."""

import difflib
from collections.abc import Iterable

MAX_NAMES = 20  # in one sentence


class InputError(ValueError):
    """Bad input: a file, a mask, a checkpoint or a setting that cannot be used.

    Its message is one sentence for the person at the keyboard: what is wrong and what to do about
    it. The command line prints that sentence and exits with status 2; a traceback would add
    nothing.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the names most like it, or those there are."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = f" and {len(known) - MAX_NAMES} more" if len(known) > MAX_NAMES else ""
    return f"choose from {', '.join(known[:MAX_NAMES])}{more}."


def listed(names: Iterable[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
