"""`ranet report`: results beside the tables of the paper."""

import argparse
from typing import Any

from ranet_jax import extras
from ranet_jax.cli.parsers import local_path, path_or_address
from ranet_jax.evaluation.report.report import read_run, write_report

EXAMPLE = "example: ranet report full/results.json no-ranking/results.json --out report"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds `report` to the subcommands of `ranet`."""
    parser = subparsers.add_parser(
        "report",
        help="put results beside the tables of the paper",
        description="Writes the paper's Tables 1 to 6 with our figures beside, as Markdown and as "
        "plots.",
        epilog=EXAMPLE,
    )
    parser.add_argument("results", nargs="+", type=path_or_address, metavar="RESULTS.json")
    parser.add_argument(
        "--out", required=True, type=local_path, help="folder for report.md and plots"
    )
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Writes the report and says where.

    Raises:
        InputError: for files that are no results.
    """
    extras.require("plots", "ranet report")
    print(write_report([read_run(path) for path in arguments.results], arguments.out))
