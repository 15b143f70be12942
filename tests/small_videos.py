"""Videos made for tests, and the sentence a refusal is told in."""

import av
import numpy as np
import pytest
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.io.video_reader import open_video

HEIGHT, WIDTH = 48, 64


def frames(count, height=HEIGHT, width=WIDTH):
    down, right = np.mgrid[:height, :width]
    ramp = [np.stack([3 * right % 256, 4 * down % 256, 0 * down + 9 * t], -1) for t in range(count)]
    return np.array(ramp).astype(np.uint8)


def first_mask(height=HEIGHT, width=WIDTH):
    labels = np.zeros((height, width), np.int32)
    labels[10:20, 5:15] = 1
    labels[25:40, 20:40] = 7
    return labels


def make_folder(path, images, names=None, suffix=".png"):
    path.mkdir()
    for index, image in enumerate(images):
        name = names[index] if names else f"{index:05d}"
        Image.fromarray(image).save(path / f"{name}{suffix}")
    return path


def make_video(path, images, *, codec="mpeg4", rate=12, pixels="yuv420p"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], pixels
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def message_of(call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def read_all(path):
    return list(open_video(path))


def drifting_squares(frames=5, height=90, width=150, ids=(1,), seed=0):
    """Textured squares that drift over a textured ground, and their labels."""
    random = np.random.default_rng(seed)
    ground = random.integers(0, 256, (height, width, 3))
    side = height // 3
    tiles = random.integers(0, 256, (len(ids), side, side, 3))
    images, labels = [], []
    for t in range(frames):
        image, label = ground.copy(), np.zeros((height, width), np.int32)
        for i, (id_, tile) in enumerate(zip(ids, tiles, strict=True)):
            y, x = height // 4 + t, 8 + t + i * (side + 6)
            image[y : y + side, x : x + side] = tile
            label[y : y + side, x : x + side] = id_
        images.append(image.astype(np.uint8))
        labels.append(label)
    return images, labels


def segment(segmenter, images, mask) -> list[np.ndarray]:
    """The labels of all frames after the first."""
    segmenter.init(images[0], mask)
    return [segmenter.step(image) for image in images[1:]]
