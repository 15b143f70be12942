"""The Python interface: what a program hands over by an honest mistake."""

import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from faults.judge import Call
from PIL import Image

import ranet_jax
from ranet_jax.checkpoints import checkpoint
from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.inference.video import segment_video, track
from ranet_jax.io.masks import read_mask, write_mask
from ranet_jax.io.overlays import overlay
from ranet_jax.io.video_reader import open_video

FRAME = np.zeros((48, 64, 3), np.uint8)
MASK = np.zeros((48, 64), np.int32)
MASK[10:30, 10:40] = 3
NEW = np.zeros((48, 64), np.int32)
NEW[35:45, 10:40] = 5


def refused(name, call, says="", **more):
    return Call(f"interface: {name}", call, says=says, **more)


@functools.cache
def network():
    return checkpoint.load("network.npz")


def segmenter(**settings):
    return Segmenter(*network(), **{"size": (32, 64)} | settings)


def started(frame=FRAME, mask=MASK):
    """After an `init` whose answers are not needed: nothing of the network is compiled."""
    one = segmenter()
    one._start = lambda *_: "state"
    one.init(frame, mask)
    return one


def batch():
    return started([FRAME, FRAME], [MASK, MASK])


NO_FRAMES = {
    "None": (None, "None"),
    "a Pillow image": (Image.new("RGB", (64, 48)), "PIL.Image.Image"),
    "a JAX array": (jnp.zeros((48, 64, 3), jnp.uint8), "jax"),
    "a path": ("clip/00000.png", "str"),
    "a Path": (Path("clip/00000.png"), "Path"),
    "bytes": (b"png", "bytes"),
    "a number": (3, "int"),
    "floats": (FRAME.astype(np.float32), "float32"),
    "int64": (FRAME.astype(np.int64), "int64"),
    "bool": (FRAME.astype(bool), "bool"),
    "objects": (FRAME.astype(object), "object"),
    "gray": (FRAME[..., 0], "shape"),
    "gray with one channel": (FRAME[..., :1], "shape"),
    "with alpha": (np.zeros((48, 64, 4), np.uint8), "shape"),
    "channels first": (np.zeros((3, 48, 64), np.uint8), "shape"),
    "a batch in one array": (FRAME[None], "shape"),
    "without rows": (FRAME[:0], "shape"),
    "without columns": (FRAME[:, :0], "shape"),
    "a scalar array": (np.uint8(3), "uint8|shape"),
    "a dict": ({"frame": FRAME}, "dict"),
    "a generator": ((f for f in [FRAME]), "generator"),
}
NO_MASKS = {
    "None": (None, "None"),
    "a Pillow image": (Image.new("L", (64, 48)), "PIL.Image.Image"),
    "a JAX array": (jnp.asarray(MASK), "jax"),
    "a path": ("mask.png", "str"),
    "floats": (MASK.astype(np.float32), "float32"),
    "of one dimension": (MASK.ravel(), "shape"),
    "of three dimensions": (MASK[..., None], "shape"),
    "in color": (np.zeros((48, 64, 3), np.int32), "shape"),
    "of another size": (MASK[:20], "64x20"),
    "turned": (MASK.T, "48x64"),
    "empty": (0 * MASK, "empty"),
    "with negative ids": (-MASK, "negative"),
    "with an id of 2^31": (MASK.astype(np.int64) + 2**31, str(2**31 + 3)),
    "with an id of 2^63": (np.where(MASK > 0, np.uint64(2**63), np.uint64(0)), str(2**63)),
    "of 17 objects": (np.arange(48 * 64).reshape(48, 64) % 18, "17 objects"),
    "of objects": (MASK.astype(object), "object"),
    "complex": (MASK.astype(np.complex64), "complex"),
}
NO_SIZES = {
    "one number": 64,
    "None": None,
    "text": "32x64",
    "three numbers": (32, 64, 3),
    "one in a tuple": (32,),
    "none in a tuple": (),
    "floats": (32.0, 64.0),
    "of 33": (33, 64),
    "0": (0, 64),
    "negative": (-32, 64),
    "bools": (True, True),
    "a set": {32, 64},
    "a dict": {"height": 32, "width": 64},
    "a million squared": (10**6 // 32 * 32, 10**6 // 32 * 32),
    "10^18": (32 * 10**17, 32),
    "NaN": (float("nan"), 64),
    "None in a tuple": (None, 64),
}

CASES = [
    *[
        refused(f"init: a frame that is {name}", lambda v=value: segmenter().init(v, MASK), says)
        for name, (value, says) in NO_FRAMES.items()
        if name not in ("a path", "bytes")
    ],
    *[
        refused(f"step: a frame that is {name}", lambda v=value: started().step(v), says)
        for name, (value, says) in NO_FRAMES.items()
    ],
    *[
        refused(
            f"add_object: a frame that is {name}",
            lambda v=value: started().add_object(v, NEW),
            says,
        )
        for name, (value, says) in NO_FRAMES.items()
    ],
    *[
        refused(f"batch: a frame that is {name}", lambda v=value: batch().step([FRAME, v]), says)
        for name, (value, says) in NO_FRAMES.items()
        if name != "None"
    ],
    *[
        refused(f"init: a mask that is {name}", lambda v=value: segmenter().init(FRAME, v), says)
        for name, (value, says) in NO_MASKS.items()
    ],
    *[
        refused(
            f"add_object: a mask that is {name}",
            lambda v=value: started().add_object(FRAME, v),
            says,
        )
        for name, (value, says) in NO_MASKS.items()
    ],
    *[
        refused(
            f"segment_video: a mask that is {name}",
            lambda v=value: segment_video(segmenter(), "clip", v, "out"),
            "",
        )
        for name, (value, _) in NO_MASKS.items()
        if name not in ("a path", "a JAX array", "empty", "of 17 objects", "a Pillow image")
    ],
    *[
        refused(f"Segmenter: a size that is {name}", lambda v=value: segmenter(size=v), "size")
        for name, value in NO_SIZES.items()
    ],
    *[
        refused(f"Segmenter: a frame_scale of {v!r}", lambda v=v: segmenter(frame_scale=v), "scale")
        for v in (0, -1, 1.5, "2", None, float("nan"), True, 10**6)
    ],
    *[
        refused(f"Segmenter: a memory of {v!r}", lambda v=v: segmenter(memory=v), "memory")
        for v in (-1, 1.5, "2", float("nan"))
    ],
    *[
        refused(f"Segmenter: a gap of {v!r}", lambda v=v: segmenter(max_gap=v), "max_gap")
        for v in (-0.1, 11, 1e9, "2", True, float("nan"), float("inf"))
    ],
    *[
        refused(f"Segmenter: the aggregation {v!r}", lambda v=v: segmenter(aggregation=v), "aggre")
        for v in ("mean", "", 3, True)
    ],
    *[
        refused(f"{call.__name__}: a place that is {v!r}", lambda c=call, v=v: c(v), "path")
        for call in (ranet_jax.load, checkpoint.read_settings, open_video, read_mask)
        for v in (None, 3, b"clip", "", "a\0b")
    ],
    refused("load: no such checkpoint", lambda: ranet_jax.load("none"), "none"),
    refused("load: a precision", lambda: ranet_jax.load("network", "float16"), "precision"),
    refused("Segmenter.load: no such checkpoint", lambda: Segmenter.load("none"), "none"),
    refused("step before init", lambda: segmenter().step(FRAME), "init"),
    refused("add_object before init", lambda: segmenter().add_object(FRAME, NEW), "init"),
    refused("probability_maps before init", lambda: segmenter().probability_maps(), "init"),
    refused("step: another size", lambda: started().step(FRAME[:40]), "64x40"),
    refused("step: a list for one video", lambda: started().step([FRAME]), "list"),
    refused("step: an array for a batch", lambda: batch().step(FRAME), "list"),
    refused("step: None for a batch", lambda: batch().step(None), "list"),
    refused("step: too few frames", lambda: batch().step([FRAME]), "1 frames for 2"),
    refused("init: frames without masks", lambda: segmenter().init([FRAME], []), "1 first"),
    refused("init: no frames", lambda: segmenter().init([], []), "0 first"),
    refused("init: frames and one mask", lambda: segmenter().init([FRAME], MASK), "first|shape"),
    refused("init: frames and None", lambda: segmenter().init([FRAME], None), "masks"),
    *[
        refused(
            f"add_object: video {v!r}", lambda v=v: started().add_object(FRAME, NEW, v), "video"
        )
        for v in (-1, 1, 99, 0.5, None, "0", True)
    ],
    *[
        refused(
            f"probability_maps: video {v!r}", lambda v=v: started().probability_maps(v), "video"
        )
        for v in (-1, 1, 99, 0.5, None, "0")
    ],
    refused("add_object: an id in use", lambda: started().add_object(FRAME, MASK), "3 is followed"),
    refused(
        "segment_video: frames in memory",
        lambda: segment_video(segmenter(), [FRAME], MASK, "out"),
        "path",
    ),
    refused(
        "segment_video: no video", lambda: segment_video(segmenter(), None, MASK, "out"), "path"
    ),
    refused(
        "segment_video: no folder", lambda: segment_video(segmenter(), "clip", MASK, None), "path"
    ),
    refused("track: no frames", lambda: list(track(segmenter(), [], MASK)), "no frames"),
    refused("track: no mask", lambda: list(track(segmenter(), [("a", FRAME)], {})), "has a mask"),
    *[
        refused(f"write_mask: a mask that is {name}", lambda v=value: write_mask("m.png", v), "")
        for name, (value, _) in NO_MASKS.items()
        if name
        not in (
            "of another size",
            "turned",
            "empty",
            "of 17 objects",
            "a JAX array",
            "a Pillow image",
        )
    ],
    refused("overlay: another size", lambda: overlay(FRAME, MASK[:20]), "64x20"),
]
