"""`ranet report`: results beside the tables of the paper, and their differences."""

import argparse

from ranet_jax import extras
from ranet_jax.cli.parsers import add_example, local_path, path_or_address
from ranet_jax.evaluation.report.report import write_report
from ranet_jax.evaluation.report.run import read_run
from ranet_jax.io.locks import locked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet report`."""
    add_example(parser, "ranet report full/results.json no-ranking/results.json --out report")
    parser.add_argument(
        "results",
        nargs="+",
        type=path_or_address,
        metavar="RESULTS.json",
        help="the first is what the others are compared with; those of one name are its seeds",
    )
    parser.add_argument(
        "--out", required=True, type=local_path, help="folder for report.md and plots"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the report and says where.

    Raises:
        InputError: for files that are no results.
    """
    extras.require("plots", "ranet report")
    # A pattern may name again what comes first.
    runs = [read_run(path) for path in dict.fromkeys(arguments.results)]
    with locked(arguments.out):
        print(write_report(runs, arguments.out))
