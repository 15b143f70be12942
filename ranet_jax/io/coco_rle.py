"""Masks as run lengths in a JSON file, in the format of COCO.

https://cocodataset.org/#format-data: runs are counted down the columns, the first one is of the
background, and the counts are packed into a string.
"""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from ranet_jax.array_typing import HostMask
from ranet_jax.io.atomic import write_text
from ranet_jax.io.video_reader import natural_order

COCO_NAME = "coco.json"


class CocoResults:
    """Collects the objects of frames, in any order, and writes them at the end."""

    def __init__(self):
        self._frames: dict[str, tuple[int, int, list[dict]]] = {}

    def add(self, name: str, labels: HostMask) -> None:
        """Takes the objects of a frame.

        Args:
            name: of the frame, without a suffix.
            labels: ids [H, W].
        """
        objects = [_object(labels == id_, int(id_)) for id_ in np.unique(labels) if id_]
        self._frames[name] = (*labels.shape, objects)

    def write(self, folder: Path) -> None:
        """Writes `coco.json`: an image for every frame, a category for every id."""
        images, annotations = [], []
        for number, name in enumerate(sorted(self._frames, key=natural_order), 1):
            height, width, objects = self._frames[name]
            images.append({"id": number, "file_name": name, "height": height, "width": width})
            for one in objects:
                annotations.append({"id": len(annotations) + 1, "image_id": number, **one})
        ids = sorted({one["category_id"] for one in annotations})
        categories = [{"id": id_, "name": f"object {id_}"} for id_ in ids]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_text(folder / COCO_NAME, json.dumps(content) + "\n")


def encode_rle(mask: Bool[np.ndarray, "height width"]) -> str:
    """The run lengths of a mask, as the string that COCO's tools read.

    A count is the difference to the one before the last, from the fourth on; its bits are split
    into groups of five, lowest first, each with a bit that says whether another follows.
    """
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    counts = np.diff(np.flatnonzero(np.diff(flat)), prepend=0)
    counts[3:] -= counts[1:-2].copy()
    text = []
    for count in counts.tolist():
        more = True
        while more:
            group = count & 31
            count >>= 5
            more = count != (-1 if group & 16 else 0)
            text.append(chr(48 + (group | 32 * more)))
    return "".join(text)


def _object(mask: np.ndarray, id_: int) -> dict:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "category_id": id_,
        "segmentation": {"size": list(mask.shape), "counts": encode_rle(mask)},
        "area": int(np.count_nonzero(mask)),
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "iscrowd": 0,
    }
