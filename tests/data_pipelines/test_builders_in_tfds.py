"""TFDS's own test of every builder, on the small archives."""

import pytest

pytest.importorskip(
    "tensorflow", reason="needs TensorFlow, which the builders themselves do without"
)

import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import tensorflow_datasets as tfds  # noqa: E402
from small_sets import ECSSD, davis_files, static_files, write_tree  # noqa: E402

from data_pipelines.builders.davis import builder as davis  # noqa: E402
from data_pipelines.builders.ecssd import builder as ecssd  # noqa: E402
from data_pipelines.builders.hku_is import builder as hku_is  # noqa: E402
from data_pipelines.builders.ilso import builder as ilso  # noqa: E402
from data_pipelines.builders.msra10k import builder as msra10k  # noqa: E402
from data_pipelines.builders.soc import builder as soc  # noqa: E402


class _BuilderTest(tfds.testing.DatasetBuilderTestCase):
    __test__ = False
    FILES: dict[str, bytes]

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.EXAMPLE_DIR = str(write_tree(Path(folder.name), cls.FILES))
        super().setUpClass()


class Msra10kTest(_BuilderTest):
    __test__ = True
    DATASET_CLASS = msra10k.Builder
    SPLITS = {"train": 3}
    FILES = static_files("MSRA10K_Imgs_GT/Imgs/{}.jpg", "MSRA10K_Imgs_GT/Imgs/{}.png")


class EcssdTest(_BuilderTest):
    __test__ = True
    DATASET_CLASS = ecssd.Builder
    SPLITS = {"train": 3}
    FILES = static_files(*ECSSD)


class HkuIsTest(_BuilderTest):
    __test__ = True
    DATASET_CLASS = hku_is.Builder
    SPLITS = {"train": 3}
    FILES = static_files("HKU-IS/imgs/{}.png", "HKU-IS/gt/{}.png")


class SocTest(_BuilderTest):
    __test__ = True
    DATASET_CLASS = soc.Builder
    SPLITS = {"train": 3, "val": 2}
    FILES = static_files("S/TrainSet/Imgs/{}.jpg", "S/TrainSet/gt/{}.png") | static_files(
        "S/ValSet/Imgs/{}.jpg", "S/ValSet/gt/{}.png", 2, first=10
    )


class IlsoTest(_BuilderTest):
    __test__ = True
    DATASET_CLASS = ilso.Builder
    SPLITS = {"train": 3}
    FILES = static_files("imgs/{}.jpg", "gt/{}.png")


class _DavisTest(_BuilderTest):
    DATASET_CLASS = davis.Builder

    def test_registered(self):
        # The name is TFDS's own dataset's in its registry: ours must leave it alone.
        self.assertIsNot(tfds.builder_cls("davis"), davis.Builder)


class Davis2016Test(_DavisTest):
    __test__ = True
    BUILDER_CONFIG_NAMES_TO_TEST = ["2016"]
    SPLITS = {"train": 2, "val": 1, "trainval": 3}
    OVERLAPPING_SPLITS = ["trainval"]
    FILES = davis_files("2016", {"train": {"ant": 3, "bee": 2}, "val": {"cow": 2}})


class Davis2017Test(_DavisTest):
    __test__ = True
    BUILDER_CONFIG_NAMES_TO_TEST = ["2017"]
    SPLITS = {"train": 2, "val": 1, "trainval": 3, "test-dev": 1}
    OVERLAPPING_SPLITS = ["trainval"]
    FILES = davis_files(
        "2017", {"train": {"ant": 3, "bee": 2}, "val": {"cow": 2}, "test-dev": {"doe": 3}}
    )
