"""DAVIS 2016 and 2017 at 480p: densely annotated videos."""

from collections.abc import Iterator
from pathlib import PurePosixPath

import tensorflow_datasets as tfds
from absl import logging

from data_pipelines.builders import archives, static
from data_pipelines.builders.checksums import CheckedBuilder
from data_pipelines.builders.dataset_info import DatasetInfo
from ranet_jax.errors import InputError
from ranet_jax.io.davis_lists import decode_list, parse_list
from ranet_jax.io.images import encode_image, image_size
from ranet_jax.io.masks import decode_ids, match_size

_PUBLISHER = "https://data.vision.ee.ethz.ch/csergi/share/davis/"
_ARCHIVES = {
    "2016": ("DAVIS-data.zip",),
    "2017": ("DAVIS-2017-trainval-480p.zip", "DAVIS-2017-test-dev-480p.zip"),
}
_URLS = {
    "2016": ("https://graphics.ethz.ch/Downloads/Data/Davis/DAVIS-data.zip",),
    "2017": tuple(_PUBLISHER + name for name in _ARCHIVES["2017"]),
}
# Where the lists of the splits lie. The package of 2016 lists pairs of paths, that of 2017 lists
# names (those of 2016 as well, so either package serves for 2016).
_LISTS = {"2016": ("480p", "2016"), "2017": ("2017",)}
_SPLITS = {"2016": ("train", "val"), "2017": ("train", "val", "test-dev")}


# TFDS ships a dataset of the same name: registering this one as well would break its registry.
class Builder(CheckedBuilder, skip_registration=True):
    """DatasetBuilder of DAVIS."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="2016", description="50 videos, one object (or group) each."),
        tfds.core.BuilderConfig(
            name="2017", description="90 videos with all masks, 30 more with the first alone."
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put the official archives (https://davischallenge.org: DAVIS-data.zip of 2016;
    DAVIS-2017-trainval-480p.zip and DAVIS-2017-test-dev-480p.zip of 2017), or the folder DAVIS they
    unpack to, into manual_dir; without them they are fetched from the publisher.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return DatasetInfo(
            builder=self,
            description="""
            Densely Annotated VIdeo Segmentation at 480p. An example is a whole video. In 2016 id 1
            is the one object (or group of objects); in 2017 every object has its id, the same in
            all frames. The first mask alone is published for the videos of test-dev.
            """,
            citation="""
            @inproceedings{perazzi2016benchmark,
              title     = {A Benchmark Dataset and Evaluation Methodology for Video Object
                           Segmentation},
              author    = {Perazzi, Federico and Pont-Tuset, Jordi and McWilliams, Brian and
                           Van Gool, Luc and
                           Gross, Markus and Sorkine-Hornung, Alexander},
              booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
              year      = {2016}
            }
            @article{ponttuset2017davis,
              title   = {The 2017 {DAVIS} Challenge on Video Object Segmentation},
              author  = {Pont-Tuset, Jordi and Perazzi, Federico and Caelles, Sergi and
                         Arbel{\\'a}ez, Pablo and
                         Sorkine-Hornung, Alexander and Van Gool, Luc},
              journal = {arXiv:1704.00675}, year = {2017}
            }
            """,
            license="CC BY-NC 4.0 (https://creativecommons.org/licenses/by-nc/4.0/)",
            homepage="https://davischallenge.org",
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(doc="Name of the video."),
                    "frames": tfds.features.Sequence(
                        tfds.features.Image(doc="One frame, RGB."), doc="The frames, in order."
                    ),
                    "masks": tfds.features.Sequence(
                        static.mask_feature("Object ids of one frame: 0 is background."),
                        doc="The masks: of all frames, or (test-dev) of the first one alone.",
                    ),
                }
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        year = self.builder_config.name
        tree = archives.published_files(dl_manager, archives=_ARCHIVES[year], urls=_URLS[year])
        videos = {}
        for split in (*_SPLITS[year], "trainval"):
            listed = _list_split(tree, year, split)
            if listed is not None:
                videos[split] = listed
        if "trainval" not in videos and {"train", "val"} <= videos.keys():
            videos["trainval"] = videos["train"] | videos["val"]
        if not videos:
            raise InputError(
                f"No list of a split of DAVIS {year} (ImageSets/{_LISTS[year][0]}/train.txt, say) "
                f"was found. {' '.join(self.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
            )
        return {
            split: self._generate_examples(tree, listed, split) for split, listed in videos.items()
        }

    def _post_download_and_prepare_hook(self) -> None:
        super()._post_download_and_prepare_hook()
        year = self.builder_config.name
        for split in _SPLITS[year]:
            if split not in self.info.splits:
                logging.warning("DAVIS %s: no list of %s, so this split is left out.", year, split)

    def _generate_examples(self, tree: archives.FileTree, videos: dict, split: str) -> Iterator:
        rule = "binary" if self.builder_config.name == "2016" else "ids"
        for name, pairs in videos.items():
            masks = [mask for _, mask in pairs]
            if split == "test-dev":
                masks = masks[:1]
            missing = [
                path for path in (*(frame for frame, _ in pairs), *masks) if path not in tree
            ]
            if missing or not pairs:
                flaw = f"{missing[0]} is missing" if missing else "it has no frames"
                raise InputError(
                    f"The video {name} of DAVIS {split} is incomplete ({flaw}): unpack it again."
                )
            frames = list(tree.read_many(frame for frame, _ in pairs))
            sizes = [image_size(data, path) for data, (path, _) in zip(frames, pairs, strict=True)]
            ids = [
                match_size(decode_ids(data, mask, rule), *size, mask)
                for data, mask, size in zip(tree.read_many(masks), masks, sizes, strict=False)
            ]
            yield (
                name,
                {
                    "name": name,
                    "frames": [
                        static.color_bytes(data, path)
                        for data, (path, _) in zip(frames, pairs, strict=True)
                    ],
                    "masks": list(map(encode_image, ids)),
                },
            )


def _list_split(
    tree: archives.FileTree, year: str, split: str
) -> dict[str, list[tuple[str, str]]] | None:
    """(frame, mask) paths of the videos of a split, by name, or None where the split has no
    list."""
    for folder in _LISTS[year]:
        ending = f"ImageSets/{folder}/{split}.txt"
        found = sorted(path for path in tree if path == ending or path.endswith("/" + ending))
        if not found:
            continue
        root = found[0].removesuffix(ending)
        videos = parse_list(decode_list(tree.read(found[0]), found[0]), found[0])
        return {
            name: [(root + frame, root + mask) for frame, mask in pairs]
            or _frames_of(tree, root, name)
            for name, pairs in videos.items()
        }
    return None


def _frames_of(tree: archives.FileTree, root: str, name: str) -> list[tuple[str, str]]:
    folder = f"{root}JPEGImages/480p/{name}/"
    frames = sorted(
        path for path in tree if path.startswith(folder) and path.lower().endswith(".jpg")
    )
    masks = f"{root}Annotations/480p/{name}/"
    pairs = [(frame, f"{masks}{PurePosixPath(frame).stem}.png") for frame in frames]
    known = {mask for _, mask in pairs}
    there = [path for path in sorted(tree) if path.startswith(masks) and path.endswith(".png")]
    if alone := [path for path in there if pairs and path not in known]:
        raise InputError(
            f"The video {name} of DAVIS is incomplete ({alone[0]} has no frame): unpack it again."
        )
    return pairs
