"""Training examples: pairs from static images, triplets from videos (paper 3.5).

An example is what one row of the device's batch is made from: decoded pixels on canvases of the
network's size, masks of slot numbers, and the box of each canvas that the network is to see. The
host decodes, shrinks what is larger than the network's input, and looks where the object is; the
warps, the crop and all enlarging happen on the device, in one sampling (`training/augment.py`).
"""

import zlib
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from data_pipelines import occlusion
from data_pipelines.cache import ByteCache
from data_pipelines.canvas import Canvas, CanvasGeometry, IdCanvas
from data_pipelines.config import ExampleSettings
from data_pipelines.decoding import decode_image
from data_pipelines.mask_corruption import corrupt_mask
from data_pipelines.sources import Source
from ranet_jax.errors import InputError
from ranet_jax.inference.boxes import host_extent
from ranet_jax.inference.letterbox import letterbox, letterbox_labels
from ranet_jax.io.images import CorruptImageError, image_size
from ranet_jax.io.masks import decode_ids, match_size

SlotOfId = UInt8[np.ndarray, "256"]
Example = dict[str, np.ndarray]


class MaskCache:
    """Masks on their canvases, packed.

    A triplet wants three masks to two images. Unpacking one from here takes a tenth of the
    time of decoding a published PNG, and it takes up a few kilobytes.
    """

    def __init__(self, capacity: int = 128 * 2**20):
        self._packed: ByteCache[tuple[tuple[int, int], bytes]] = ByteCache(capacity)

    def get(self, key: tuple[int, int]) -> tuple[tuple[int, int], bytes] | None:
        """Size of the image, and pixels of the canvas, of a clip's frame."""
        held = self._packed.get(key)
        return held and (held[0], zlib.decompress(held[1]))

    def put(self, key: tuple[int, int], size: tuple[int, int], ids: IdCanvas) -> None:
        """Keeps the mask of a clip's frame."""
        packed = zlib.compress(np.ascontiguousarray(ids), level=1)
        self._packed.put(key, (size, packed), len(packed) + 200)


def make_example(
    source: Source,
    clip: int,
    frame: int,
    rng: np.random.Generator,
    settings: ExampleSettings,
    masks: MaskCache | None = None,
) -> Example | None:
    """An example whose current frame is the given one.

    A clip of one frame is a static image: template, current frame and previous mask are all that
    image, for the device to warp apart. In a video the template is any other frame, and the
    previous mask that of a frame nearby, before or after. The step from there to the current frame
    leads on to the later frames of a clip (`settings.clip_length`).

    Args:
        source: where the clip is from.
        clip: its number there.
        frame: the current frame's number in the clip.
        rng: draws everything that is random about the example.
        settings: how examples are made.
        masks: keeps masks that were read, of this source with these settings; no result depends
            on it.

    Returns:
        The arrays that `augment.HostBatch` names, without the batch axis, or None where the drawn
        frames do not show an object well enough to learn from.
    """
    length = source.lengths[clip]
    template, previous = draw_frames(length, frame, rng, settings.max_frame_gap)
    later = later_frames(length, frame, previous, settings.clip_length)
    views = {
        t: _View(source, clip, t, settings, masks) for t in {template, frame, previous, *later}
    }
    slot_of = assign_slots(views[template].areas(), views[frame].areas(), rng, settings)
    if slot_of is None:
        return None
    ids = {t: _relabel(view.ids, slot_of) for t, view in views.items()}
    if not ids[previous].any():
        return None
    images = {t: views[t].image() for t in {template, frame, *later}}
    previous_ids = corrupt_mask(
        ids[previous], rng, settings.extra_region_prob, settings.missing_region_prob
    )
    image, truth = images[frame], ids[frame]
    if settings.occlusions and rng.random() < settings.occlusions:
        image, truth = image.copy(), truth.copy()
        window = views[frame].geometry.canvas.window
        occlusion.occlude(image[window], truth[window], rng)
    template_box = _draw_box(ids[template], views[template].geometry, rng, settings)
    frame_box = _draw_box(previous_ids, views[frame].geometry, rng, settings)
    example = {
        "template_image": images[template],
        "template_ids": ids[template],
        "template_box": views[template].geometry.on_canvas(template_box),
        "image": image,
        "ids": truth,
        "previous_ids": previous_ids,
        "box": views[frame].geometry.on_canvas(frame_box),
        "valid": np.arange(1, settings.slots + 1) <= slot_of.max(),
        "is_static": np.asarray(length == 1),
    }
    if later:
        example |= {
            "later_images": np.stack([images[t] for t in later]),
            "later_ids": np.stack([ids[t] for t in later]),
            "frame_box": frame_box.astype(np.int32),
        }
    return example


def draw_frames(
    length: int, frame: int, rng: np.random.Generator, max_frame_gap: int
) -> tuple[int, int]:
    """Template and previous frame for a current one: any other, and another one nearby."""
    if length == 1:
        return frame, frame
    template = int(rng.integers(length - 1))
    near = [
        t
        for t in range(frame - max_frame_gap, frame + max_frame_gap + 1)
        if 0 <= t < length and t != frame
    ]
    return template + (template >= frame), int(rng.choice(near))


def later_frames(length: int, frame: int, previous: int, clip_length: int) -> list[int]:
    """The frames after the first current one: on by the step from the previous frame to it, and
    back from the ends of the video."""
    if length == 1:
        return [frame] * (clip_length - 1)
    way = (frame + (frame - previous) * np.arange(1, clip_length)) % (2 * length - 2)
    return np.minimum(way, 2 * length - 2 - way).tolist()


def assign_slots(
    template: dict[int, float],
    current: dict[int, float],
    rng: np.random.Generator,
    settings: ExampleSettings,
) -> SlotOfId | None:
    """Which slot each id goes to; 0 leaves an object out.

    Args:
        template: fraction of the frame of each object in the template.
        current: the same in the current frame.
        rng: draws the objects and their order.
        settings: what counts as an object.

    Returns:
        The slot of every id, or None where no object is large enough in both frames.
    """
    slot_of = np.zeros(256, np.uint8)
    if settings.object_sampling == "merged":
        if min(sum(template.values()), sum(current.values())) <= settings.min_area:
            return None
        slot_of[1:] = 1
        return slot_of
    shown = [i for i, area in template.items() if area > settings.min_area]
    seen = {i for i, area in current.items() if area > settings.min_area}
    if settings.object_sampling == "sampled":
        shown = [i for i in shown if i in seen]
    chosen = rng.permutation(np.array(shown, np.intp))[: settings.slots]
    if not seen.intersection(chosen.tolist()):
        return None
    slot_of[chosen] = np.arange(1, len(chosen) + 1)
    return slot_of


class _View:
    """One frame of a clip: its mask on a canvas now, its image when asked for."""

    def __init__(
        self,
        source: Source,
        clip: int,
        frame: int,
        settings: ExampleSettings,
        masks: MaskCache | None,
    ):
        self._source, self._at = source, (clip, frame)
        self._name = source.frame_name(clip, frame)
        shape = settings.canvas
        held = masks and masks.get(self._at)
        if held:
            self.geometry = CanvasGeometry.of(held[0], shape)
            self.ids = np.frombuffer(held[1], np.uint8).reshape(shape)
            return
        size = image_size(self._read(source.image), self._name)
        self.geometry = CanvasGeometry.of(size, shape)
        try:
            ids = decode_ids(self._read(source.mask), "the mask", source.mask_rule)
            ids = match_size(ids, *size, "the mask")
        except CorruptImageError as error:
            raise CorruptImageError(self._name, error.reason) from None
        except InputError as error:
            raise CorruptImageError(self._name, str(error).rstrip(".")) from None
        self.ids = letterbox_labels(ids, self.geometry.canvas)
        if masks:
            masks.put(self._at, size, self.ids)

    def image(self) -> Canvas:
        canvas = self.geometry.canvas
        pixels = decode_image(
            self._read(self._source.image),
            self._name,
            min_size=canvas.resized,
            borrow=True,
        )
        return letterbox(pixels, canvas)

    def _read(self, file: Callable[[int, int], bytes]) -> bytes:
        try:
            return file(*self._at)
        except OSError as error:
            raise CorruptImageError(self._name, error.strerror or str(error)) from None

    def areas(self) -> dict[int, float]:
        """Fraction of the frame of each object there is."""
        peak = int(self.ids.max())
        if peak <= 16:  # Counting each is faster than a histogram, which widens every pixel.
            counts = [0] + [np.count_nonzero(self.ids == i) for i in range(1, peak + 1)]
        else:
            counts = np.bincount(self.ids.reshape(-1))
        pixel = self.geometry.pixel_area
        return {i: count * pixel for i, count in enumerate(counts) if i and count}


def _relabel(ids: IdCanvas, slot_of: SlotOfId) -> IdCanvas:
    peak = int(ids.max())
    if (slot_of[: peak + 1] == np.arange(peak + 1)).all():
        return ids
    return slot_of[ids]


def _draw_box(
    ids: IdCanvas,
    geometry: CanvasGeometry,
    rng: np.random.Generator,
    settings: ExampleSettings,
) -> np.ndarray:
    """The part of the frame to show: the object's box, jittered, or all of it."""
    extent = host_extent(ids) if settings.crops == "object" else None
    zoom, down, right = rng.uniform(-settings.jitter, settings.jitter, 3)
    return geometry.crop_box(extent, 1 + zoom, (down, right))
