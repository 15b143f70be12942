import json

import numpy as np
import pytest

from ranet_jax.io.coco_rle import CocoResults, encode_rle


def decode(text, height, width):
    """Written from the format's description alone."""
    counts, position = [], 0
    while position < len(text):
        value = shift = 0
        while True:
            group = ord(text[position]) - 48
            value |= (group & 31) << shift
            shift, position = shift + 5, position + 1
            if not group & 32:
                break
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    runs = [np.full(count, index % 2) for index, count in enumerate(counts)]
    return np.concatenate(runs).reshape(width, height).T.astype(bool)


def masks():
    random = np.random.default_rng(0)
    yield np.zeros((3, 4), bool)
    yield np.ones((3, 4), bool)
    for height, width in ((1, 1), (5, 7), (40, 60), (300, 2)):
        yield random.random((height, width)) > 0.6
    square = np.zeros((200, 300), bool)
    square[20:150, 40:290] = True
    yield square


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: str(mask.shape))
def test_what_is_encoded_can_be_decoded(mask):
    np.testing.assert_array_equal(decode(encode_rle(mask), *mask.shape), mask)


def test_the_string_is_the_one_of_cocos_own_tools():
    """What pycocotools 2.0.11 makes of the same mask."""
    mask = np.zeros((40, 60), bool)
    mask[5:30, 10:50] = True
    mask[12:15, 20:22] = False
    assert encode_rle(mask) == "e<i0?" + 18 * "0" + "^OD8<HD8<:" + 54 * "0" + "[<"


def test_a_file_of_frames_in_any_order(tmp_path):
    results = CocoResults()
    labels = np.zeros((6, 8), np.int32)
    labels[1:3, 2:7] = 5
    results.add("frame10", labels)
    results.add("frame9", np.where(labels, 2, 0))
    results.write(tmp_path)
    content = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["frame9", "frame10"]
    assert content["images"][1] == {"id": 2, "file_name": "frame10", "height": 6, "width": 8}
    assert [category["id"] for category in content["categories"]] == [2, 5]
    (last,) = [one for one in content["annotations"] if one["image_id"] == 2]
    assert (last["category_id"], last["area"], last["bbox"]) == (5, 10, [2, 1, 5, 2])
    assert last["segmentation"]["size"] == [6, 8]
    np.testing.assert_array_equal(decode(last["segmentation"]["counts"], 6, 8), labels == 5)
