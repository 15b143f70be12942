"""The small world that every case finds in its folder, and damages.

clip/00000.png ... 00003.png   frames, 64x48
clip.mp4                       the same as a video of eight frames
mask.png                       of the first frame, ids 1 and 7
DAVIS/                         two videos, ant and bee, of four frames, as DAVIS-2016 and -2017
predictions/                   of both, as good as they can be
network/                       a checkpoint of a network of depth 14 and width 8
network.npz                    the same, packed
weights.npz                    arrays that are no weights of a known network
results.json                   of an evaluation
"""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from small_videos import frames, make_folder, make_video

from ranet_jax.checkpoints import checkpoint, quantized
from ranet_jax.evaluation.results import GLOBAL_COLUMNS
from ranet_jax.io.masks import write_mask

VIDEOS = ("ant", "bee")
HEIGHT, WIDTH, LENGTH = 48, 64, 4


def first_mask() -> np.ndarray:
    """Two objects, the ids 1 and 7."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[10:20, 5:15] = 1
    labels[25:40, 20:40] = 7
    return labels


def build(root: Path, model, params) -> Path:
    """Makes the world in a folder, once for all cases."""
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
    return root


def copy(world: Path, folder: Path) -> Path:
    """A copy of the world, to be damaged."""
    return shutil.copytree(world, folder, dirs_exist_ok=True)


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
