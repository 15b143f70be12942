import pickle

import numpy as np
import pytest
from small_sets import davis_files, encode, random_image, square, write_tree

from data_pipelines import builders, built_sources, sources
from ranet_jax.errors import InputError
from ranet_jax.io.masks import decode_ids


def test_images_are_clips_of_one_frame(image_set):
    source = sources.image_folder(image_set / "images", image_set / "masks")
    assert source.lengths == (1,) * 12
    assert source.frame_name(0, 0).endswith("images/0000.jpg")
    assert source.image(3, 0) == (image_set / "images/0003.jpg").read_bytes()
    assert source.mask(3, 0) == (image_set / "masks/0003.png").read_bytes()


def test_images_and_masks_may_share_a_folder(tmp_path):
    files = {"1.jpg": encode(random_image(0), "JPEG"), "1.png": encode(255 * square())}
    source = sources.image_folder(write_tree(tmp_path, files), tmp_path)
    assert source.files == (((str(tmp_path / "1.jpg"), str(tmp_path / "1.png")),),)


def test_images_without_a_mask_are_left_out(image_set):
    (image_set / "masks/0003.png").unlink()
    assert len(sources.image_folder(image_set / "images", image_set / "masks").lengths) == 11


def test_videos_are_read_in_order_without_or_with_a_list(video_set):
    source = sources.video_folder(video_set)
    assert source.lengths == (9, 7, 4)
    assert [source.frame_name(0, t).rsplit("/", 2)[1:] for t in (0, 8)] == [
        ["ant", "00000.jpg"],
        ["ant", "00008.jpg"],
    ]
    assert sources.video_folder(video_set, split="val").lengths == (4,)


def test_lists_of_pairs_are_read_too(tmp_path):
    files = davis_files("2016", {"train": {"ant": 3}, "val": {"bee": 2}})
    root = write_tree(tmp_path, files) / "DAVIS"
    assert sources.video_folder(root, split="val").lengths == (2,)


def test_other_resolutions_and_none_at_all_are_found(tmp_path):
    for middle, name in (("240p/", "a"), ("", "b")):
        files = {
            f"JPEGImages/{middle}x/0.jpg": encode(random_image(0), "JPEG"),
            f"Annotations/{middle}x/0.png": encode(square()),
        }
        assert sources.video_folder(write_tree(tmp_path / name, files)).lengths == (1,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda root: sources.image_folder(root / "nothing", root), "is no folder"),
        (lambda root: sources.image_folder(root, root), "No image in"),
        (lambda root: sources.video_folder(root), "is missing: a folder of videos needs"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, call, message):
    with pytest.raises(InputError, match=message):
        call(tmp_path)


def test_missing_lists_and_videos_are_said(video_set):
    with pytest.raises(InputError, match="leave the split out"):
        sources.video_folder(video_set, split="test")
    (video_set / "ImageSets/2017/train.txt").write_text("ant\ndodo\n")
    with pytest.raises(InputError, match="lists the video dodo"):
        sources.video_folder(video_set, split="train")


def test_a_built_set_gives_what_its_folder_gives(video_set, tmp_path, build):
    builder = build("davis/2017", tmp_path / "built", video_set)
    built = built_sources.TfdsSource(builder, "trainval")
    folder = sources.video_folder(video_set)
    order = {built.frame_name(clip, 0).split("/")[-2]: clip for clip in range(3)}
    assert sorted(built.lengths) == sorted(folder.lengths)
    for clip in range(3):
        name = folder.frame_name(clip, 0).split("/")[-2]
        for frame in range(folder.lengths[clip]):
            assert built.image(order[name], frame) == folder.image(clip, frame)
            ids, expected = (
                decode_ids(source.mask(c, frame), "m", source.mask_rule)
                for source, c in ((built, order[name]), (folder, clip))
            )
            np.testing.assert_array_equal(ids, expected)


def test_a_source_goes_to_another_process_without_what_it_holds(video_set, tmp_path, build):
    source = built_sources.TfdsSource(build("davis/2017", tmp_path, video_set), "train")
    sent = pickle.dumps(source)
    assert len(sent) < 100_000
    assert pickle.loads(sent).image(0, 3) == source.image(0, 3)


@pytest.mark.parametrize("capacity", [0, 20_000, 10**9])
def test_the_cache_changes_nothing_but_the_time(video_set, tmp_path, build, capacity):
    builder = build("davis/2017", tmp_path, video_set)
    source = built_sources.TfdsSource(builder, "train", cache_bytes=capacity)
    reference = built_sources.TfdsSource(builder, "train")
    for clip, frame in ((0, 1), (1, 2), (0, 3), (1, 0), (0, 1)):
        assert source.image(clip, frame) == reference.image(clip, frame)
    assert source._cache.nbytes <= capacity


def test_what_is_not_built_is_said(tmp_path, video_set, build):
    with pytest.raises(InputError, match="run `ranet data build ecssd`"):
        built_sources.TfdsSource(builders.builder("ecssd", tmp_path), "train")
    builder = build("davis/2017", tmp_path, video_set)
    with pytest.raises(InputError, match="has no split test.*choose one of"):
        built_sources.TfdsSource(builder, "test")
    for name, message in (
        ("coco", "There is no dataset coco"),
        ("davis", "davis/2016 or davis/2017"),
        ("davis/2018", "davis/2016 or davis/2017"),
        ("ecssd/2016", "write just ecssd"),
    ):
        with pytest.raises(InputError, match=message):
            builders.builder(name, tmp_path)


def test_videos_are_left_out_by_name(video_set, tmp_path, build):
    built = built_sources.TfdsSource(build("davis/2017", tmp_path, video_set), "trainval")
    assert sorted(built.videos) == ["ant", "bee", "cow"]
    less = built_sources.TfdsSource(
        build("davis/2017", tmp_path, video_set), "trainval", exclude=["bee", "yak"], cache_bytes=0
    )
    assert less.videos == [name for name in built.videos if name != "bee"]
    for clip, name in enumerate(less.videos):
        there = built.videos.index(name)
        assert less.lengths[clip] == built.lengths[there]
        assert less.frame_name(clip, 1) == built.frame_name(there, 1)
        assert less.image(clip, 1) == built.image(there, 1)
    folder = sources.video_folder(video_set, exclude=["bee", "yak"])
    assert folder.videos == ("ant", "cow") and folder.lengths == (9, 4)
    assert sources.video_folder(video_set, split="train", exclude=["bee"]).videos == ("ant",)


def test_one_video_at_least_has_to_be_left(video_set, tmp_path, build):
    with pytest.raises(InputError, match="All 2 videos .* left out"):
        sources.video_folder(video_set, split="train", exclude=["ant", "bee"])
    with pytest.raises(InputError, match="All 1 videos of davis/2017.*:val"):
        built_sources.TfdsSource(build("davis/2017", tmp_path, video_set), "val", exclude=["cow"])


def test_a_clip_of_one_frame_is_no_video(image_set):
    assert sources.image_folder(image_set / "images", image_set / "masks").videos == ()
