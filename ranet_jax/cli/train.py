"""`ranet train`: from a config and a folder to a run."""

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ranet_jax import extras
from ranet_jax.cli.parsers import path_or_address
from ranet_jax.errors import InputError

if TYPE_CHECKING:
    from ranet_jax.training.config import TrainConfig

_EXAMPLE = "ranet train --config configs/tiny.py --workdir runs/tiny --config.data.root=data"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds `train` to the subcommands of `ranet`."""
    parser = subparsers.add_parser(
        "train",
        help="train a network as a config says",
        description="Trains a network as a config says, and goes on where an earlier run in the "
        "same folder stopped. Every setting can be overridden: --config.SECTION.KEY=VALUE.",
        epilog=f"example:\n  {_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        metavar="PAGE[:VARIANT]",
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
    _add_processes(parser)
    parser.set_defaults(run=run, overrides=[])
    return parser


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
    group.add_argument("--processes", type=int, metavar="N", help="how many there are")
    group.add_argument("--process", type=int, metavar="I", help="this one's number, from 0")


def run(arguments: argparse.Namespace) -> None:
    """Trains, or says what would be trained.

    Raises:
        InputError: see `config.read` and `checks.check`.
    """
    extras.require("train", "ranet train")
    if arguments.workdir is None and not (arguments.dry_run or arguments.memory):
        raise InputError("Say where the run is to be kept: --workdir FOLDER.")
    if arguments.workdir and arguments.workdir.exists() and not arguments.workdir.is_dir():
        raise InputError(f"{arguments.workdir} is a file: give --workdir a folder.")
    from ranet_jax.training.config import read

    config = read(arguments.config, arguments.overrides)
    # The rest is checked in the run: it asks for devices, which processes have to join for first.
    if arguments.memory:
        for line in describe_memory(config):
            print(line, flush=True)
        return
    if arguments.dry_run:
        from ranet_jax.training.checks import check

        check(config)
        for line in describe(config):
            print(line, flush=True)
        return
    from ranet_jax.training import loop

    with _joined(arguments):
        loop.run(config, arguments.workdir)


def _joined(arguments: argparse.Namespace) -> AbstractContextManager:
    """In step with the other processes, where there are any."""
    others = {name: getattr(arguments, name) for name in ("coordinator", "processes", "process")}
    if not arguments.distributed and not any(value is not None for value in others.values()):
        return nullcontext()
    from ranet_jax.training import distributed

    return distributed.initialize(**others)


def describe_memory(config: "TrainConfig") -> Iterator[str]:
    """Lines about the memory of a step, for the data's size and slots."""
    import jax

    from ranet_jax.training import memory

    yield (
        f"Examples a device of {config.name}, {config.data.height}x{config.data.width}, "
        f"{config.data.slots} slots, {config.precision}; by the compiler for "
        f"{jax.devices()[0].device_kind}, using {memory.USABLE:.0%} of the memory:"
    )
    yield from memory.table(config)


def describe(config: "TrainConfig") -> Iterator[str]:
    """Lines about a checked config: its settings, parameters, data, and how a batch is shared."""
    # The settings in the words of an override, ready to be copied.
    yield from (f"{name} = {value!r}" for name, value in config.flat())
    yield ""
    yield from _parameters(config)
    yield ""
    yield from _data(config)
    yield from _batch(config)
    yield "Nothing was trained and nothing was written."


def _parameters(config: "TrainConfig") -> Iterator[str]:
    from clu import parameter_overview

    from ranet_jax.models.initialization import abstract_params

    params = abstract_params(config.network())
    for module, inside in params.items():
        yield f"{parameter_overview.count_parameters(inside):>12,}  {module}"
    yield f"{parameter_overview.count_parameters(params):>12,}  parameters"


def _data(config: "TrainConfig") -> Iterator[str]:
    from data_pipelines.pipeline import open_sources

    total = sum(weight for _, weight in config.data.sets)
    for (name, weight), (source, _) in zip(
        config.data.sets, open_sources(config.data), strict=True
    ):
        frames = sum(source.lengths)
        passes = config.steps * config.data.batch_size * weight / total / frames
        videos = f" in {len(source.videos)} videos" if source.videos else ""
        yield (
            f"{frames:>12,}  images{videos} of {config.data.in_root(name)}, {weight / total:.0%} "
            f"of all examples, {passes:.3g} times through"
        )


def _batch(config: "TrainConfig") -> Iterator[str]:
    import jax

    devices, parts = jax.device_count(), config.optimizer.grad_accum_steps
    size = config.data.batch_size
    kind = jax.devices()[0].device_kind
    yield (
        f"{size:>12,}  examples a step: {size // (devices * parts)} at a time on each of {devices} "
        f"device{'s' * (devices > 1)} ({kind})"
    )
    yield f"{config.steps:>12,}  steps"
