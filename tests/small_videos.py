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
