"""A contact sheet of what the network will see: template, current frame, previous mask, target."""

from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from jaxtyping import Float
from PIL import Image

from data_pipelines.loader import Batch, Loader
from ranet_jax.io import overlays
from ranet_jax.io.palette import id_palette

COLUMNS = ("template", "current frame", "previous mask", "target")


def contact_sheet(
    loader: Loader,
    augment: Callable[[jax.Array, Batch], Mapping[str, jax.Array]],
    *,
    rows: int,
    key: jax.Array,
    tile_width: int,
) -> Image.Image:
    """One row for every example: what the augmentation makes of the loader's next ones.

    Args:
        loader: batches for one device.
        augment: from a key and a batch to what the network sees, as `training.augment.augment`.
        rows: number of examples.
        key: of the augmentation.
        tile_width: width of an image on the sheet, pixels.
    """
    tiles: list[list[np.ndarray]] = []
    while len(tiles) < rows:
        key, this = jax.random.split(key)
        batch = {name: array[0] for name, array in next(loader).items()}
        seen = jax.device_get(augment(this, batch))
        tiles += [_tiles(seen, i) for i in range(len(seen["image"]))]
    return _arrange(tiles[:rows], COLUMNS, tile_width)


def prediction_sheet(
    seen: Mapping[str, np.ndarray],
    predictions: Float[np.ndarray, "b n H W"],
    *,
    rows: int,
    tile_width: int,
) -> Image.Image:
    """One row for every example, with what the network made of it before what it should have.

    Args:
        seen: the batch of the training step, see `augment.TrainingBatch`.
        predictions: probability of each slot's object at every pixel, in [0, 1].
        rows: the largest number of examples.
        tile_width: width of an image on the sheet, pixels.
    """
    tiles = []
    for i in range(min(rows, len(predictions))):
        *given, target = _tiles(seen, i)
        shown = predictions[i] * seen["valid"][i][:, None, None]
        tiles.append([*given, _tint(seen["image"][i], shown), target])
    return _arrange(tiles, (*COLUMNS[:-1], "prediction", COLUMNS[-1]), tile_width)


def _tiles(batch: Mapping[str, np.ndarray], i: int) -> list[np.ndarray]:
    template, image = batch["template_image"][i], batch["image"][i]
    return [
        _tint(template, batch["template_masks"][i]),
        image,
        _tint(np.zeros_like(image), batch["previous_masks"][i], opacity=1.0),
        _tint(image, batch["target_masks"][i]),
    ]


def _tint(image: np.ndarray, masks: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """The image in [0, 1] with each mask in its color."""
    for slot, mask in enumerate(masks, 1):
        weight = opacity * mask[..., None]
        image = image * (1 - weight) + weight * id_palette()[slot] / 255
    return image


def _arrange(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], tile_width: int
) -> Image.Image:
    images = [np.clip(tile * 255 + 0.5, 0, 255).astype(np.uint8) for row in rows for tile in row]
    captions = list(titles) * len(rows)
    return overlays.contact_sheet(images, captions, columns=len(titles), tile_width=tile_width)
