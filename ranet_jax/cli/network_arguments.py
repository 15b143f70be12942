"""What commands that segment ask about the network. Light: `--help` imports no JAX."""

import argparse
from typing import TYPE_CHECKING, Any

from ranet_jax.cli.parsers import (
    add_max_gap_argument,
    add_memory_argument,
    number,
    size,
    whole_number,
)
from ranet_jax.errors import InputError

if TYPE_CHECKING:
    from ranet_jax.array_typing import Params
    from ranet_jax.inference.segmenter import Segmenter
    from ranet_jax.models.ranet import RANet

# Settings of a checkpoint's network that arguments of the same names replace.
REPLACEABLE = ("aggregation", "memory", "max_gap")
# As in `training.online_adaptation`, which imports JAX.
_ONLINE = {"iterations": 20, "learning_rate": 1e-4, "batch_size": 2}


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint` and what `add_segmenter_arguments` adds."""
    parser.add_argument(
        "--checkpoint",
        default="default",
        help="a checkpoint, the folder of a training run, or `default`, the default model",
    )
    add_segmenter_arguments(parser)


def add_segmenter_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--combine`, `--memory`, `--max-gap`, `--precision` and `--size`."""
    parser.add_argument(
        "--combine",
        dest="aggregation",
        choices=("softmax", "argmax"),
        help="how the objects' probabilities are combined (default: the checkpoint's setting)",
    )
    add_memory_argument(
        parser,
        "earlier frames to match with beside the first one: the previous frame, and "
        "older ones from the second on",
    )
    add_max_gap_argument(parser)
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="arithmetic of the convolutions (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=size,
        metavar="HEIGHTxWIDTH",
        help="what frames are fitted to, multiples of 32 (default: what the checkpoint was trained "
        "at, or 480x864)",
    )


def segmenter_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `Segmenter`: `aggregation`, `memory`, `max_gap`, `size` and `frame_scale`.

    Args:
        arguments: parsed, with those of `add_network_arguments` among them.

    Raises:
        InputError: there is no such checkpoint, or a size that cannot be.
    """
    from ranet_jax.checkpoints.checkpoint import trained_at
    from ranet_jax.inference.object_ids import check_size
    from ranet_jax.inference.segmenter import NETWORK_SIZE

    settings = {name: getattr(arguments, name) for name in REPLACEABLE}
    settings |= {"size": NETWORK_SIZE, "frame_scale": 1}
    if arguments.checkpoint is not None:
        settings |= trained_at(arguments.checkpoint)
    size = arguments.size or settings["size"]
    return settings | {"size": check_size(size, settings["frame_scale"])}


def add_online_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--online`, `--online-lr` and `--online-batch`."""
    parser.add_argument(
        "--online",
        type=whole_number(0, 1_000_000),
        nargs="?",
        const=_ONLINE["iterations"],
        default=0,
        metavar="N",
        help="fine-tune on each video's first frame, for N iterations (default of N: %(const)s)",
    )
    parser.add_argument(
        "--online-lr",
        type=number(0, 1000),
        metavar="RATE",
        help=f"learning rate of --online (default: {_ONLINE['learning_rate']})",
    )
    parser.add_argument(
        "--online-batch",
        type=whole_number(1, 256),
        metavar="VIEWS",
        help="random views of the first frame in an iteration of --online (default: "
        f"{_ONLINE['batch_size']})",
    )


def online_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Online learning as results record it: nothing where there is none.

    Raises:
        InputError: its rate or its batch is given, and no number of iterations.
    """
    if arguments.online:
        given = {"learning_rate": arguments.online_lr, "batch_size": arguments.online_batch}
        chosen = {name: value for name, value in given.items() if value}
        return {"online": _ONLINE | {"iterations": arguments.online} | chosen}
    if arguments.online_lr or arguments.online_batch:
        raise InputError(
            "--online-lr and --online-batch change nothing without --online: give it too."
        )
    return {}


def make_segmenter(
    arguments: argparse.Namespace, model: "RANet", params: "Params", **settings: Any
) -> "Segmenter":
    """The segmenter that the arguments ask for.

    Args:
        arguments: parsed, with those of `add_network_arguments` and `add_online_arguments`.
        model: the network.
        params: its parameters.
        **settings: of `Segmenter`, beside `segmenter_settings`.
    """
    settings |= segmenter_settings(arguments)
    online = online_settings(arguments)
    if not online:
        import ranet_jax

        return ranet_jax.Segmenter(model, params, **settings)
    from ranet_jax.training.online_adaptation import OnlineSegmenter

    return OnlineSegmenter(model, params, **online["online"], **settings)
