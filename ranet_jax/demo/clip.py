"""A clip whose masks are known exactly, rendered from images that scikit-image brings along.

An astronaut, cut out along her outline, sways before a garage that the camera pans over; with two
objects, a cup of coffee drifts past her. Nothing is downloaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from ranet_jax import extras
from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder, replacing
from ranet_jax.io.masks import write_mask

# Outlines as x,y pairs in pixels of the image, clockwise, drawn by hand.
_ASTRONAUT = """
182,140 180,131 173,125 170,120 163,112 158,104 155,97 154,81 153,69 157,61 166,51 178,41 190,34
193,30 204,22 217,18 231,16 245,17 258,20 270,27 283,36 291,46 296,56 299,69 300,82 298,102 291,115
282,125 278,132 272,137 267,136 265,148 259,161 256,174 265,179 278,190 288,203 297,217 304,235
316,240 329,251 339,263 346,274 350,285 354,296 356,308 359,320 363,332 361,337 363,346 366,349
376,346 393,344 412,344 429,348 446,355 463,367 477,382 486,399 492,416 495,434 496,451 503,457
503,465 508,469 510,481 512,487 512,520 40,520 37,509 32,498 28,482 25,464 24,446 24,431 24,413
20,399 21,390 26,379 26,366 26,343 29,330 34,319 37,307 40,296 44,285 50,274 59,260 65,249 73,241
80,233 94,224 102,218 110,210 114,204 115,196 113,187 119,184 124,180 127,175 133,166 143,158
153,152 166,149 178,148 185,150
"""
_CUP = """
397,71 404,67 417,68 424,76 420,94 416,106 433,120 451,143 464,167 474,192 479,223 478,250 473,277
462,306 446,333 424,355 397,371 366,383 330,388 295,389 259,385 223,375 192,364 161,344 129,317
107,290 89,254 80,232 78,205 83,174 91,152 105,129 125,107 152,87 178,69 183,67 196,54 214,39 237,27
259,20 286,18 312,21 335,29 357,40 379,56 393,67
"""


@dataclass(frozen=True)
class Clip:
    """Frames, uint8 [T, H, W, 3], and the ids they show, uint8 [T, H, W]."""

    frames: np.ndarray
    labels: np.ndarray


def render_clip(frames: int = 24, height: int = 480, width: int = 854, *, objects: int = 1) -> Clip:
    """Renders the clip; the same arguments give the same pixels.

    The objects move, turn, grow and bend smoothly, and the motion spans the clip whatever its
    length. Edges are composited softly; a pixel belongs to the object that covers more than half of
    it, the nearer one where both do.

    Args:
        frames: Length of the clip, at least 2.
        height: Of the frames, in pixels.
        width: Of the frames, in pixels.
        objects: 1, the astronaut, or 2, with a cup that passes in front of her.

    Raises:
        InputError: The clip would be shorter than two frames or have another number of objects.
    """
    if frames < 2 or objects not in (1, 2):
        raise InputError(
            f"The demo has 1 or 2 objects and at least 2 frames, not {objects} and {frames}."
        )
    unit = height / 480
    garage = _image("motorcycle_left.png")
    astronaut = _cut_out(_image("astronaut.png"), _ASTRONAUT, 0.9 * unit)
    cup = _cut_out(_image("coffee.png"), _CUP, 0.36 * unit) if objects == 2 else None
    clip = Clip(
        np.empty((frames, height, width, 3), np.uint8), np.empty((frames, height, width), np.uint8)
    )
    for index, t in enumerate(np.linspace(0, 1, frames)):
        layers = [_place(astronaut, height, width, **_astronaut_pose(t))]
        if cup is not None:
            layers.append(_place(cup, height, width, **_cup_pose(t)))
        clip.frames[index], clip.labels[index] = _composite(_pan(garage, height, width, t), layers)
    return clip


def write_clip(clip: Clip, frames: Path, masks: Path) -> None:
    """Writes a clip as `frames/00000.jpg` and `masks/00000.png`, and so on.

    Raises:
        InputError: a folder cannot be written to.
    """
    make_output_folder(frames)
    make_output_folder(masks)
    for index, (frame, labels) in enumerate(zip(clip.frames, clip.labels, strict=True)):
        with replacing(frames / f"{index:05d}.jpg") as temporary:
            Image.fromarray(frame).save(temporary, format="JPEG", quality=92)
        write_mask(masks / f"{index:05d}.png", labels)


def _astronaut_pose(t: float) -> dict[str, float]:
    turn = 2 * np.pi * t
    return {
        "x": 0.34 + 0.28 * t,
        "y": 0.64 - 0.025 * np.sin(turn),
        "degrees": 5 * np.sin(turn),
        "scale": 1 + 0.12 * t,
        "bend": 0.015,
        "phase": turn,
    }


def _cup_pose(t: float) -> dict[str, float]:
    return {
        "x": 0.86 - 0.68 * t,
        "y": 0.62 + 0.12 * np.sin(np.pi * t),
        "degrees": -25 + 55 * t,
        "scale": 1 + 0.15 * np.sin(np.pi * t),
        "bend": 0.012,
        "phase": 2 * np.pi * t,
    }


def _image(name: str) -> np.ndarray:
    # Found, not imported: its readers would fetch what a wheel lacks, and Pillow reads these.
    extras.require("demo", "The demo's clip")
    folder = Path(find_spec("skimage").submodule_search_locations[0])
    with Image.open(folder / "data" / name) as image:
        return np.asarray(image.convert("RGB"))


def _cut_out(image: np.ndarray, outline: str, scale: float) -> np.ndarray:
    """RGB and soft coverage, float32 [h, w, 4], of what the outline encloses, scaled."""
    fine = 3
    points = [tuple(fine * float(v) for v in point.split(",")) for point in outline.split()]
    height, width = image.shape[:2]
    stencil = Image.new("L", (fine * width, fine * height))
    ImageDraw.Draw(stencil).polygon(points, fill=255)
    # Rounds the polygon's corners; the edge is then taken inside of the outline, off the backdrop.
    stencil = stencil.filter(ImageFilter.GaussianBlur(1.6 * fine))
    stencil = stencil.resize((width, height), Image.Resampling.BOX)
    coverage = np.clip(2 * (np.asarray(stencil, np.float32) / 255) - 1, 0, 1)
    # The rim takes the colors of the object, or a fringe of the old backdrop would show.
    nearest = ndimage.distance_transform_edt(
        coverage < 1, return_distances=False, return_indices=True
    )
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    colors = Image.fromarray(image[tuple(nearest)]).resize(size, Image.Resampling.LANCZOS)
    coverage = Image.fromarray(coverage).resize(size, Image.Resampling.BILINEAR)
    return np.dstack([np.asarray(colors, np.float32), np.asarray(coverage, np.float32)])


def _place(
    cutout: np.ndarray,
    height: int,
    width: int,
    *,
    x: float,
    y: float,
    degrees: float,
    scale: float,
    bend: float,
    phase: float,
) -> np.ndarray:
    """The cut-out in a frame, float32 [height, width, 4]: bent, scaled, turned and moved.

    `x`, `y` place its center in fractions of the frame, `bend` is the swing in fractions of its
    height.
    """
    h, w = cutout.shape[:2]
    down, right = np.mgrid[:height, :width].astype(np.float32)
    right, down = right - x * width, down - y * height
    cos, sin = np.cos(np.deg2rad(degrees)) / scale, np.sin(np.deg2rad(degrees)) / scale
    u, v = cos * right + sin * down, cos * down - sin * right
    swing_u = bend * h * np.sin(2 * np.pi * v / (0.9 * h) + phase)
    swing_v = 0.6 * bend * h * np.sin(2 * np.pi * u / (0.8 * w) + 1.3 * phase)
    at = [v + swing_v + h / 2, u + swing_u + w / 2]
    colors = [
        ndimage.map_coordinates(cutout[..., c], at, order=1, mode="nearest") for c in range(3)
    ]
    coverage = ndimage.map_coordinates(cutout[..., 3], at, order=1, mode="constant")
    return np.stack([*colors, coverage], axis=-1)


def _pan(image: np.ndarray, height: int, width: int, t: float) -> np.ndarray:
    """The part of an image that the camera sees, float32 [height, width, 3]; t from 0 to 1."""
    zoom = 1.2 * max(height / image.shape[0], width / image.shape[1])
    top = (image.shape[0] - height / zoom) * (0.5 + 0.15 * np.sin(2 * np.pi * t))
    left = (image.shape[1] - width / zoom) * (0.5 - 0.5 * np.cos(np.pi * t))
    view = (1 / zoom, 0, left, 0, 1 / zoom, top)
    seen = Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, view, Image.Resampling.BICUBIC
    )
    return np.asarray(seen, np.float32)


def _composite(background: np.ndarray, layers: Sequence[np.ndarray]) -> tuple[HostFrame, HostMask]:
    image, labels = background, np.zeros(background.shape[:2], np.uint8)
    for label, layer in enumerate(layers, 1):
        coverage = layer[..., 3:]
        image = image * (1 - coverage) + layer[..., :3] * coverage
        labels[coverage[..., 0] > 0.5] = label
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8), labels
