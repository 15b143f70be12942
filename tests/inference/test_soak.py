"""Segmenting for a long time takes no more memory than segmenting for a short one.

Measured in a process of its own: what other tests left free, or free meanwhile, is no growth. It
computes in one thread, and nothing while it measures: what a program holds while it runs, and what
a thread keeps from its first use on, is no growth either. As a program it does the same for longer:
`python tests/inference/test_soak.py 10000 200`.
"""

import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.models.initialization import init_params
from ranet_jax.models.ranet import RANet

LIBC = ctypes.CDLL(None)
SIZE = (32, 64)
MAX_GROWTH = 5.0  # MB


def resident() -> float:
    """Memory of this process, in MB, without what the allocator keeps free and without the programs
    and libraries that it maps: how much of these lies in memory is up to the rest of the machine.
    """
    gc.collect()
    if hasattr(LIBC, "malloc_trim"):
        LIBC.malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    return sum(int(status.split(f"{name}:")[1].split()[0]) for name in ("RssAnon", "VmSwap")) / 1000


def growth(segmenter: Segmenter, steps: int, cycles: int, settled: int) -> Iterator[tuple]:
    """MB of the process and bytes of arrays more than after `settled` steps, from time to time: in
    steps, then in cycles of a new video, to which an object is added."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (16, *SIZE, 3), dtype=np.uint8)
    masks = np.zeros((3, *SIZE), np.int32)
    for index in range(3):
        masks[index, 8:24, 4 + 20 * index : 20 + 20 * index] = index + 1

    def cycle() -> None:
        segmenter.init(frames[0], masks[0] + masks[1])
        segmenter.step(frames[1])
        segmenter.add_object(frames[1], masks[2])

    def held() -> np.ndarray:
        segmenter.step(frames[0])
        return np.array([resident(), sum(array.nbytes for array in jax.live_arrays())])

    for _ in range(10):  # compiles all there is to compile
        cycle()
    segmenter.step(frames[2])
    gc.freeze()
    for step in range(1, steps + 1):
        segmenter.step(frames[step % 16])
        if step == settled:
            before = held()
        elif step > settled and (step % 500 == 0 or step == steps):
            yield tuple(held() - before)
    for count in range(1, cycles + 1):
        cycle()
        if count % 20 == 0 or count == cycles:
            yield tuple(held() - before)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for the memory")
def test_memory_does_not_grow():
    """Of a network for several objects, with frames in its template memory."""
    # Compiled as users compile it: its hundreds of steps take longer than that.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, __file__, "300", "10", "30"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    grown = np.array([line.split()[:2] for line in run.stdout.splitlines()], float)
    assert grown.shape == (2, 2), run.stdout
    assert grown[:, 0].max() < MAX_GROWTH and (grown[:, 1] == 0).all(), run.stdout


if __name__ == "__main__":
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    model = RANet(depth=14, width=8, mode="multi")
    long = Segmenter(model, init_params(model, seed=0), size=SIZE, memory=3)
    # By the last of these steps everything is compiled.
    steps, cycles, settled = map(int, (*sys.argv[1:], 500)[:3])
    for more, arrays in growth(long, steps, cycles, settled):
        print(f"{more:+.1f} {arrays:+.0f} (MB, bytes of arrays), {resident():.1f} MB", flush=True)
