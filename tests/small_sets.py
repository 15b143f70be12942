"""Small datasets in the layouts of their publishers, written by the tests."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]  # the first colors of DAVIS


def encode(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None) -> bytes:
    """An image file; `mode` is Pillow's, P gets the palette of DAVIS."""
    image = Image.fromarray(pixels)
    if mode == "P":
        image.putpalette(PALETTE + [0] * (768 - len(PALETTE)))
    elif mode is not None:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def random_image(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth random colors, which JPEG keeps well."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def square(
    height: int = 48, width: int = 64, value: int = 1, top: int = 12, left: int = 16, side: int = 20
) -> np.ndarray:
    """A mask with one square object."""
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


def write_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Files in folders."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """The same files in an archive, with the litter that macOS leaves in one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            archive.writestr(f"__MACOSX/{name}", b"litter")
    return path


ECSSD = ("images/{}.jpg", "ground_truth_mask/{}.png")  # as published


def static_files(images: str, masks: str, count: int = 3, first: int = 0) -> dict[str, bytes]:
    """Photographs and binary masks under path patterns with `{}` for the name."""
    files = {}
    for i in range(first, first + count):
        files[images.format(f"{i:04d}")] = encode(random_image(i), "JPEG")
        files[masks.format(f"{i:04d}")] = encode(255 * square(top=8 + i))
    return files


def davis_files(year: str, videos: dict[str, dict[str, int]]) -> dict[str, bytes]:
    """An official package: `videos` is {split: {name: number of frames}}."""
    files = {}
    for split, names in videos.items():
        lines = []
        for name, frames in names.items():
            for t in range(frames):
                image = f"/JPEGImages/480p/{name}/{t:05d}.jpg"
                mask = f"/Annotations/480p/{name}/{t:05d}.png"
                files[f"DAVIS{image}"] = encode(random_image(t), "JPEG")
                ids = square(left=8 + t)
                if year == "2017":
                    ids[30:40, 40:50] = 2
                    answer = encode(ids, mode="P")
                else:
                    answer = encode(255 * ids)
                if t == 0 or split != "test-dev":
                    files[f"DAVIS{mask}"] = answer
                lines.append(f"{image} {mask}")
        if year == "2016":
            files[f"DAVIS/ImageSets/480p/{split}.txt"] = "\n".join(lines).encode()
        else:
            files[f"DAVIS/ImageSets/2017/{split}.txt"] = "\n".join(names).encode()
    return files
