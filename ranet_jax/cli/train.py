"""`ranet train`: from a config and a folder to a run."""

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ranet_jax import extras
from ranet_jax.cli.parsers import add_example, path_or_address, step_range, whole_number
from ranet_jax.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet train`."""
    add_example(
        parser,
        "ranet train --config tiny --workdir runs/tiny --config.data.root=data",
        "A run that was interrupted in the same folder is resumed. Every setting can be "
        "overridden: --config.SECTION.KEY=VALUE.",
    )
    parser.add_argument(
        "--config-help",
        action=_ConfigHelp,
        nargs=0,
        help="list every setting with its range and meaning, and stop",
    )
    parser.add_argument(
        "--config",
        required=True,
        metavar="CONFIG[:VARIANT]",
        help="a config of this package by its name, such as davis2016, or the path of one's own",
    )
    parser.add_argument(
        "--workdir", type=path_or_address, help="folder of the run: checkpoints, logs, plots"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything, print the settings, the parameters and the data, and stop",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="compile the step, print the largest batch for devices of 16, 40 and 80 GB, and stop",
    )
    parser.add_argument(
        "--compile-for",
        metavar="SLICE",
        help="compile the step for TPUs such as v5e:4x4, without having them, print their memory, "
        "the largest batch and the compiler's estimate of the speed, and stop",
    )
    parser.add_argument(
        "--profile",
        type=step_range,
        default=range(0),
        metavar="FIRST:LAST",
        help="write a trace of these steps, for XProf, into the folder profile of the run",
    )
    _add_processes(parser)
    parser.set_defaults(run=run, overrides=[])


class _ConfigHelp(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ranet_jax.training.config import TrainConfig

        for name, wanted, meaning in TrainConfig.describe():
            print(f"--config.{name}\n    {meaning}; {wanted}")
        parser.exit()


def _add_processes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "several hosts", "the same command on each, with a --workdir that all of them see"
    )
    group.add_argument(
        "--distributed",
        action="store_true",
        help="train together with the other hosts of this TPU pod or Slurm job",
    )
    group.add_argument(
        "--coordinator", metavar="HOST:PORT", help="of process 0, elsewhere; with the next two"
    )
    group.add_argument(
        "--processes", type=whole_number(1, 1_000_000), metavar="N", help="how many there are"
    )
    group.add_argument(
        "--process", type=whole_number(0, 1_000_000), metavar="I", help="this one's number, from 0"
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains, or says what would be trained.

    Raises:
        InputError: see `config.read` and `checks.check`.
    """
    extras.require("train", "ranet train")
    if arguments.workdir is None and not (
        arguments.dry_run or arguments.memory or arguments.compile_for
    ):
        raise InputError("Say where the run is to be kept: --workdir FOLDER.")
    if arguments.workdir and arguments.workdir.exists() and not arguments.workdir.is_dir():
        raise InputError(f"{arguments.workdir} is a file: give --workdir a folder.")
    from ranet_jax.training.config import read

    config = read(arguments.config, arguments.overrides)
    # The rest is checked in the run: it asks for devices, which processes have to join for first.
    if arguments.memory:
        from ranet_jax.training.memory import table

        for line in table(config):
            print(line, flush=True)
        return
    if arguments.compile_for:
        from ranet_jax.benchmarks.compile_training import compile_training

        compile_training(config, arguments.compile_for)
        return
    if arguments.dry_run:
        from ranet_jax.training import checks, dry_run

        checks.check(config)
        for line in dry_run.describe(config):
            print(line, flush=True)
        return
    from ranet_jax.training import loop

    with _joined(arguments):
        loop.run(config, arguments.workdir, arguments.profile)


def _joined(arguments: argparse.Namespace) -> AbstractContextManager:
    """In step with the other processes, where there are any."""
    others = {name: getattr(arguments, name) for name in ("coordinator", "processes", "process")}
    if not arguments.distributed and not any(value is not None for value in others.values()):
        return nullcontext()
    from ranet_jax.training import distributed

    return distributed.initialize(**others)
