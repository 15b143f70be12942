"""What the sets of images with masks have in common: pair the files, turn masks into object
ids, write."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import tensorflow_datasets as tfds

from data_pipelines.builders import archives
from data_pipelines.builders.checksums import CheckedBuilder
from data_pipelines.builders.dataset_info import DatasetInfo
from ranet_jax.errors import InputError
from ranet_jax.io.images import encode_image, image_size, open_image, read_image
from ranet_jax.io.masks import decode_ids, match_size
from ranet_jax.io.paths import is_plain_name
from ranet_jax.io.settings import shown


class StaticBuilder(CheckedBuilder, skip_registration=True):
    """A set of images, each with a mask of object ids.

    A subclass says where the set keeps its files: each pattern matches a whole path (upper and
    lower case alike) and names the groups `root` (the folder the set was
    put into), `stem` (the name shared by image and mask) and, where the set is split by
    folders, `split`.

    Attributes:
        IMAGES: pattern of the images.
        MASKS: patterns of the masks with their reading rule (`decode_ids`); the first that
            has a file wins.
        SPLITS: folder of each split, `{split: folder}`; empty for a set without splits, which is
            all `train`.
        ARCHIVES: the publisher's names of the zip archives.
        URLS: where the publisher offers them, if directly.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    DESCRIPTION: ClassVar[str]
    CITATION: ClassVar[str]
    LICENSE: ClassVar[str]
    HOMEPAGE: ClassVar[str]
    IMAGES: ClassVar[str]
    MASKS: ClassVar[Sequence[tuple[str, str]]]
    SPLITS: ClassVar[Mapping[str, str]] = {}
    ARCHIVES: ClassVar[Sequence[str]]
    URLS: ClassVar[Sequence[str]] = ()

    def _info(self) -> tfds.core.DatasetInfo:
        return DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            citation=self.CITATION,
            license=self.LICENSE,
            homepage=self.HOMEPAGE,
            features=static_features(),
            supervised_keys=("image", "mask"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        tree = archives.published_files(dl_manager, archives=self.ARCHIVES, urls=self.URLS)
        pairs = self._pair(tree)
        found = sorted({split for split, *_ in pairs})
        names = {folder.lower(): split for split, folder in self.SPLITS.items()} or {"": "train"}
        return {
            names[folder]: self._generate_examples(
                tree, [pair[1:] for pair in pairs if pair[0] == folder]
            )
            for folder in found
        }

    def _pair(self, tree: archives.FileTree) -> list[tuple[str, str, str, str, str]]:
        """(split folder, stem, image, mask, mask rule) of every image."""
        masks: dict[tuple[str, str, str], tuple[str, str]] = {}
        for pattern, rule in self.MASKS:
            for key, path in _match(pattern, tree):
                masks.setdefault(key, (path, rule))
        images = sorted(_match(self.IMAGES, tree))
        if not images or not masks:
            raise InputError(
                f"No images and masks of {self.name} were found. "
                f"{' '.join(self.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
            )
        self._check_names(images)
        lonely = [path for key, path in images if key not in masks]
        if lonely:
            raise InputError(
                f"{len(lonely)} of {len(images)} images of {self.name} have no mask, the "
                f"first is {lonely[0]}: fetch or unpack the set again."
            )
        return [
            (split, stem, path, *masks[root, split, stem]) for (root, split, stem), path in images
        ]

    def _check_names(self, images: list[tuple[tuple[str, str, str], str]]) -> None:
        """Refuses what TFDS would stop on: names that are none, and one name for two images."""
        seen: dict[tuple[str, str], str] = {}
        for (_, split, stem), path in images:
            if not is_plain_name(stem):
                raise InputError(f"{self.name} has an image called {shown(stem)}: rename the file.")
            other = seen.setdefault((split, stem), path)
            if other != path:
                raise InputError(
                    f"{self.name} has two images called {stem} ({other} and {path}): remove or "
                    "rename one with its mask."
                )

    def _generate_examples(
        self, tree: archives.FileTree, pairs: list[tuple[str, str, str, str]]
    ) -> Iterator:
        data = tree.read_many(path for _, image, mask, _ in pairs for path in (image, mask))
        for (stem, image_path, mask_path, rule), image, mask in zip(
            pairs, data, data, strict=False
        ):
            ids = decode_ids(mask, mask_path, rule)
            ids = match_size(ids, *image_size(image, image_path), mask_path)
            yield (
                stem,
                {
                    "name": stem,
                    "image": color_bytes(image, image_path),
                    "mask": encode_image(ids),
                },
            )


def static_features() -> tfds.features.FeaturesDict:
    """Features of an image with its mask."""
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(doc="File name without its ending."),
            "image": tfds.features.Image(doc="The image, RGB."),
            "mask": mask_feature("Object ids: 0 is background, 1, 2, ... are the objects."),
        }
    )


def mask_feature(doc: str) -> tfds.features.Image:
    """The feature of a mask of object ids."""
    return tfds.features.Image(
        shape=(None, None, 1), encoding_format="png", use_colormap=True, doc=doc
    )


def color_bytes(data: bytes, name: str) -> bytes:
    """The image as published where it is an 8-bit RGB image; anything else (grayscale,
    palette, CMYK) as an RGB PNG.

    Raises:
        CorruptImageError: the bytes are no readable image.
    """
    with open_image(data, name) as image:
        if image.mode == "RGB" and image.format in ("JPEG", "PNG"):
            image.load()  # A file that is cut off is found here, or in training.
            return data
    return encode_image(read_image(data, name))


def _match(pattern: str, tree: archives.FileTree) -> Iterator[tuple[tuple[str, str, str], str]]:
    expression = re.compile(pattern, re.IGNORECASE)
    for path in tree:
        found = expression.fullmatch(path)
        if found:
            groups = found.groupdict()
            yield (
                (groups.get("root") or "", (groups.get("split") or "").lower(), found["stem"]),
                path,
            )
