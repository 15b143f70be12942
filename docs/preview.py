"""Draws `docs/preview.png` from images that come with scikit-image, outlined by hand.

python docs/preview.py docs/preview.png
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data
from skimage import draw, io

from ranet_jax.cli.main import main as ranet

# Outlines as (x, y) in thousandths of the width and height.
ASTRONAUT = [
    (445, 33), (375, 50), (305, 133), (312, 217), (362, 267), (365, 317), (275, 307), (230, 383),
    (225, 410), (130, 450), (88, 583), (45, 900), (50, 1000), (965, 1000), (965, 860), (925, 750),
    (825, 683), (725, 683), (705, 633), (680, 520), (600, 470), (590, 417), (538, 350), (500, 327),
    (508, 250), (562, 217), (588, 133), (555, 60), (500, 33),
]  # fmt: skip
CAT = [
    (100, 0), (62, 233), (75, 367), (30, 633), (0, 733), (0, 1000), (625, 1000), (712, 873),
    (750, 667), (795, 550), (812, 367), (775, 200), (838, 133), (862, 0),
]  # fmt: skip
ROCKET = [(502, 300), (518, 367), (522, 950), (482, 950), (485, 367)]


def astronaut(height: int, width: int) -> np.ndarray:
    """The astronaut with her helmet."""
    return _polygon(ASTRONAUT, height, width)


def chelsea(height: int, width: int) -> np.ndarray:
    """The cat."""
    return _polygon(CAT, height, width)


def rocket(height: int, width: int) -> np.ndarray:
    """The rocket."""
    return _polygon(ROCKET, height, width)


def coffee(height: int, width: int) -> np.ndarray:
    """The cup with its saucer: two ellipses."""
    mask = np.zeros((height, width), np.uint8)
    for ellipse in ((0.58, 0.4625, 0.39, 0.3375), (0.28, 0.4975, 0.235, 0.208)):
        y, x, half_height, half_width = np.array(ellipse) * (height, width, height, width)
        mask[draw.ellipse(y, x, half_height, half_width, shape=mask.shape)] = 1
    return mask


def _polygon(points: list[tuple[int, int]], height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    x, y = np.array(points).T / 1000
    mask[draw.polygon(y * height, x * width, mask.shape)] = 1
    return mask


def main(out: str) -> int:
    """Writes images and masks into a folder, and the sheet of them to `out`."""
    with tempfile.TemporaryDirectory() as folder:
        images, masks = Path(folder, "images"), Path(folder, "masks")
        images.mkdir()
        masks.mkdir()
        for outline in (astronaut, chelsea, coffee, rocket):
            image = getattr(skimage.data, outline.__name__)()
            mask = 255 * outline(*image.shape[:2])
            io.imsave(images / f"{outline.__name__}.png", image)
            io.imsave(masks / f"{outline.__name__}.png", mask, check_contrast=False)
        arguments = ["--set", f"images={images},{masks}", "--rows", "4", "--tile", "200"]
        return ranet(["data", "preview", *arguments, "--seed", "5", "--out", out])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
