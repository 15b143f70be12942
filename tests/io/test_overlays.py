import numpy as np
import pytest

from ranet_jax.errors import InputError
from ranet_jax.io.overlays import contact_sheet, overlay
from ranet_jax.io.palette import id_palette


def test_overlay_tints_objects_and_leaves_the_rest():
    frame = np.full((40, 60, 3), 100, np.uint8)
    labels = np.zeros((40, 60), np.int32)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    before = frame.copy()
    shown = overlay(frame, labels, opacity=0.5)
    np.testing.assert_array_equal(frame, before)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[labels == 0], frame[labels == 0])
    red, green = shown[20, 20].astype(int), shown[20, 40].astype(int)
    assert red[0] > 150 > 60 > max(red[1:])
    assert green[1] > 150 > 60 > max(green[0], green[2])


@pytest.mark.parametrize("width", [0, 1, 3])
def test_contour_runs_inside_the_object(width):
    frame = np.zeros((30, 30, 3), np.uint8)
    labels = np.zeros((30, 30), np.int32)
    labels[5:25, 5:25] = 4
    shown = overlay(frame, labels, contour=width)
    light = shown[..., 1] > 100
    expected = labels > 0
    expected[5 + width : 25 - width, 5 + width : 25 - width] = False
    np.testing.assert_array_equal(light, expected)


def test_ids_of_one_davis_hue_have_colors_of_their_own():
    frame = np.full((12, 30, 3), 90, np.uint8)
    labels = np.repeat(np.repeat([[1, 8, 9]], 10, axis=1), 12, axis=0)
    shown = overlay(frame, labels, contour=0).astype(int)
    one, eight, nine = shown[6, 5], shown[6, 15], shown[6, 25]
    for first, second in ((one, eight), (one, nine), (eight, nine)):
        assert np.abs(first - second).sum() > 60


def test_no_two_ids_share_a_color():
    colors = id_palette()
    assert len(np.unique(colors, axis=0)) == 256
    used = colors[1:17].astype(int)
    apart = np.linalg.norm(used[:, None] - used, axis=-1) + 1000 * np.eye(16)
    assert apart.min() > 60


@pytest.mark.parametrize("label", [255, 256, 510, 511, 512, 65535])
def test_every_id_is_visible(label):
    frame = np.zeros((20, 20, 3), np.uint8)
    assert overlay(frame, np.full((20, 20), label))[10, 10].max() > 60


def test_overlay_refuses_labels_of_another_size():
    with pytest.raises(InputError, match="30x20 .* 60x40"):
        overlay(np.zeros((40, 60, 3), np.uint8), np.zeros((20, 30), int))


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 4, 1), (4, 4, 1), (5, 4, 2), (3, 2, 2)])
def test_contact_sheet_shows_every_frame_above_its_caption(count, columns, rows):
    colors = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0], [0, 250, 250]])
    frames = [np.full((40, 80, 3), colors[i], np.uint8) for i in range(count)]
    sheet = np.asarray(contact_sheet(frames, ["x"] * count, columns=columns, tile_width=60))
    for color in colors[:count]:
        seen = np.argwhere((sheet == color).all(-1))
        height, width = np.ptp(seen, axis=0) + 1
        assert (height, width) == (30, 60)
        below = sheet[seen[:, 0].max() + 1 : seen[:, 0].max() + 24, seen[:, 1].min() :][:, :20]
        assert below.max() > 200  # the caption
    used = min(columns, count)
    assert sheet.shape[1] == 8 + used * 68
    assert sheet.shape[0] == 8 + rows * (30 + 24 + 8)


@pytest.mark.parametrize(("frames", "captions"), [(0, 0), (2, 1)])
def test_contact_sheet_needs_a_caption_for_each_frame(frames, captions):
    with pytest.raises(InputError, match=f"not {frames} frames and {captions} captions"):
        contact_sheet([np.zeros((4, 4, 3), np.uint8)] * frames, ["x"] * captions)
