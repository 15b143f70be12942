"""Segmenting for a long time takes no more memory than segmenting for a short one.

As a program it does the same for longer: `python tests/inference/test_soak.py 10000 200`.
"""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.models.initialization import init_params
from ranet_jax.models.ranet import RANet

SIZE = (32, 64)
SETTLED = 500  # steps: by then everything is compiled and the allocator has what it keeps
MAX_GROWTH = 10.0  # MB


def resident() -> float:
    """Memory of this process, in MB, without the programs and libraries that it maps: how much of
    these lies in memory is up to the rest of the machine."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return sum(int(status.split(f"{name}:")[1].split()[0]) for name in ("RssAnon", "VmSwap")) / 1000


def growth(segmenter: Segmenter, steps: int, cycles: int, settled: int) -> Iterator[float]:
    """MB more than after `settled` steps, from time to time: in steps, then in cycles of a new
    video, to which an object is added."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (16, *SIZE, 3), dtype=np.uint8)
    masks = np.zeros((3, *SIZE), np.int32)
    for index in range(3):
        masks[index, 8:24, 4 + 20 * index : 20 + 20 * index] = index + 1

    def cycle() -> None:
        segmenter.init(frames[0], masks[0] + masks[1])
        segmenter.step(frames[1])
        segmenter.add_object(frames[1], masks[2])

    def held() -> float:
        # What a step has in hand for a moment is no growth.
        found = []
        for frame in frames[:8]:
            segmenter.step(frame)
            found.append(resident())
        return min(found)

    for _ in range(10):  # compiles all there is to compile
        cycle()
    segmenter.step(frames[2])
    before = 0.0
    for step in range(1, steps + 1):
        segmenter.step(frames[step % 16])
        if step == settled:
            before = held()
        elif step > settled and (step % 500 == 0 or step == steps):
            yield held() - before
    for count in range(1, cycles + 1):
        cycle()
        if count % 20 == 0 or count == cycles:
            yield held() - before


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for the memory")
def test_memory_does_not_grow(small):
    segmenter = Segmenter(*small(mode="multi"), size=SIZE)
    assert max(growth(segmenter, steps=300, cycles=10, settled=100)) < MAX_GROWTH


if __name__ == "__main__":
    model = RANet(depth=14, width=8, mode="multi")
    long = Segmenter(model, init_params(model, seed=0), size=SIZE)
    steps, cycles = map(int, sys.argv[1:])
    for more in growth(long, steps, cycles, SETTLED):
        print(f"{more:+.1f} MB, {resident():.1f} MB in all", flush=True)
