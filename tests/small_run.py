"""A run so small that it takes seconds: moving squares, and a network that hardly fits them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import quick_compile
from PIL import Image

from ranet_jax.training.config import TrainConfig, read

ROOT = Path(__file__).resolve().parents[1]
TRAINED, HELD_OUT = ("ant", "bee", "cat"), ("dog", "eel")
_LENGTHS = {"ant": 8, "bee": 6, "cat": 7, "dog": 6, "eel": 5}
_SIZES = {"dog": (70, 100)}  # height and width, where they are not those of all others


def write_data(root: Path) -> Path:
    """Five videos in the layout of DAVIS-2016, their frames named by video and number."""
    rng = np.random.default_rng(0)
    for number, (name, length) in enumerate(_LENGTHS.items()):
        height, width = _SIZES.get(name, (64, 96))
        background = rng.integers(0, 120, (height, width, 3), dtype=np.uint8)
        for frame in range(length):
            mask = np.zeros((height, width), np.uint8)
            mask[14 + number : 44 + number, 10 + 5 * frame : 40 + 5 * frame] = 255
            image = np.where(mask[..., None] > 0, 255 - background // 4, background)
            _save(root / f"DAVIS/JPEGImages/480p/{name}/{frame:05d}.jpg", image)
            _save(root / f"DAVIS/Annotations/480p/{name}/{frame:05d}.png", mask)
    lists = root / "DAVIS/ImageSets/2016"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(_LENGTHS))
    return root


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def overrides(root: Path, **changes) -> list[str]:
    """Of configs/tiny.py; `changes` are named with __ for the dot."""
    values = {
        "data.root": root,
        "data.sets": (("videos={root}/DAVIS:train", 1.0),),
        "data.exclude": HELD_OUT,
        "data.height": 32,
        "data.width": 64,
        "data.batch_size": 2,
        "data.threads": 1,
        "model.width": 8,
        "steps": 4,
        "optimizer.warmup_steps": 2,
        "optimizer.schedule": "constant",  # whatever the number of steps, one program
        "eval.sequences": HELD_OUT,
        "eval.frames": 4,
        "eval.every": 4,
        "log.every": 2,
        "log.images": 0,
        "log.checkpoint": 2,
    } | {name.replace("__", "."): value for name, value in changes.items()}
    return [f"--config.{name}={value}" for name, value in values.items()]


def config(root: Path, **changes) -> TrainConfig:
    """The config of a small run."""
    return read(ROOT / "configs/tiny.py", overrides(root, **changes))


def start_command(
    root: Path, workdir: Path, *arguments: str, devices: int = 1, **changes
) -> subprocess.Popen:
    """`ranet train` in a process of its own, which compiles without optimising: far sooner."""
    command = [
        sys.executable,
        "-c",
        "from ranet_jax.cli.main import main; raise SystemExit(main())",
    ]
    command += ["train", "--config", str(ROOT / "configs/tiny.py"), "--workdir", str(workdir)]
    environment = {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": quick_compile.for_devices(devices),
    }
    return subprocess.Popen(
        [*command, *arguments, *overrides(root, **changes)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
