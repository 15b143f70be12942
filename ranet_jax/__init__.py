"""Ranking Attention Network (RANet, ICCV 2019) for video object segmentation, in JAX and Flax.

    video = ranet_jax.Segmenter.load("default")
    video.init(first_frame, mask)
    for frame in frames:
        labels = video.step(frame)

`default` is the default model; a checkpoint or the folder of a training run take its place.
`load` gives the network alone: the model and its parameters.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ranet_jax.errors import InputError

if TYPE_CHECKING:
    from ranet_jax.checkpoints.checkpoint import load
    from ranet_jax.inference.segmenter import Segmenter
    from ranet_jax.models.ranet import RANet

__all__ = ["InputError", "RANet", "Segmenter", "__version__", "load"]
__version__ = "0.1.0"

_HOMES = {
    "RANet": "models.ranet",
    "Segmenter": "inference.segmenter",
    "load": "checkpoints.checkpoint",
}


def __getattr__(name: str) -> Any:
    """Imports JAX when what needs it is asked for: the command line answers without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
