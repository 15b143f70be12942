"""`ranet data build | preview | bench`."""

import argparse
import dataclasses
import functools
import sys
from pathlib import Path
from typing import Any, get_args

from data_pipelines import DEFAULT_DATA_DIR
from data_pipelines.config import Crops, DataConfig, ObjectSampling
from ranet_jax import extras
from ranet_jax.cli.compile_cache import add_cache_argument
from ranet_jax.cli.parsers import add_example, local_path, new_parser, whole_number
from ranet_jax.errors import InputError

_SETTING_OPTIONS = ("height", "width", "slots", "object_sampling", "crops", "jitter")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the three commands of `ranet data`; each sets `run`."""
    commands = parser.add_subparsers(required=True, metavar="build|preview|bench")
    _add_build(commands)
    _add_preview(commands)
    _add_bench(commands)


def _add_build(commands: Any) -> None:
    summary = "Turn the archives of a dataset, packed or unpacked, into fast-to-read files."
    parser = new_parser(commands, "build", summary)
    add_example(parser, "ranet data build davis/2016 --manual-dir ~/downloads/DAVIS")
    parser.add_argument("name", help="msra10k, ecssd, hku_is, soc, ilso, davis/2016 or davis/2017")
    parser.add_argument(
        "--manual-dir",
        type=local_path,
        help="folder with the archives or what they unpack to; without it, sets that are offered "
        "for direct download are fetched",
    )
    _add_data_dir(parser)
    parser.set_defaults(run=build)


def _add_preview(commands: Any) -> None:
    summary = "Draw what the network will see: template, current frame, previous mask, target."
    parser = new_parser(commands, "preview", summary)
    add_example(parser, "ranet data preview --set ecssd --set davis/2016@2 --out sheet.png")
    _add_data_options(parser, batch_size=2)
    parser.add_argument(
        "--rows", type=whole_number(0, 1000), default=6, help="examples on the sheet (default 6)"
    )
    parser.add_argument(
        "--tile", type=whole_number(0, 4096), default=288, help="width of an image (default 288)"
    )
    parser.add_argument(
        "--out", type=local_path, default=Path("preview.png"), help="the PNG to write"
    )
    add_cache_argument(parser)
    parser.set_defaults(run=preview)


def _add_bench(commands: Any) -> None:
    summary = "Measure peak memory, and examples a second on one core and on the device."
    parser = new_parser(commands, "bench", summary)
    add_example(parser, "ranet data bench --set davis/2016")
    _add_data_options(parser, batch_size=4)
    parser.add_argument(
        "--examples",
        type=whole_number(0, 1_000_000),
        default=64,
        help="examples in a measurement (default 64)",
    )
    parser.add_argument(
        "--repeats", type=whole_number(0, 1000), default=3, help="measurements (default 3)"
    )
    parser.set_defaults(run=bench)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=local_path,
        default=None,
        help=f"where built sets are kept (default {DEFAULT_DATA_DIR})",
    )


def _add_data_options(parser: argparse.ArgumentParser, batch_size: int) -> None:
    parser.add_argument(
        "--config",
        metavar="CONFIG[:VARIANT]",
        help="take the sections data and augment from here; --config.key=value overrides a value",
    )
    parser.add_argument(
        "--set",
        action="append",
        dest="sets",
        metavar="NAME[@WEIGHT]",
        help="a dataset, instead of the config's: ecssd, davis/2016:trainval, videos=FOLDER, "
        "images=IMAGES,MASKS; may be repeated, @2 draws from it twice as often",
    )
    _add_data_dir(parser)
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), default=0)
    parser.add_argument("--batch-size", type=whole_number(1, 1024), default=batch_size)
    parser.add_argument(
        "--height", type=whole_number(1, 8192), help="rows of the network's input (default 480)"
    )
    parser.add_argument(
        "--width", type=whole_number(1, 8192), help="columns of the network's input (default 864)"
    )
    parser.add_argument("--slots", type=whole_number(1, 16), help="object slots (default 1)")
    parser.add_argument("--object-sampling", choices=get_args(ObjectSampling))
    parser.add_argument("--crops", choices=get_args(Crops))
    parser.add_argument("--jitter", type=float, help="of the crops (default 0.1)")
    parser.add_argument(
        "--no-augmentation", action="store_true", help="show the crops as they are at test time"
    )
    parser.set_defaults(overrides=[])


def build(arguments: argparse.Namespace) -> None:
    """Builds a dataset, reads it again, and prints what it holds.

    Raises:
        InputError: its archives are missing, damaged or cannot be fetched; or what was built of
            them earlier is damaged.
    """
    extras.require("train", "ranet data")
    import tensorflow_datasets as tfds

    from data_pipelines import builders
    from data_pipelines.builders import checksums
    from ranet_jax.io.locks import locked

    data_dir = Path(arguments.data_dir or DEFAULT_DATA_DIR).expanduser()
    manual = arguments.manual_dir and arguments.manual_dir.expanduser()
    if manual and not manual.is_dir():
        raise InputError(f"{manual} is no folder: check --manual-dir.")
    if manual and not any(manual.iterdir()):
        raise InputError(f"{manual} is empty: put the archives of the set there.")
    builder = builders.builder(arguments.name, data_dir)
    config = tfds.download.DownloadConfig(manual_dir=manual)
    downloads = data_dir / "downloads"
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()  # which moves the cursor: in a file it would hide the rest
    with locked(Path(builder.data_dir).parent):
        builder.download_and_prepare(download_dir=downloads, download_config=config)
        checksums.verify(builder)
    for split, info in builder.info.splits.items():
        print(f"{builder.info.full_name}:{split}  {info.num_examples} examples")
    print(f"in {builder.data_dir}")


def preview(arguments: argparse.Namespace) -> None:
    """Writes a contact sheet."""
    extras.require("train", "ranet data")
    import jax

    from data_pipelines import pipeline
    from data_pipelines.preview import contact_sheet
    from ranet_jax.io.atomic import replacing
    from ranet_jax.training.augment import augment

    if arguments.rows < 1 or arguments.tile < 16:
        raise InputError("A sheet needs --rows of 1 or more and --tile of 16 or more.")
    data, augmentation = _sections(arguments)
    loader = pipeline.open_loader(data, seed=arguments.seed)
    sheet = contact_sheet(
        loader,
        functools.partial(augment, **augmentation),
        rows=arguments.rows,
        key=jax.random.key(arguments.seed),
        tile_width=arguments.tile,
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(arguments.out) as temporary:
        sheet.save(temporary, "PNG", optimize=True)
    print(f"{arguments.out}: {arguments.rows} examples")


def bench(arguments: argparse.Namespace) -> None:
    """Prints the measurements."""
    extras.require("train", "ranet data")
    from data_pipelines import pipeline
    from ranet_jax.benchmarks.data import report

    if min(arguments.examples, arguments.repeats, arguments.batch_size) < 1:
        raise InputError("--examples, --repeats and --batch-size are 1 or more.")
    data, augmentation = _sections(arguments)
    lines = report(
        pipeline.open_sources(data),
        data,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        examples=arguments.examples,
        repeats=arguments.repeats,
        augmentation=augmentation,
    )
    for line in lines:
        print(line, flush=True)


def _sections(arguments: argparse.Namespace) -> tuple[DataConfig, dict[str, Any]]:
    """What to draw from and how, and the augmentation: the config's, then the options'."""
    from ranet_jax.training.augment import IDENTITY
    from ranet_jax.training.config import read

    if arguments.overrides and not arguments.config:
        raise InputError(f"{arguments.overrides[0]} overrides a config: name one with --config.")
    config = read(arguments.config or "paper", arguments.overrides)
    given = dataclasses.asdict(config.data) if arguments.config else {}
    options = {name: getattr(arguments, name) for name in _SETTING_OPTIONS}
    given |= {name: value for name, value in options.items() if value is not None}
    if arguments.data_dir:
        given["data_dir"] = str(arguments.data_dir)
    if arguments.sets:
        given["sets"] = tuple(map(_weighted, arguments.sets))
    if "sets" not in given:
        raise InputError("Say what to draw from: --set NAME, or a --config with data.sets.")
    # No threads and no workers: a few batches are made sooner than those start.
    given |= {"batch_size": arguments.batch_size, "workers": 0, "threads": 0}
    data = DataConfig(**given)
    augmentation = IDENTITY if arguments.no_augmentation else dataclasses.asdict(config.augment)
    return data, {**augmentation, "frame_scale": data.frame_scale}


def _weighted(text: str) -> tuple[str, float]:
    name, separator, weight = text.rpartition("@")
    try:
        return (name, float(weight)) if separator else (text, 1.0)
    except ValueError:  # The @ belongs to a path.
        return text, 1.0
