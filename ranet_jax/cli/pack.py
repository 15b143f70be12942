"""`ranet pack`: a checkpoint, or the mean of several, as one small file."""

import argparse

from ranet_jax.checkpoints import quantized
from ranet_jax.cli.parsers import (
    add_example,
    add_max_gap_argument,
    add_memory_argument,
    local_path,
    number,
    size,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet pack`."""
    add_example(
        parser,
        "ranet pack runs/video ranet.npz",
        "The file holds integers of 10 bits or less, and every command reads it in place of a "
        "checkpoint. Kernels get fewer bits, the largest first, until the file is small enough.",
    )
    parser.add_argument("checkpoints", nargs="+", metavar="checkpoint", help="its folder")
    parser.add_argument("out", type=local_path, help="file to write, .npz")
    parser.add_argument(
        "--limit",
        type=number(0, 1e6),
        default=quantized.LIMIT / 1e6,
        metavar="MB",
        help="largest size in millions of bytes (default: %(default)g)",
    )
    add_memory_argument(parser, "earlier frames that the packed network matches with")
    add_max_gap_argument(parser)
    parser.add_argument(
        "--size",
        type=size,
        metavar="HEIGHTxWIDTH",
        help="what the packed network's frames are fitted to, multiples of 32 (default: what the "
        "checkpoint was trained at)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Packs, then prints the size and the error of every layer that was rounded.

    Raises:
        InputError: see `checkpoint.load_mean` and `quantized.save`.
    """
    from ranet_jax.checkpoints import checkpoint
    from ranet_jax.evaluation.results import format_table
    from ranet_jax.inference.object_ids import check_size

    # Once for both: the best checkpoint of a run that is still going may be another one later.
    paths = [checkpoint.resolve(path) for path in arguments.checkpoints]
    _, params = checkpoint.load_mean(paths)
    settings = checkpoint.read_settings(paths[-1])
    if len(paths) > 1:
        settings["mean_of"] = arguments.checkpoints
    for name in ("memory", "max_gap"):
        if getattr(arguments, name) is not None:
            settings["model"][name] = getattr(arguments, name)
    if arguments.size:
        settings["size"] = check_size(arguments.size, settings.get("frame_scale") or 1)
    layers = quantized.save(arguments.out, settings, params, limit=int(1e6 * arguments.limit))
    rounded = [layer for layer in layers if layer.levels]
    columns = ("Layer", "Bits", "kB", "Largest error", "Mean error")
    rows = [
        (
            layer.name,
            (layer.levels + 1).bit_length(),
            round(layer.size / 1000),
            f"{layer.largest_error:.2%}",
            f"{layer.mean_error:.2%}",
        )
        for layer in rounded
    ]
    print(format_table(columns, rows))
    megabytes = arguments.out.stat().st_size / 1e6
    print(
        f"\n{arguments.out}: {megabytes:.1f} MB, {len(rounded)} layers rounded and "
        f"{len(layers) - len(rounded)} kept as they are. The largest error is relative to the "
        "largest value of its output channel, the mean (root mean square) to the layer's."
    )
