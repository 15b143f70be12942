"""Splits of datasets that `data_pipelines.builders` built, as sources of clips."""

import dataclasses
from collections.abc import Collection

import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from data_pipelines.cache import ByteCache
from data_pipelines.sources import without
from ranet_jax.errors import InputError

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
            InputError: the dataset was not built, has no such split, or no video is left of it.
        """
        self.name = f"{builder.info.full_name}:{split}"
        if not builder.is_prepared():
            wanted = "/".join(filter(None, (builder.name, _config_name(builder))))
            raise InputError(
                f"{wanted} is not built in {builder.data_dir}: run `ranet data build {wanted}`."
            )
        try:
            self._records = builder.as_data_source(
                split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
            )
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{builder.info.full_name} has no split {split} ({error}): choose one of "
                f"{', '.join(builder.info.splits)}."
            ) from None
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
            clip = _parse(self._records[record], self._is_video)
            self._cache.put(record, clip, clip.nbytes)
        return clip


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
    return _Clip(
        features["name"].bytes_list.value[0].decode(),
        list(features[images].bytes_list.value),
        list(features[masks].bytes_list.value),
    )


def _config_name(builder: tfds.core.DatasetBuilder) -> str:
    return builder.builder_config.name if builder.builder_config else ""
