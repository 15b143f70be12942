"""Splits of datasets that `data_pipelines.builders` built, as sources of clips."""

import dataclasses
from collections.abc import Collection

import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from data_pipelines.builders import checksums
from data_pipelines.cache import ByteCache
from data_pipelines.sources import without
from ranet_jax.errors import InputError
from ranet_jax.io.settings import cut

_CACHE_BYTES = 512 * 2**20


class TfdsSource:
    """A split of a dataset that `data_pipelines.builders` built to array_record, read without
    TensorFlow.

    A record of a video set is a whole video, so the encoded videos last used are kept in memory:
    reading one anew for every triplet costs as much as decoding it. The cache starts empty in every
    worker process.
    """

    mask_rule = "ids"

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        *,
        exclude: Collection[str] = (),
        cache_bytes: int = _CACHE_BYTES,
    ):
        """Open a split.

        Args:
            builder: a builder whose dataset was built.
            split: `train`, `val`, `trainval` or `test-dev`, where the set has it, or a slice such
                as `train[:50%]`.
            exclude: names of videos to leave out; a name that is not there changes nothing.
            cache_bytes: how much encoded video each process keeps.

        Raises:
            InputError: the dataset was not built, is damaged, has no such split, or no video is
                left of it.
        """
        self.name = f"{builder.info.full_name}:{split}"
        if not builder.is_prepared():
            wanted = "/".join(filter(None, (builder.name, _config_name(builder))))
            raise InputError(
                f"{wanted} is not built in {builder.data_dir}: run `ranet data build {wanted}`."
            )
        self._folder = str(builder.data_dir)
        checksums.check(builder)
        try:
            self._records = checksums.read_records(builder, split)
        except (AssertionError, KeyError, ValueError) as error:
            raise InputError(
                f"{builder.info.full_name} has no split {split} ({cut(error)}): choose one of "
                f"{', '.join(builder.info.splits)}."
            ) from None
        except Exception as error:  # what reads the files
            raise checksums.damaged(self._folder, cut(error)) from error
        self._is_video = "frames" in builder.info.features
        self._cache: ByteCache[_Clip] = ByteCache(cache_bytes)
        self._numbers = list(range(len(self._records)))  # of the record of each clip
        self.lengths = [1] * len(self._numbers)
        self.videos: list[str] = []
        if self._is_video:
            self._list_videos(exclude)

    def _list_videos(self, exclude: Collection[str]) -> None:
        # The first masks alone are published for some splits; a frame without a mask trains
        # nothing.
        lengths = {clip.name: len(clip.masks) for clip in map(self._clip, self._numbers)}
        kept = without(list(lengths), exclude, self.name)
        self._numbers = [i for i, name in enumerate(lengths) if name in kept]
        self.lengths = [lengths[name] for name in kept]
        self.videos = [name for name in kept if lengths[name] > 1]

    def frame_name(self, clip: int, frame: int) -> str:
        """Dataset, record and frame."""
        name = self._clip(clip).name
        return f"{self.name}/{name}/{frame:05d}" if self._is_video else f"{self.name}/{name}"

    def image(self, clip: int, frame: int) -> bytes:
        """The encoded image."""
        return self._clip(clip).images[frame]

    def mask(self, clip: int, frame: int) -> bytes:
        """The encoded mask."""
        return self._clip(clip).masks[frame]

    def _clip(self, index: int) -> "_Clip":
        record = self._numbers[index]
        clip = self._cache.get(record)
        if clip is None:
            clip = self._read(record)
            self._cache.put(record, clip, clip.nbytes)
        return clip

    def _read(self, number: int) -> "_Clip":
        try:
            return _parse(self._records[number], self._is_video)
        except Exception as error:  # what reads the file, or the record
            reason = f"record {number}: {cut(error)}"
            raise checksums.damaged(self._folder, reason) from error


@dataclasses.dataclass(frozen=True)
class _Clip:
    name: str
    images: list[bytes]
    masks: list[bytes]

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.images)) + sum(map(len, self.masks))


def _parse(record: bytes, is_video: bool) -> _Clip:
    features = tf_example_pb2.Example.FromString(record).features.feature
    images, masks = ("frames", "masks") if is_video else ("image", "mask")
    clip = _Clip(
        features["name"].bytes_list.value[0].decode(),
        list(features[images].bytes_list.value),
        list(features[masks].bytes_list.value),
    )
    if not clip.images or not len(clip.masks) <= len(clip.images) or not clip.masks:
        raise ValueError(f"{len(clip.images)} images with {len(clip.masks)} masks")
    return clip


def _config_name(builder: tfds.core.DatasetBuilder) -> str:
    return builder.builder_config.name if builder.builder_config else ""
