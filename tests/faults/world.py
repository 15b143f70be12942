"""The small world that cases find in their folders, and damage.

clip/00000.png ... 00003.png   frames, 64x48
clip.mp4                       the same as a video of eight frames
mask.png                       of the first frame, ids 1 and 7
network.npz                    a network of depth 14 and width 8, packed
weights.npz                    arrays that are no weights of a known network
results.json                   of an evaluation

A command finds these where its line names them, a call in any case:
DAVIS/                         two videos, ant and bee, of four frames, as DAVIS-2016 and -2017
predictions/                   of both, as good as they can be
network/                       the checkpoint that was packed

What few cases want, and ask for:
built/                         ECSSD with three images, built
run/                           of `ranet train`, checkpoints at steps 1 and 2
"""

import dataclasses
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from small_sets import ECSSD, static_files, write_tree
from small_videos import frames, make_folder, make_video

from data_pipelines import builders
from data_pipelines.pipeline import open_loader
from ranet_jax.checkpoints import checkpoint, quantized
from ranet_jax.checkpoints.manager import FOLDER, RunCheckpoints
from ranet_jax.evaluation.results import GLOBAL_COLUMNS
from ranet_jax.io.masks import write_mask
from ranet_jax.models.initialization import init_params
from ranet_jax.training import workdir
from ranet_jax.training.config import read
from ranet_jax.training.initialization import checkpoint_settings
from ranet_jax.training.optimizer import make_optimizer
from ranet_jax.training.train_state import create_state, to_saved

VIDEOS = ("ant", "bee")
FOLDERS = ("DAVIS", "predictions", "network")
# What the runs here change in the config `tiny`.
TINY = {
    "data.root": ".",
    "data.sets": "(('videos={root}/DAVIS:train',1.0),)",
    "data.exclude": "('bee',)",
    "data.height": 64,
    "data.width": 96,
    "data.batch_size": 2,
    "data.threads": 1,
    "eval.sequences": "('bee',)",
    "model.width": 8,
    "steps": 4,
    "optimizer.warmup_steps": 2,
    "log.images": 0,
}
HEIGHT, WIDTH, LENGTH = 48, 64, 4


def first_mask() -> np.ndarray:
    """Two objects, the ids 1 and 7."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[10:20, 5:15] = 1
    labels[25:40, 20:40] = 7
    return labels


def build(root: Path, model, params) -> Path:
    """Makes the world in a folder, once for all cases."""
    _build_set(root.parent / "built")
    root.mkdir(parents=True)
    images = frames(2 * LENGTH, HEIGHT, WIDTH)
    make_folder(root / "clip", images[:LENGTH])
    make_video(root / "clip.mp4", images)
    write_mask(root / "mask.png", first_mask())
    _davis(root / "DAVIS", root / "predictions", images)
    checkpoint.save(root / "network", model, params, trained=True)
    settings = checkpoint.read_settings(root / "network")
    quantized.save(root / "network.npz", settings, params, limit=100_000_000)
    np.savez(root / "weights.npz", **{"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)})
    (root / "results.json").write_text(json.dumps(results()))
    _build_run(root.parent / "run", root)
    return root


def copy(
    world: Path, folder: Path, wants: Sequence[str] = (), named: Iterable[str] = FOLDERS
) -> Path:
    """A copy of the world, to be damaged, with what few want.

    Args:
        wants: the names of that.
        named: those of `FOLDERS` that are needed: most of the files lie there.
    """
    for name in wants:
        shutil.copytree(world.parent / name, folder / name)
    unused = shutil.ignore_patterns(*set(FOLDERS) - set(named))
    return shutil.copytree(world, folder, dirs_exist_ok=True, ignore=unused)


def results(**changes) -> dict:
    """What `results.json` of an evaluation holds."""
    return {
        "name": "small",
        "dataset": "davis2016",
        "split": "val",
        "whole_split": True,
        "sequences": list(VIDEOS),
        "global": dict.fromkeys(GLOBAL_COLUMNS, 0.5),
        "per_sequence": [],
        "settings": {"model": {"ranking": "rank", "correlation": True, "previous_mask": True}},
    } | changes


def _build_set(folder: Path) -> None:
    files = static_files(*ECSSD)
    published = write_tree(folder.with_name("published"), files)
    config = tfds.download.DownloadConfig(manual_dir=published)
    builders.builder("ecssd", folder).download_and_prepare(download_config=config)


def _build_run(folder: Path, data: Path) -> None:
    """As a run leaves it, without the time that its steps take to compile."""
    config = read("tiny", [f"--config.{name}={value}" for name, value in TINY.items()])
    workdir.reserve(folder, dataclasses.asdict(config))
    model = config.network()
    state = create_state(
        init_params(model, seed=0),
        optimizer=make_optimizer(config.optimizer, config.steps),
        seed=config.seed,
        ema_decay=config.optimizer.ema_decay,
    )
    there = dataclasses.replace(config.data, root=str(data))
    position = open_loader(there, seed=config.seed).get_state()
    with RunCheckpoints(folder / FOLDER, keep=2) as checkpoints:
        for step in (1, 2):
            saved = to_saved(
                state._replace(step=np.int32(step)),
                iterator=position | {"next_batch": step},
                log={"steps": []},
                settings=checkpoint_settings(config) | {"step": step},
            )
            checkpoints.save(step, saved, score=step / 4)
    lines = [json.dumps({"step": step, "loss": 0.5}) for step in (1, 2)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def _davis(root: Path, predictions: Path, images: np.ndarray) -> None:
    for name in VIDEOS:
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / "480p" / name).mkdir(parents=True)
        (predictions / name).mkdir(parents=True)
        for index in range(LENGTH):
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[10:30, 5 + 2 * index : 35 + 2 * index] = 1
            stem = f"{index:05d}"
            Image.fromarray(images[index]).save(root / "JPEGImages/480p" / name / f"{stem}.jpg")
            write_mask(root / "Annotations/480p" / name / f"{stem}.png", mask)
            write_mask(predictions / name / f"{stem}.png", mask)
    for year in ("2016", "2017"):
        lists = root / "ImageSets" / year
        lists.mkdir(parents=True)
        for split in ("train", "val"):
            (lists / f"{split}.txt").write_text("\n".join(VIDEOS) + "\n")
