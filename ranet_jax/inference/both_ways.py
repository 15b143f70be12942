"""A video gone through in both directions: which of the two answers counts for a frame."""

import bisect
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ranet_jax.array_typing import HostMask


def backward_frames(names: Sequence[str], masked: Collection[str]) -> set[str]:
    """The frames whose answer is that of the pass that runs backwards.

    They are those before the first mask, and those between two masks that are nearer to the later
    one: what is carried over many frames gets worse with each.

    Args:
        names: of all frames, in their order.
        masked: names of those that have a mask.
    """
    places = [index for index, name in enumerate(names) if name in masked]
    chosen = set()
    for index, name in enumerate(names):
        later = bisect.bisect_left(places, index)
        if later == len(places) or places[later] == index:
            continue
        if later == 0 or places[later] - index < index - places[later - 1]:
            chosen.add(name)
    return chosen


def vanishing(masks: Mapping[str, HostMask], names: Sequence[str]) -> dict[str, list[int]]:
    """On the way back: ids by the masked frame at which they are not there yet.

    Args:
        masks: ids [H, W] by frame name.
        names: of all frames, in their order.
    """
    gone, before, known = {}, None, set()
    for name in sorted(masks, key=names.index):
        new = set(np.unique(masks[name]).tolist()) - known - {0}
        if before is not None and new:
            gone[before] = sorted(new)
        before, known = name, known | new
    return gone
