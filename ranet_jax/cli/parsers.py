"""What the parsers of all commands have in common."""

import argparse
import math
import textwrap
from collections.abc import Callable
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.io import paths


def new_parser(
    subparsers: argparse._SubParsersAction, name: str, summary: str
) -> argparse.ArgumentParser:
    """The parser of a command; its module adds the arguments and calls `add_example`."""
    return subparsers.add_parser(
        name,
        help=summary,
        description=summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_example(parser: argparse.ArgumentParser, example: str, details: str = "") -> None:
    """Ends the help of a command with one example of its use.

    Args:
        parser: of the command.
        example: the words to type.
        details: sentences that follow the summary.
    """
    parser.description = textwrap.fill(f"{parser.description} {details}", 80)
    parser.epilog = f"example:\n  {example}"


def local_path(text: str) -> Path:
    """Type of an argument that is a path on this machine."""
    try:
        return paths.local(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def path_or_address(text: str) -> Path:
    """Type of an argument that is a path, or an address such as gs://BUCKET/FOLDER."""
    try:
        return paths.as_path(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Type of an argument that is a whole number from `least` on, or up to `most`."""
    wanted = f"from {least}" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        number = int(text) if text.isdecimal() and len(text) < 20 else least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {wanted}")
        return number

    return read


def add_memory_argument(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Adds `--memory`, which is None where it is not given.

    Args:
        parser: takes it.
        meaning: what is done with so many earlier frames.
    """
    parser.add_argument(
        "--memory",
        type=whole_number(0, 64),
        metavar="N",
        help=f"{meaning} (default: the checkpoint's own setting)",
    )


def add_max_gap_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--max-gap`, which is None where it is not given."""
    parser.add_argument(
        "--max-gap",
        type=number(0, 10, or_least=True),
        metavar="GAP",
        help="parts of an object that lie farther from the others than GAP times the square root "
        "of its area are dropped; 0: none (default: the checkpoint's own setting)",
    )


def number(least: float, most: float, *, or_least: bool = False) -> Callable[[str], float]:
    """Type of an argument that is a number above `least`, or that itself, up to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least < value <= most or (or_least and value == least)):
            lower = "from" if or_least else "above"
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a number {lower} {least:g}, up to {most:g}"
            )
        return value

    return read


def size(text: str) -> tuple[int, int]:
    """Type of an argument that is HEIGHTxWIDTH."""
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and len(side) < 8 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, for example 480x864")
    return int(sides[0]), int(sides[1])


def step_range(text: str) -> range:
    """Type of an argument such as 10:20, the steps from the first to the last, both included."""
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal()) or not 1 <= int(first) <= int(last):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not FIRST:LAST, two steps counted from 1, for example 10:20"
        )
    return range(int(first), int(last) + 1)
