"""Batches without end from a weighted mixture of sources, by Grain.

Batch `k` is a pure function of the seed and of `k`: whatever the number of worker processes, and
across a restart, the same batches come in the same order. The whole state of a loader is thus the
number of the next batch, with the list of the files that could not be read so far. It is the same
for all processes that share a stream, and for any number of them with the same joint batch.
"""

import collections
import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import jax
import numpy as np
from absl import flags, logging

from data_pipelines.config import ExampleSettings
from data_pipelines.examples import Example, MaskCache, make_example
from data_pipelines.sources import Source
from ranet_jax.errors import InputError
from ranet_jax.io.helper_process import feeding_process
from ranet_jax.io.images import CorruptImageError
from ranet_jax.io.records import Record
from ranet_jax.io.settings import setting, text, whole

_MAX_DRAWS = 100
_NAMES_KEPT = 1000  # batches
Batch = dict[str, np.ndarray]
State = dict[str, Any]


def _are_reasons(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(reason, str) for reason in value.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Position(Record):
    """What a loader goes on from."""

    next_batch: int = whole(0, 10**9, "number of the next batch")
    corrupt: dict[str, str] = setting(_are_reasons, "a reason for each file", "that were skipped")
    fingerprint: str = text("of the data, the settings and the seed")


class Loader:
    """An endless iterator over batches, with leading axes [local devices, examples a device].

    Every source is shuffled anew each time it is used up, and gives the current frame of an
    example: an image, or a frame of a video. Sources take turns in proportion to their weights.
    A frame that shows no object well enough is replaced by another of the same source.

    A file that cannot be read is skipped, logged once and counted; where more than `max_corrupt`
    of all frames turn out to be unreadable the run stops.

    Attributes:
        corrupt: the reason for every file skipped so far, by name.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, float]],
        settings: ExampleSettings,
        *,
        batch_size: int,
        seed: int = 0,
        local_devices: int = 1,
        process_index: int = 0,
        process_count: int = 1,
        workers: int = 0,
        threads: int = 4,
        max_corrupt: float = 0.01,
    ):
        """A loader at its first batch; nothing is read before the first `next`.

        Args:
            sources: what to draw from, each with its weight.
            settings: how examples are made.
            batch_size: examples in a batch of this process, a multiple of `local_devices`.
            seed: what all random choices follow from.
            local_devices: devices of this process.
            process_index: this process's number; each takes its own examples of one stream.
            process_count: number of processes.
            workers: processes that make batches; 0 makes them in this one.
            threads: threads that do so in each of these processes.
            max_corrupt: the largest fraction of unreadable frames that is tolerated.

        Raises:
            InputError: the numbers do not fit together, or a source is empty.
        """
        self._check(sources, batch_size, seed, local_devices, process_index, process_count)
        self.corrupt: dict[str, str] = {}
        self._sources = [source for source, _ in sources]
        self._frames = sum(sum(source.lengths) for source in self._sources)
        self._max_corrupt = max_corrupt
        self._workers, self._threads = workers, threads
        self._next_batch = 0
        self._names: dict[int, tuple[str, ...]] = {}
        self._iterator: Iterator | None = None
        streams = [
            grain.MapDataset.range(sum(source.lengths))
            .seed(_seed(seed, number))
            .shuffle()
            .map(functools.partial(_tagged, number))
            .repeat()
            for number, source in enumerate(self._sources)
        ]
        total = sum(weight for _, weight in sources)
        stream = grain.MapDataset.mix(streams, [weight / total for _, weight in sources])
        examples = stream.seed(_seed(seed, -1)).random_map(_Maker(self._sources, settings))
        shard = examples[process_index::process_count]
        self._batches = shard.batch(batch_size, drop_remainder=True, batch_fn=_Stack(local_devices))
        self._fingerprint = json.dumps(
            {
                "sources": [[len(s.lengths), sum(s.lengths), weight] for s, weight in sources],
                "settings": {
                    field.name: getattr(settings, field.name)
                    for field in dataclasses.fields(ExampleSettings)
                },
                "batch_size": batch_size * process_count,
                "seed": seed,
            }
        )

    @staticmethod
    def _check(sources, batch_size, seed, local_devices, process_index, process_count) -> None:
        for source, _ in sources:
            if not sum(source.lengths):
                raise InputError(f"{source.name} is empty: leave it out or check its files.")
        if batch_size < 1 or batch_size % local_devices:
            raise InputError(
                f"{batch_size} examples cannot be shared among {local_devices} devices: "
                "choose a batch size that is a multiple of the number of devices."
            )
        if not 0 <= seed < 2**32:
            raise InputError(f"The seed is {seed}: choose a whole number from 0 to {2**32 - 1}.")
        if not 0 <= process_index < process_count:
            raise InputError(f"There is no process {process_index} among {process_count}.")

    def __iter__(self) -> "Loader":
        return self

    def __next__(self) -> Batch:
        """The next batch: the arrays of `ranet_jax.training.augment.HostBatch`."""
        if self._iterator is None:
            self._iterator = self._start()
        arrays, corrupt, names = next(self._iterator)
        self._names[self._next_batch] = names
        self._names.pop(self._next_batch - _NAMES_KEPT, None)
        self._next_batch += 1
        self._note(corrupt)
        return arrays

    def names(self, batch: int) -> tuple[str, ...]:
        """The names of the current frames of a batch, in the order of its examples.

        Args:
            batch: its number from 0, one of the last 1000 that came from this loader.

        Raises:
            KeyError: it is none of these.
        """
        return self._names[batch]

    def get_state(self) -> State:
        """What `set_state` needs to resume with the next batch; it can be written as JSON."""
        return {
            "next_batch": self._next_batch,
            "corrupt": dict(self.corrupt),
            "fingerprint": self._fingerprint,
        }

    def set_state(
        self, state: State, source: str = "The saved position in the training data"
    ) -> None:
        """Resumes where `get_state` was called, by a loader of any number of workers.

        Args:
            state: from there.
            source: what to call it in an error.

        Raises:
            InputError: the state is that of a loader of other data, settings or seed, or damaged.
        """
        saved = _Position.parse(state, source)
        if saved.fingerprint != self._fingerprint:
            raise InputError(
                f"{source} is that of other training data: continue with the settings "
                f"{saved.fingerprint}, or start anew."
            )
        self.close()
        self._next_batch = saved.next_batch
        self.corrupt = dict(saved.corrupt)

    def close(self) -> None:
        """Stops the worker processes; the loader can be used again."""
        if self._iterator is not None:
            self._iterator.close()
        self._iterator = None

    def _start(self) -> Iterator:
        options = grain.ReadOptions(num_threads=self._threads, prefetch_buffer_size=self._threads)
        dataset = self._batches[self._next_batch :].to_iter_dataset(options)
        if self._workers:
            if not flags.FLAGS.is_parsed():  # Grain hands the flags on to its workers.
                flags.FLAGS.mark_as_parsed()
            options = grain.MultiprocessingOptions(num_workers=self._workers)
            dataset = dataset.mp_prefetch(options, worker_init_fn=feeding_process)
        return iter(dataset)

    def _note(self, corrupt: dict[str, str]) -> None:
        for name, reason in corrupt.items():
            if name not in self.corrupt:
                self.corrupt[name] = reason
                logging.warning("Skipped %s: %s.", name, reason)
        if len(self.corrupt) > self._max_corrupt * self._frames:
            listing = "\n".join(f"  {name}: {reason}" for name, reason in self.corrupt.items())
            raise InputError(
                f"{len(self.corrupt)} of {self._frames} training images cannot be used, more than "
                f"{self._max_corrupt:.0%}; repair or leave out\n{listing}"
            )


def prefetch_to_devices(
    loader: Loader, devices: Sequence[jax.Device], size: int = 2
) -> Iterator[tuple[Any, State]]:
    """Batches on the devices, `size` of them under way while the step before computes.

    Args:
        loader: batches whose first axis is as long as `devices`.
        devices: where row i of a batch goes, for `jax.pmap` or a sharded `jax.jit`.
        size: batches in device memory beside the one in use.

    Yields:
        A batch, and the loader's state after it: what to save with a checkpoint, although the
        loader itself is already further on.
    """
    mesh = jax.sharding.Mesh(np.array(devices), ("devices",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("devices"))
    queue: collections.deque = collections.deque()
    for batch in loader:
        queue.append((jax.device_put(batch, sharding), loader.get_state()))
        if len(queue) > size:
            yield queue.popleft()


def _tagged(source: int, frame: int) -> tuple[int, int]:
    """A frame number with the source that it belongs to."""
    return source, frame


class _Maker:
    """Frame numbers to examples; picklable, so that workers get their own."""

    def __init__(self, sources: Sequence[Source], settings: ExampleSettings):
        self._sources = sources
        self._settings = settings
        self._ends = [np.cumsum(source.lengths) for source in sources]
        self._masks = [MaskCache() for _ in sources]

    def __call__(self, tagged: tuple[int, int], rng: np.random.Generator):
        """The example of a frame, or of other frames of its source until one will do."""
        number, frame = tagged
        source, ends = self._sources[number], self._ends[number]
        corrupt: dict[str, str] = {}
        for _ in range(_MAX_DRAWS):
            clip = int(np.searchsorted(ends, frame, side="right"))
            first = int(ends[clip - 1]) if clip else 0
            try:
                example = make_example(
                    source, clip, frame - first, rng, self._settings, self._masks[number]
                )
            except CorruptImageError as error:
                corrupt[error.name] = error.reason
                example = None
            if example is not None:
                return example, corrupt, source.frame_name(clip, frame - first)
            frame = int(rng.integers(ends[-1]))
        raise InputError(
            f"{_MAX_DRAWS} frames of {source.name} in a row show no object of at least "
            f"{self._settings.min_area:.2%} of the frame, or cannot be read: check its masks"
            f"{''.join(f'; {name}: {reason}' for name, reason in list(corrupt.items())[:3])}."
        )


@dataclasses.dataclass(frozen=True)
class _Stack:
    """Examples to a batch for `devices` devices."""

    devices: int

    def __call__(
        self, examples: Sequence[tuple[Example, dict, str]]
    ) -> tuple[Batch, dict[str, str], tuple[str, ...]]:
        rows, skipped, names = zip(*examples, strict=True)
        shape = self.devices, len(rows) // self.devices
        arrays = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        corrupt = dict(pair for found in skipped for pair in found.items())
        return {key: a.reshape(shape + a.shape[1:]) for key, a in arrays.items()}, corrupt, names


def _seed(seed: int, stream: int) -> int:
    # Neighbouring seeds of the user's must not share streams: mix rather than add.
    return int(np.random.SeedSequence([seed, stream + 1]).generate_state(1)[0])
