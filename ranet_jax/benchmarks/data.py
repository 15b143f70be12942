"""How fast the host makes examples, how fast the device augments them, and what that takes."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from data_pipelines.config import ExampleSettings
from data_pipelines.decoding import decode_image
from data_pipelines.loader import Loader
from data_pipelines.sources import Source
from ranet_jax.evaluation.machine import hardware, peak_memory
from ranet_jax.inference.boxes import host_extent
from ranet_jax.inference.letterbox import Letterbox, letterbox
from ranet_jax.io.images import image_size
from ranet_jax.io.masks import decode_ids
from ranet_jax.training import augment


def report(
    sources: Sequence[tuple[Source, float]],
    settings: ExampleSettings,
    *,
    batch_size: int,
    seed: int,
    examples: int,
    repeats: int,
    augmentation: Mapping[str, Any],
) -> Iterator[str]:
    """Lines of the report, as they become known.

    Args:
        sources: what to draw from, each with its weight.
        settings: how examples are made.
        batch_size: examples in a batch.
        seed: of the examples and their augmentation.
        examples: how many examples the host makes in each measurement.
        repeats: measurements; the slowest and the fastest are reported.
        augmentation: the arguments of `augment.augment`.
    """
    device = jax.devices()[0]
    host = hardware()
    yield f"host     {host['processor']}, {host['cores']} cores visible"
    yield f"device   {device.device_kind} ({device.platform}), JAX {jax.__version__}"
    # No threads: everything runs where it is asked for, so that the clock sees all of it.
    loader = Loader(sources, settings, batch_size=batch_size, seed=seed, threads=0)
    batch = next(loader)
    start_over = loader.get_state()
    megabytes = sum(array.nbytes for array in batch.values()) / batch_size / 1e6
    shape = f"{settings.height}x{settings.width}"
    yield f"example  {shape}, {megabytes:.1f} MB to the device, batches of {batch_size}"

    batches = max(1, round(examples / batch_size))
    rates = [batch_size * batches / _host_seconds(loader, batches) for _ in range(repeats)]
    yield _line("host, one core, first", rates, "examples a second, from encoded files to batches")
    # The same again: by now every mask has been read once, as from the second round of training.
    loader.set_state(start_over)
    rates = [batch_size * batches / _host_seconds(loader, batches) for _ in range(repeats)]
    yield _line("host, one core, later", rates, "examples a second")
    for source, _ in sources:
        yield f"  {source.name}"
        for part, seconds in _parts(source, settings, seed, examples).items():
            yield f"    {part:21s} {1e3 * seconds:6.2f} ms"

    rows = {name: jax.device_put(array[0]) for name, array in batch.items()}
    step = functools.partial(augment.augment, **augmentation)
    start = time.perf_counter()
    jax.block_until_ready(step(jax.random.key(seed), rows))
    yield f"device, first call       {time.perf_counter() - start:.1f} s, most of it compilation"
    rates = [batch_size / _device_seconds(step, rows, seed + i) for i in range(repeats)]
    yield _line("device", rates, "examples augmented a second")
    for name, used in peak_memory().items():
        yield f"{name} {used / 2**20:.0f} MiB"


def _host_seconds(loader: Loader, batches: int) -> float:
    # Processor time, not the clock's: what one core needs, whoever else is busy on the machine.
    start = time.process_time()
    for _ in range(batches):
        next(loader)
    return time.process_time() - start


def _device_seconds(
    step: Callable, rows: Mapping[str, jax.Array], seed: int, calls: int = 4
) -> float:
    start = time.perf_counter()
    jax.block_until_ready([step(jax.random.key(seed + i), rows) for i in range(calls)])
    return (time.perf_counter() - start) / calls


def _parts(source: Source, settings: ExampleSettings, seed: int, count: int) -> dict[str, float]:
    """Processor time of each part of the host's work on one frame, averaged over drawn frames."""
    rng = np.random.default_rng(seed)
    clips = rng.integers(len(source.lengths), size=count)
    frames = [(int(clip), int(rng.integers(source.lengths[clip]))) for clip in clips]
    images, reading = _time(lambda at: source.image(*at), frames)
    masks, _ = _time(lambda at: source.mask(*at), frames)
    sizes = [image_size(data, "") for data in images]
    boxes = [Letterbox.of(size, settings.canvas, enlarge=False) for size in sizes]
    decoded, decoding_time = _time(
        lambda pair: decode_image(pair[0], "", min_size=pair[1].resized),
        list(zip(images, boxes, strict=True)),
    )
    ids, mask = _time(lambda data: decode_ids(data, "", source.mask_rule), masks)
    _, placing = _time(lambda pair: letterbox(*pair), list(zip(decoded, boxes, strict=True)))
    _, finding = _time(host_extent, ids)
    return {
        "read a file": reading,
        "decode an image": decoding_time,
        "decode a mask": mask,
        "letterbox an image": placing,
        "find the object": finding,
    }


def _time(work: Callable, inputs: Sequence) -> tuple[list, float]:
    work(inputs[0])
    start = time.process_time()
    results = [work(item) for item in inputs]
    return results, (time.process_time() - start) / len(inputs)


def _line(name: str, rates: Sequence[float], unit: str) -> str:
    return f"{name:24s} {min(rates):.1f} to {max(rates):.1f} {unit} ({len(rates)} runs)"
