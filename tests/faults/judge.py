"""What a bad input must end in, judged alike for every command and every function.

A file `cases_*.py` of this folder holds a list `CASES`, which `test_faults.py` runs. A case is
data:

    Command(
        "a mask that is a folder",
        "segment clip --mask clip --out out",
        says="no mask file clip",
    )
    Command(
        "a frame of zero bytes", "segment clip --mask mask.png --out out",
        spoil=lambda: Path("clip/00002.png").write_bytes(b""),
        says="00002.png cannot be read",
    )
    Call("a frame that is None", lambda: open_segmenter().step(None), says="not NoneType")

Each runs in a folder of its own, the current one, which `world.py` fills. `spoil` damages it. Then
the command must end with the status 2 and one sentence that says what is wrong (`says`, a regular
expression), or the function with an `InputError` of such a sentence; no other file may be new,
changed or gone (`leaves` names exceptions).
"""

import contextlib
import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from ranet_jax.cli.main import main
from ranet_jax.errors import InputError

MAX_SENTENCE = 850  # characters
# A progress bar, or a note of what is done in spite of a file that cannot be used.
_BAR_OR_NOTE = re.compile(r"/s\]|s/it|\d+%\||\?it|is (scored|segmented) anew\.$")
_COMMAND_LINE_ERROR = re.compile(r"ranet[a-z -]*: error: ")


def nothing() -> None:
    """Spoils nothing."""


@dataclass(frozen=True)
class Command:
    """A command line that must be refused, or that must end well with `status=0`.

    Attributes:
        name: says what is wrong; no two cases have the same.
        line: the arguments of `ranet`, as a shell would split them, or split already.
        spoil: makes or damages files of the current folder.
        says: regular expression that the sentence holds; of what is printed, where it ends well.
        status: the exit status.
        leaves: patterns of the files that may be new or changed, such as `out/*`.
        environment: variables that are set.
        network: whether the real, small network runs, which has to be compiled.
        wants: parts of the world that not every case finds in its folder, see `world.py`.
    """

    name: str
    line: str | Sequence[str]
    spoil: Callable[[], object] = nothing
    says: str = ""
    status: int = 2
    leaves: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    wants: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The arguments of `ranet`, one by one."""
        return shlex.split(self.line) if isinstance(self.line, str) else list(self.line)

    def names(self, folder: str) -> bool:
        """Whether the line names a folder of the world, so that it has to be there."""
        return any(folder in word for word in self.words)

    def run(self, capture: pytest.CaptureFixture) -> str:
        """Runs it and returns the sentence, or what it printed where it ended well."""
        capture.readouterr()
        try:
            status = main(self.words)
        except SystemExit as exit_:  # of argparse
            status = exit_.code
        shown = capture.readouterr()
        assert "Traceback" not in shown.err, shown.err
        assert status == self.status, (status, shown.err)
        return shown.out if status == 0 else the_sentence(shown.err)


@dataclass(frozen=True)
class Call:
    """A call of the Python interface that must raise an `InputError`; fields as of `Command`."""

    name: str
    call: Callable[[], object]
    spoil: Callable[[], object] = nothing
    says: str = ""
    leaves: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    wants: tuple[str, ...] = ()

    def names(self, folder: str) -> bool:
        """Always: what a function reads cannot be seen."""
        del folder
        return True

    def run(self, capture: pytest.CaptureFixture) -> str:
        """Calls it and returns the sentence."""
        del capture
        with pytest.raises(InputError) as caught:
            self.call()
        sentence = str(caught.value)
        check_sentence(sentence)
        return sentence


Case = Command | Call


def judge(case: Case, capture: pytest.CaptureFixture) -> None:
    """Runs a case in the current folder and asserts all that is asked of every case."""
    case.spoil()
    before = contents(Path())
    said = case.run(capture)
    assert re.search(case.says, said), said
    changed = difference(before, contents(Path()))
    left = [name for name in changed if not _may_change(name, case.leaves)]
    assert not left, f"left behind or changed: {left}"


def _may_change(name: str, patterns: Iterable[str]) -> bool:
    """A hidden file is one of those that were to be renamed, unless it was there and is gone."""
    half_written = any(part.startswith(".") for part in Path(name).parts) and Path(name).exists()
    return not half_written and any(fnmatch(name, pattern) for pattern in patterns)


def the_sentence(errors: str) -> str:
    """The one sentence of the error stream, without usage, progress bars and notes."""
    lines = [line.rpartition("\r")[2].strip() for line in errors.splitlines()]
    found = [line for line in lines if _COMMAND_LINE_ERROR.match(line)]
    usage = any(line.startswith("usage: ") for line in lines)
    assert len(found) == 1, errors
    if not usage:
        rest = [line for line in lines if line and line not in found]
        assert not [line for line in rest if not _BAR_OR_NOTE.search(line)], errors
    sentence = _COMMAND_LINE_ERROR.sub("", found[0])
    check_sentence(sentence if not usage or sentence.endswith(".") else f"{sentence}.")
    return sentence


def check_sentence(sentence: str) -> None:
    """Asserts that it is short, on one line, and closed."""
    assert sentence.endswith((".", "?")), sentence
    assert len(sentence) <= MAX_SENTENCE, sentence
    assert sentence.isprintable(), repr(sentence)
    assert "object at 0x" not in sentence, sentence


def contents(root: Path) -> dict[str, str]:
    """A digest of every file below a folder, by its path; `.` and hidden ones as well."""
    found = {}
    for path in root.rglob("*"):
        if path.is_symlink():
            found[path.as_posix()] = f"link to {path.readlink()}"
        elif path.is_file():
            with contextlib.suppress(PermissionError):
                found[path.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[str]:
    """The files that are new, gone or changed."""
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
