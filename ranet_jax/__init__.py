"""Ranking Attention Network (RANet, ICCV 2019) for fast video object segmentation, in JAX and Flax.

model, params = ranet_jax.load("checkpoint-directory")
video = ranet_jax.Segmenter(model, params)
video.init(first_frame, mask)
for frame in frames:
    labels = video.step(frame)
"""

from ranet_jax.checkpoint import load
from ranet_jax.errors import InputError
from ranet_jax.models.ranet import RANet
from ranet_jax.segmenter import Segmenter

__all__ = ["InputError", "RANet", "Segmenter", "load"]
