"""`ranet evaluate`: from the command line to tables, `results.json` and plots."""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ranet_jax import extras
from ranet_jax.cli.network_arguments import (
    REPLACEABLE,
    add_online_arguments,
    add_segmenter_arguments,
    make_segmenter,
    online_settings,
    segmenter_settings,
)
from ranet_jax.cli.parsers import add_example, local_path, path_or_address, whole_number
from ranet_jax.errors import InputError
from ranet_jax.evaluation import results, runner, summary
from ranet_jax.evaluation.davis import SPLITS, Video, read_split
from ranet_jax.evaluation.machine import hardware, usable_cores, versions
from ranet_jax.inference.tracking import VideoSegmenter
from ranet_jax.io.locks import locked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet evaluate`."""
    add_example(
        parser,
        "ranet evaluate --dataset davis2016 --root DAVIS --checkpoint default --out results",
        "An interrupted run resumes where it stopped when started again.",
    )
    parser.add_argument("--dataset", required=True, choices=tuple(SPLITS))
    parser.add_argument(
        "--root", required=True, type=path_or_address, help="folder of the DAVIS package"
    )
    parser.add_argument(
        "--split",
        default="val",
        help="val (default), train, trainval, test-dev, or a file of names",
    )
    parser.add_argument(
        "--resolution", default="480p", help="folder under JPEGImages (default 480p)"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--checkpoint", help="checkpoint to run")
    source.add_argument(
        "--predictions", type=path_or_address, help="folder of predictions: NAME/00000.png"
    )
    parser.add_argument(
        "--baseline",
        choices=("copy", "matching"),
        help="instead of the network: `copy` repeats the first mask, `matching` looks up the "
        "first frame's labels by the features of the --checkpoint's backbone, untrained for it",
    )
    parser.add_argument(
        "--out", required=True, type=local_path, help="folder for tables, plots, predictions"
    )
    parser.add_argument("--sequences", type=_names, help="only these, separated by commas")
    parser.add_argument(
        "--batch", type=whole_number(1, 1024), default=1, help="videos in flight (default 1)"
    )
    add_segmenter_arguments(parser)
    add_online_arguments(parser)
    parser.add_argument(
        "--processes", type=whole_number(1, 1024), help="for scoring (default: one a core)"
    )
    parser.add_argument("--name", help="of the run in tables and plots (default: name of --out)")
    parser.set_defaults(run=run)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("give names separated by commas")
    return list(dict.fromkeys(names))


def run(arguments: argparse.Namespace) -> None:
    """Evaluates, writes everything into `--out`, and prints the tables.

    Raises:
        InputError: see the functions this calls.
    """
    extras.require("plots", "ranet evaluate")
    _check_source(arguments)
    if arguments.out.exists() and not arguments.out.is_dir():
        raise InputError(f"{arguments.out} is a file: give --out a folder.")
    _check_online(arguments)
    videos = read_split(
        arguments.root,
        arguments.dataset,
        arguments.split,
        resolution=arguments.resolution,
        sequences=arguments.sequences,
    )
    # Of several processes that evaluate together the first one has the folder.
    alone = arguments.predictions or runner.this_shard().index == 0
    with locked(arguments.out) if alone else nullcontext():
        _evaluate(arguments, videos)


def _evaluate(arguments: argparse.Namespace, videos: Sequence[Video]) -> None:
    processes = min(arguments.processes or usable_cores(), len(videos))
    about = _about(arguments, videos)
    if not arguments.predictions:
        about |= _segment(arguments, videos, processes)
        if about.pop("helper_process"):
            return
    if not all(video.annotated for video in videos):
        predictions = arguments.predictions or arguments.out / "predictions"
        print(summary.write_submission(videos, predictions, about, arguments.out))
        return
    scores = runner.score_split(
        videos,
        arguments.dataset,
        arguments.out,
        predictions=arguments.predictions,
        processes=processes,
    )
    print(summary.summarize(scores, about, arguments.out))


def _check_source(arguments: argparse.Namespace) -> None:
    """Refuses what cannot be run together, and nothing to run."""
    if arguments.baseline == "copy" and (arguments.checkpoint or arguments.predictions):
        raise InputError(
            "--baseline copy repeats the first masks: leave out --checkpoint and --predictions."
        )
    if arguments.baseline == "matching" and not arguments.checkpoint:
        raise InputError(
            "--baseline matching needs the features of a backbone: give a --checkpoint, for "
            "example one that `ranet convert` made from ImageNet weights."
        )
    if not (arguments.baseline or arguments.checkpoint or arguments.predictions):
        raise InputError("There is nothing to evaluate: give --checkpoint or --predictions.")


def _check_online(arguments: argparse.Namespace) -> None:
    if not arguments.online:
        return
    if arguments.predictions or arguments.baseline:
        raise InputError("--online adapts a network: leave out --predictions and --baseline.")
    if arguments.batch > 1:
        raise InputError(
            "--online adapts the network to one video at a time: leave --batch away, or at 1."
        )


def _about(arguments: argparse.Namespace, videos: Sequence[Video]) -> dict[str, Any]:
    split = arguments.split
    return {
        "name": arguments.name or arguments.out.resolve().name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": arguments.dataset,
        "split": split if split in SPLITS[arguments.dataset] else Path(split).stem,
        "resolution": arguments.resolution,
        "whole_split": arguments.sequences is None,
        "sequences": [video.name for video in videos],
        "predictions": arguments.predictions and str(arguments.predictions),
        "versions": versions(),
        "hardware": hardware(),
    }


def _segment(
    arguments: argparse.Namespace, videos: Sequence[Video], processes: int
) -> dict[str, Any]:
    import jax

    segmenter, settings, checkpoint = _segmenter(arguments)
    shard = runner.this_shard()
    if shard.index == 0:
        runner.reserve(
            arguments.out,
            {
                "dataset": arguments.dataset,
                "resolution": arguments.resolution,
                "checkpoint": checkpoint and checkpoint["sha256"],
                "settings": settings,
            },
        )
    runner.segment_split(
        segmenter,
        videos,
        arguments.dataset,
        arguments.out,
        batch=arguments.batch,
        processes=processes,
        shard=shard,
    )
    return {
        "checkpoint": checkpoint,
        "settings": settings,
        "speed": summary.describe_speed(runner.read_timing(videos, arguments.out), arguments.batch),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "helper_process": shard.index > 0,
    }


def _segmenter(
    arguments: argparse.Namespace,
) -> tuple[VideoSegmenter, dict[str, Any], dict[str, str] | None]:
    """What to run, its settings, and the checkpoint behind it (None: there is none)."""
    import jax

    import ranet_jax
    from ranet_jax.checkpoints.checkpoint import read_settings, resolve, settings_of
    from ranet_jax.evaluation import baselines

    if arguments.baseline == "copy":
        return baselines.CopySegmenter(), {"baseline": "copy"}, None
    # Once for all: the best checkpoint of a run that is still going may be another one later.
    path = resolve(arguments.checkpoint)
    model, params = ranet_jax.load(path, precision=arguments.precision)
    checkpoint = {"path": str(path), "sha256": results.hash_checkpoint(path)}
    seen_at = segmenter_settings(arguments)
    size = seen_at["size"]
    settings = {
        "model": settings_of(model),
        "precision": arguments.precision,
        "size": list(size),
        "frame_scale": seen_at["frame_scale"],
    }
    if arguments.baseline == "matching":
        segmenter = baselines.MatchingSegmenter(model, params, size=size)
        return segmenter, {"baseline": "matching", **settings}, checkpoint
    chosen = {name: seen_at[name] for name in REPLACEABLE}
    in_use = model.with_settings(**chosen)
    settings = {
        **read_settings(path),
        **settings,
        **{name: getattr(in_use, name) for name in chosen},
        **online_settings(arguments),
    }
    segmenter = make_segmenter(arguments, model, params, devices=jax.local_devices())
    return segmenter, settings, checkpoint
