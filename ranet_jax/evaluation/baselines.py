"""Baselines: segmenters that were not trained on masks, to compare a trained network with.

Both have the calls of `ranet_jax.Segmenter`, so that one command measures all alike.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap, Frame, HostFrame, HostMask, Params
from ranet_jax.inference.letterbox import (
    Letterbox,
    letterbox,
    letterbox_labels,
    unletterbox_largest,
)
from ranet_jax.inference.segmenter import NETWORK_SIZE
from ranet_jax.models.ops import average_pool, l2_normalize, resize_half_pixel
from ranet_jax.models.ranet import RANet
from ranet_jax.models.resnet import ResNet

BEST_CELLS = 5  # template cells that vote on the label of a cell
TEMPERATURE = 0.05  # of the softmax over their cosine similarities
_STRIDE = 16

Frames = Sequence[HostFrame | None]
LabelMaps = list[HostMask | None]


class CopySegmenter:
    """Every frame gets the mask of the first one."""

    def init(self, frame: Frames, mask: Sequence[HostMask]) -> None:
        """Starts videos: one frame and one label map, [height, width], for each."""
        self._masks = list(mask)

    def step(self, frame: Frames) -> LabelMaps:
        """Label maps of the next frames; None for a video that has ended."""
        return [None if f is None else m for f, m in zip(frame, self._masks, strict=True)]


class _Video(NamedTuple):
    """What is kept of a video: K template cells and the fraction of each of l labels in them."""

    geometry: Letterbox
    ids: list[int]
    features: Float[Array, "k c"]
    fractions: Float[Array, "k l"]


class MatchingSegmenter:
    """Labels by matching frozen features with those of the first frame; nothing is trained for it.

    Features are those of the backbone's third stage (stride 16), of the whole frame. Every cell of
    a frame takes the labels of the 5 first-frame cells of highest cosine similarity, weighted by a
    softmax of temperature 0.05; the label values are enlarged bilinearly, and the largest wins,
    which for one object is a threshold of 0.5. No previous result is used.
    """

    def __init__(self, model: RANet, params: Params, *, size: tuple[int, int] = NETWORK_SIZE):
        """Prepares to segment.

        Args:
            model: whose backbone is used.
            params: of the model; all but `params["backbone"]` is ignored.
            size: height and width at which frames are seen, multiples of 32.
        """
        self._backbone = ResNet(model.depth, model.width, model.dtype)
        self._params = params["backbone"]
        self._size = tuple(size)

    def init(self, frame: Frames, mask: Sequence[HostMask]) -> None:
        """Starts videos: a frame, uint8 [height, width, 3], and ids, [height, width], for each."""
        self._videos = [self._start(f, m) for f, m in zip(frame, mask, strict=True)]

    def step(self, frame: Frames) -> LabelMaps:
        """Label maps of the next frames; None for a video that has ended."""
        return [
            None if f is None else self._next(f, video)
            for f, video in zip(frame, self._videos, strict=True)
        ]

    def _start(self, frame: HostFrame, mask: HostMask) -> _Video:
        geometry = Letterbox.of(frame.shape[:2], self._size)
        ids = [0, *(int(i) for i in np.unique(mask) if i != 0)]
        labels = letterbox_labels(mask, geometry)
        grid = (self._size[0] // _STRIDE, self._size[1] // _STRIDE)
        one_hot = (labels[..., None] == np.array(ids)).astype(np.float32)
        fractions = average_pool(jnp.asarray(one_hot)[None], grid).reshape(-1, len(ids))
        features = _features(self._backbone, self._params, self._fitted(frame, geometry))
        return _Video(geometry, ids, features.reshape(-1, features.shape[-1]), fractions)

    def _next(self, frame: HostFrame, video: _Video) -> HostMask:
        features = _features(self._backbone, self._params, self._fitted(frame, video.geometry))
        values = _match(features, video.features, video.fractions, self._size)
        labels = unletterbox_largest(np.asarray(values), video.geometry)
        return np.array(video.ids)[labels]

    def _fitted(self, frame: HostFrame, geometry: Letterbox) -> Frame:
        return jnp.asarray(letterbox(frame, geometry)[None], jnp.float32) / 255


@functools.partial(jax.jit, static_argnames="backbone")
def _features(backbone: ResNet, params: Params, frame: Frame) -> FeatureMap:
    """Third-stage features of unit length, [1, H/16, W/16, c]."""
    return l2_normalize(backbone.apply({"params": params}, frame)[3])


@functools.partial(jax.jit, static_argnames="size")
def _match(
    features: FeatureMap,
    template: Float[Array, "k c"],
    fractions: Float[Array, "k l"],
    size: tuple[int, int],
) -> Float[Array, "l H W"]:
    """The value of each label at every pixel; they add up to 1."""
    similarity = jnp.einsum("bhwc,kc->bhwk", features, template, precision=lax.Precision.HIGHEST)
    best, cells = lax.top_k(similarity, BEST_CELLS)
    votes = jax.nn.softmax(best / TEMPERATURE, axis=-1)
    values = jnp.sum(votes[..., None] * fractions[cells], axis=-2)
    return jnp.moveaxis(resize_half_pixel(values, size)[0], -1, 0)
