"""`ranet benchmark`: what to measure, from the command line."""

import argparse
from collections.abc import Callable

from ranet_jax.benchmarks.checks import check_programs
from ranet_jax.benchmarks.compile_for import compile_for
from ranet_jax.benchmarks.latency import run_benchmark
from ranet_jax.checkpoints import checkpoint
from ranet_jax.cli.parsers import add_example, add_memory_argument, local_path, size, whole_number
from ranet_jax.errors import InputError
from ranet_jax.models.initialization import init_params
from ranet_jax.models.ranet import RANet
from ranet_jax.models.resnet import STAGES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet benchmark`."""
    add_example(parser, "ranet benchmark --objects 1,2,4,8 --pipeline --out benchmark.json")
    parser.add_argument("--checkpoint", help="folder of a checkpoint (default: fresh weights)")
    parser.add_argument(
        "--depth",
        type=int,
        choices=tuple(STAGES),
        default=101,
        help="of the ResNet, without a checkpoint (default: %(default)s)",
    )
    parser.add_argument(
        "--network",
        choices=("single", "multi"),
        help="for one object or for several, without a checkpoint (default: multi where more than "
        "one object is asked for)",
    )
    parser.add_argument(
        "--size",
        type=_listed(size),
        default=[(480, 864)],
        help="height x width of the network's input, or several with commas (default: 480x864)",
    )
    parser.add_argument(
        "--precision",
        type=_listed(str),
        default=["float32"],
        help="float32, bfloat16, or both with a comma (default: float32)",
    )
    parser.add_argument(
        "--objects",
        type=_listed(whole_number(1, 16)),
        help="numbers of objects (default: 1,2,4,8; with --compile-for 1)",
    )
    parser.add_argument(
        "--batch",
        type=_listed(whole_number(1, 1024)),
        default=[1],
        help="numbers of videos at once: 1 for latency, more for throughput (default: 1)",
    )
    add_memory_argument(
        parser,
        "earlier frames to match with beside the first one, compared with none",
    )
    parser.add_argument(
        "--repeat",
        type=whole_number(1, 1_000_000),
        default=5,
        help="rounds of the network (default: %(default)s)",
    )
    parser.add_argument(
        "--pipeline", action="store_true", help="also time from JPEG frames to PNG label maps"
    )
    parser.add_argument(
        "--frames",
        type=whole_number(3, 10_000),
        default=12,
        help="length of the clip for --pipeline (default: %(default)s)",
    )
    parser.add_argument(
        "--against-torch",
        action="store_true",
        help="interleave with a PyTorch network of the same layers, on the CPU",
    )
    parser.add_argument(
        "--compiler-options",
        type=_listed(_option),
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="also compile with these options of XLA and compare; may be repeated",
    )
    parser.add_argument(
        "--profile",
        type=local_path,
        metavar="DIR",
        help="write a trace of one further round of the network, for XProf",
    )
    parser.add_argument(
        "--compile-for",
        metavar="CHIP",
        help="time nothing: compile for a TPU (v4, v5e, v5p or v6e) by its own compiler, without "
        "having one, and print its estimates for each part of the network",
    )
    parser.add_argument(
        "--against",
        type=local_path,
        metavar="FILE",
        help="compare with an earlier report of --compile-for, written by --out",
    )
    parser.add_argument("--out", type=local_path, help="a JSON file for all figures")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measures what was asked for.

    Raises:
        InputError: see `run_benchmark`.
    """
    objects = args.objects or ([1] if args.compile_for is not None else [1, 2, 4, 8])
    if args.compile_for is not None:
        _compile(args, objects)
        return
    if args.checkpoint is None:
        model = _fresh(args, objects)
        params = init_params(model, seed=0)
    else:
        model, params = checkpoint.load(args.checkpoint)
    if args.against is not None:
        raise InputError("--against compares reports of --compile-for; give a chip.")
    run_benchmark(
        model,
        params,
        sizes=args.size,
        precisions=args.precision,
        objects=objects,
        batches=args.batch,
        memory=args.memory,
        repeats=args.repeat,
        pipeline=args.pipeline,
        frames=args.frames,
        against_torch=args.against_torch,
        compiler_options=[dict(options) for options in args.compiler_options],
        profile=args.profile,
        out=args.out,
    )


def _fresh(args: argparse.Namespace, objects: list[int]) -> RANet:
    return RANet(mode=args.network or ("multi" if max(objects) > 1 else "single"), depth=args.depth)


def _compile(args: argparse.Namespace, objects: list[int]) -> None:
    check_programs(args.size, args.precision, objects, args.batch)
    if args.checkpoint is None:
        model = _fresh(args, objects)
    else:
        settings = checkpoint.read_settings(checkpoint.resolve(args.checkpoint))
        model = checkpoint.model_from_settings(settings["model"])
    compile_for(
        model.with_settings(memory=args.memory),
        args.compile_for,
        sizes=args.size,
        precisions=args.precision,
        objects=objects,
        batches=args.batch,
        against=args.against,
        out=args.out,
    )


def _option(text: str) -> tuple[str, str | bool]:
    name, _, value = text.partition("=")
    return name, {"true": True, "false": False}.get(value, value)


def _listed(one: Callable[[str], object]) -> Callable[[str], list]:
    """Parses values with commas between them."""

    def values(text: str) -> list:
        return [one(part.strip()) for part in text.split(",")]

    values.__name__ = "list"  # argparse names it in its message
    return values
