"""`ranet pack`: a checkpoint, or the mean of several, as one small file."""

import argparse
import math
from pathlib import Path
from typing import Any

import flax.traverse_util
import numpy as np

from ranet_jax.array_typing import Params
from ranet_jax.checkpoints import quantized
from ranet_jax.errors import InputError

_EXAMPLE = "example:\n  ranet pack runs/video ranet.npz"
_LOGITS = ("pyramid", "level3", "logits", "bias")


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds `pack` to the subcommands of `ranet`."""
    parser = subparsers.add_parser(
        "pack",
        help="put a checkpoint into one small file",
        description="Puts a checkpoint, or the mean of several of one network, into one file of "
        "integers of 10 bits or less, which every command reads in its place; kernels get fewer "
        "bits, the largest first, until the file is small enough.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoints", nargs="+", metavar="checkpoint", help="its folder")
    parser.add_argument("out", type=Path, help="file to write, .npz")
    parser.add_argument(
        "--limit",
        type=float,
        default=quantized.LIMIT / 1e6,
        metavar="MB",
        help="largest size in millions of bytes (default: %(default)g)",
    )
    parser.add_argument(
        "--logit-bias",
        type=float,
        default=0.0,
        metavar="LOGITS",
        help="added to the bias of the last convolution: below zero every mask gets smaller "
        "(default: %(default)g)",
    )
    parser.set_defaults(run=run)
    return parser


def shift_logits(params: Params, shift: float) -> Params:
    """Parameters whose network gives logits greater by `shift` at the finest level.

    Args:
        params: parameters of a `RANet`, which are left as they are.
        shift: in logits, as if the mask's probability were compared with sigmoid(-shift) instead
            of 0.5; the previous mask that the network is shown shifts with it.

    Raises:
        InputError: `shift` is not a finite number.
    """
    if not math.isfinite(shift):
        raise InputError(f"--logit-bias is {shift}; it must be a finite number, for example -0.45")
    flat = flax.traverse_util.flatten_dict(params)
    flat[_LOGITS] = flat[_LOGITS] + np.float32(shift)
    return flax.traverse_util.unflatten_dict(flat)


def run(arguments: argparse.Namespace) -> None:
    """Packs, then prints the size and the error of every layer that was rounded.

    Raises:
        InputError: see `checkpoint.load_mean`, `shift_logits` and `quantized.save`.
    """
    from ranet_jax.checkpoints import checkpoint
    from ranet_jax.evaluation.results import format_table

    # Once for both: the best checkpoint of a run that is still going may be another one later.
    paths = [checkpoint.resolve(path) for path in arguments.checkpoints]
    _, params = checkpoint.load_mean(paths)
    settings = checkpoint.read_settings(paths[-1])
    if len(paths) > 1:
        settings["mean_of"] = arguments.checkpoints
    if arguments.logit_bias:
        params = shift_logits(params, arguments.logit_bias)
        settings["logit_bias"] = settings.get("logit_bias", 0.0) + arguments.logit_bias
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
