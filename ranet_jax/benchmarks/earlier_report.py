"""An earlier report of `ranet benchmark --compile-for`, to compare with."""

import dataclasses
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.io.records import Record, items, line
from ranet_jax.io.settings import number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part(Record):
    """Of a program."""

    part: str = line("name of the part")
    cycles: float = number(0, 1e18, "the compiler's estimate")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program(Record):
    """One of those that were compiled."""

    program: str = line("its name")
    parts: tuple = items(lambda _: True, "parts", "of the network")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report(Record):
    """What `--out` wrote."""

    programs: tuple = items(lambda _: True, "programs", "that were compiled")


def read_cycles(path: Path) -> dict[str, dict[str, float]]:
    """Cycles by program and by part.

    Raises:
        InputError: there is no such file, or it is no report.
    """
    report = Report.read_file(path)
    if report is None:
        raise InputError(
            f"There is no report {path}; `ranet benchmark --compile-for CHIP --out FILE` makes one."
        )
    found = {}
    for values in report.programs:
        program = Program.parse(values, str(path))
        parts = [Part.parse(part, str(path)) for part in program.parts]
        found[program.program] = {part.part: part.cycles for part in parts}
    return found
