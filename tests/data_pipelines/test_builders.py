"""The builders on small archives in the layouts of the publishers."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from small_sets import (
    ECSSD,
    davis_files,
    encode,
    random_image,
    square,
    static_files,
    write_tree,
    write_zip,
)

from data_pipelines import builders

STATIC = {
    "msra10k": ("MSRA10K_Imgs_GT/Imgs/{}.jpg", "MSRA10K_Imgs_GT/Imgs/{}.png"),
    "ecssd": ECSSD,
    "hku_is": ("HKU-IS/imgs/{}.png", "HKU-IS/gt/{}.png"),
    "ilso": ("ILSO/imgs/{}.jpg", "ILSO/gt/{}.png"),
}
ARCHIVE = {
    "msra10k": "MSRA10K_Imgs_GT.zip",
    "ecssd": "images.zip",
    "hku_is": "HKU-IS.zip",
    "ilso": "ILSO.zip",
}


def read(builder, split: str = "train") -> dict[str, dict]:
    return {example["name"].decode(): example for example in builder.as_data_source(split)}


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("name", STATIC)
def test_static_sets(name, packed, tmp_path, build):
    files = static_files(*STATIC[name])
    if packed:
        write_zip(tmp_path / "manual" / ARCHIVE[name], files)
    else:
        write_tree(tmp_path / "manual", files)
    builder = build(name, tmp_path / "built", tmp_path / "manual")
    examples = read(builder)
    assert sorted(examples) == ["0000", "0001", "0002"]
    for i in range(3):
        example = examples[f"{i:04d}"]
        np.testing.assert_array_equal(example["mask"][..., 0], square(top=8 + i))
        np.testing.assert_allclose(example["image"], random_image(i), atol=30)
    fetched = [path for path in tmp_path.glob("built/downloads/**/*") if path.is_file()]
    assert not fetched, "there was nothing to fetch"


def test_the_two_archives_of_ecssd(tmp_path, build):
    files = static_files(*STATIC["ecssd"])
    for folder in ("images", "ground_truth_mask"):
        part = {name: data for name, data in files.items() if name.startswith(folder)}
        write_zip(tmp_path / "manual" / "downloads" / f"{folder}.zip", part)
    assert len(read(build("ecssd", tmp_path / "built", tmp_path / "manual"))) == 3


def test_what_the_publisher_offers_is_fetched(tmp_path, monkeypatch):
    files = static_files(*STATIC["ecssd"])
    archives = {}
    for folder in ("images", "ground_truth_mask"):
        part = {name: data for name, data in files.items() if name.startswith(folder)}
        archives[folder] = write_zip(tmp_path / f"cached_{folder}", part)
    asked = []

    def fetch(url, folder):
        asked.append(url)
        return archives[url.rsplit("/", 1)[-1].removesuffix(".zip")]

    monkeypatch.setattr("data_pipelines.builders.archives.fetch", fetch)
    builder = builders.builder("ecssd", tmp_path / "built")
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    assert len(asked) == 2 and len(read(builder)) == 3


def test_soc_has_instances_splits_and_images_without_objects(tmp_path, build):
    files = {}
    for split, names in (("TrainSet", ("1", "2", "3")), ("ValSet", ("4",))):
        for name in names:
            files[f"SOC6K_Release/{split}/Imgs/{name}.jpg"] = encode(random_image(0), "JPEG")
            files[f"SOC6K_Release/{split}/gt/{name}.png"] = encode(255 * square())
    two = np.zeros((48, 64, 3), np.uint8)
    two[:10], two[30:] = (250, 40, 40), (40, 250, 40)
    files["SOC6K_Release/TrainSet/Instance gt/1.png"] = encode(two)
    files["SOC6K_Release/TrainSet/gt/3.png"] = encode(0 * square())
    write_zip(tmp_path / "manual" / "SOC6K_Release.zip", files)
    builder = build("soc", tmp_path / "built", tmp_path / "manual")
    train = read(builder)
    assert set(builder.info.splits) == {"train", "val"}
    assert train["1"]["mask"][0, 0] == 2 and train["1"]["mask"][40, 0] == 1
    np.testing.assert_array_equal(train["2"]["mask"][..., 0], square())
    assert not train["3"]["mask"].any()
    assert sorted(read(builder, "val")) == ["4"]


def test_ilso_numbers_instances(tmp_path, build):
    mask = square(value=60)
    mask[:4] = 180
    files = {"img/a.jpg": encode(random_image(0), "JPEG"), "gt/a.png": encode(mask)}
    builder = build("ilso", tmp_path / "built", write_tree(tmp_path / "manual", files))
    np.testing.assert_array_equal(
        read(builder)["a"]["mask"][..., 0], np.searchsorted([0, 60, 180], mask)
    )


def test_odd_images_and_masks_are_made_regular(tmp_path, build):
    files = static_files(*STATIC["ecssd"], count=5)
    files["images/0000.jpg"] = encode(random_image(0)[..., 0], "JPEG")
    files["ground_truth_mask/0001.png"] = encode(255 * square(height=49, width=63))
    files["ground_truth_mask/0002.png"] = encode(255 * square(), mode="RGB")
    files["ground_truth_mask/0003.png"] = encode(255 * square(), mode="LA")
    files["ground_truth_mask/0004.png"] = encode(0 * square())
    examples = read(build("ecssd", tmp_path / "built", write_tree(tmp_path / "manual", files)))
    grey = examples["0000"]["image"]
    assert grey.shape == (48, 64, 3) and (grey == grey[..., :1]).all()
    for name in ("0001", "0002", "0003"):
        np.testing.assert_array_equal(examples[name]["mask"][..., 0], square())
    assert not examples["0004"]["mask"].any()


def test_davis_2016_from_lists_of_pairs(tmp_path, build):
    files = davis_files("2016", {"train": {"ant": 3, "bee": 2}, "val": {"cow": 2}})
    files["DAVIS/Annotations/480p/ant/00001.png"] = encode(255 * square(left=9), mode="LA")
    files["DAVIS/Annotations/480p/ant/00002.png"] = encode(0 * square())
    # A frame that no list names is no part of the set.
    files["DAVIS/JPEGImages/480p/ant/00003.jpg"] = encode(random_image(3), "JPEG")
    write_zip(tmp_path / "manual" / "DAVIS-data.zip", files)
    builder = build("davis/2016", tmp_path / "built", tmp_path / "manual")
    train = read(builder)
    assert set(builder.info.splits) == {"train", "val", "trainval"}
    assert sorted(train) == ["ant", "bee"]
    assert sorted(read(builder, "trainval")) == ["ant", "bee", "cow"]
    assert len(train["ant"]["frames"]) == len(train["ant"]["masks"]) == 3
    for t, mask in enumerate((square(left=8), square(left=9), 0 * square())):
        np.testing.assert_array_equal(train["ant"]["masks"][t][..., 0], mask)
        np.testing.assert_allclose(train["ant"]["frames"][t], random_image(t), atol=30)


def test_davis_2016_from_the_package_of_2017(tmp_path, build):
    files = davis_files("2017", {"train": {"ant": 2}})
    files["DAVIS/ImageSets/2016/train.txt"] = b"ant\n"
    write_tree(tmp_path / "manual", files)
    mask = read(build("davis/2016", tmp_path / "built", tmp_path / "manual"))["ant"]["masks"][0]
    assert set(np.unique(mask)) == {0, 1}, "both objects are the one object of 2016"


def test_davis_2017_with_ids_and_test_dev_with_first_masks_alone(tmp_path, build):
    trainval = davis_files("2017", {"train": {"ant": 3}, "val": {"bee": 2}})
    write_zip(tmp_path / "manual" / "DAVIS-2017-trainval-480p.zip", trainval)
    test_dev = davis_files("2017", {"test-dev": {"cow": 4}})
    write_zip(tmp_path / "manual" / "DAVIS-2017-test-dev-480p.zip", test_dev)
    builder = build("davis/2017", tmp_path / "built", tmp_path / "manual")
    assert set(builder.info.splits) == {"train", "val", "trainval", "test-dev"}
    ant = read(builder)["ant"]
    assert [set(np.unique(mask)) for mask in ant["masks"]] == [{0, 1, 2}] * 3
    cow = read(builder, "test-dev")["cow"]
    assert len(cow["frames"]) == 4 and len(cow["masks"]) == 1


def test_davis_2017_masks_in_colors_keep_their_ids(tmp_path, build):
    files = davis_files("2017", {"train": {"ant": 2}})
    second_alone = np.zeros((48, 64, 3), np.uint8)
    second_alone[:9] = (0, 128, 0)
    files["DAVIS/Annotations/480p/ant/00001.png"] = encode(second_alone)
    builder = build("davis/2017", tmp_path / "built", write_tree(tmp_path / "manual", files))
    assert set(np.unique(read(builder)["ant"]["masks"][1])) == {0, 2}


@pytest.mark.parametrize("name", builders.NAMES)
def test_builders_describe_themselves(name, tmp_path):
    module = importlib.import_module(f"data_pipelines.builders.{name}.builder")
    configs = list(module.Builder.builder_configs) or [None]
    for config in configs:
        full = f"{name}/{config}" if config else name
        info = builders.builder(full, tmp_path).info
        assert info.name == name
        assert len(info.description) > 60
        assert info.citation.startswith("@")
        assert info.homepage.startswith("http")
        assert info.redistribution_info.license
        assert all(feature.doc.desc for feature in info.features.values())


def test_building_and_reading_need_no_tensorflow(tmp_path):
    write_tree(tmp_path / "manual", static_files(*STATIC["ecssd"]))
    script = f"""
from importlib.machinery import PathFinder

find = PathFinder.find_spec
def find_all_but_tensorflow(name, path=None, target=None):
    return None if name.partition('.')[0] == 'tensorflow' else find(name, path, target)

PathFinder.find_spec = find_all_but_tensorflow
from data_pipelines import pipeline
from ranet_jax.cli.main import main
arguments = ['data', 'build', 'ecssd', '--data-dir', {str(tmp_path)!r}]
assert main([*arguments, '--manual-dir', {str(tmp_path / "manual")!r}]) == 0
assert len(pipeline.open_source('ecssd', {str(tmp_path)!r}).image(0, 0)) > 100
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ecssd/1.0.0:train  3 examples" in done.stdout
