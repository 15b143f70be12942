"""What the parsers of all commands have in common."""

import argparse
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.io import paths


def new_parser(
    subparsers: argparse._SubParsersAction, name: str, summary: str, example: str
) -> argparse.ArgumentParser:
    """The parser of a command, whose help ends with one example of its use."""
    return subparsers.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


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
