import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from ranet_jax.errors import InputError
from ranet_jax.io import soft_edges
from ranet_jax.io.masks import MAX_OBJECTS, read_mask, write_mask
from ranet_jax.io.palette import davis_palette, id_palette


def squares(*ids, size=40):
    """Ids beside each other on a background of 0, each a solid square."""
    labels = np.zeros((size, 4 + 12 * len(ids)), np.int32)
    for index, label in enumerate(ids):
        labels[8:28, 4 + 12 * index : 14 + 12 * index] = label
    return labels


def save(path, values, mode=None):
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path)
    return path


def test_palette_is_the_davis_one():
    palette = davis_palette()
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128)}
    known |= {7: (128, 128, 128), 8: (64, 0, 0), 15: (192, 128, 128), 255: (224, 224, 192)}
    assert {label: tuple(palette[label].tolist()) for label in known} == known
    assert len(np.unique(palette, axis=0)) == 256


def test_files_have_the_colors_of_overlays(tmp_path):
    """In which 1, 8 and 9, three shades of one red in DAVIS, are told apart."""
    write_mask(tmp_path / "mask.png", squares(1, 8, 9))
    with Image.open(tmp_path / "mask.png") as image:
        colors = np.array(image.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(colors, id_palette()[: len(colors)])
    for one, other in ((1, 8), (1, 9), (8, 9)):
        assert np.linalg.norm(colors[one] - colors[other]) > 100


def test_palette_is_that_of_published_masks(data_dir):
    path = sorted(data_dir.glob("DAVIS17_multiobject/**/Annotations/**/00000.png"))[0]
    with Image.open(path) as image:
        published = np.array(image.getpalette()).reshape(-1, 3)
    used = range(8)
    np.testing.assert_array_equal(davis_palette()[used], published[used])


@pytest.mark.parametrize("mode", ["L", "P", "LA", "I;16", "I"])
def test_ids_are_kept_in_every_mode(tmp_path, mode):
    labels = squares(1, 7, 200)
    grey = Image.fromarray(labels.astype(np.uint8))
    if mode == "P":
        grey.putpalette(davis_palette().tobytes())
    elif mode == "I;16":
        grey = Image.fromarray(labels.astype(np.uint16))
    elif mode == "I":
        grey = Image.fromarray(labels)
    elif mode == "LA":
        grey = grey.convert("LA")
    assert grey.mode == mode
    path = tmp_path / ("mask.tif" if mode == "I" else "mask.png")
    grey.save(path)
    read = read_mask(path, first=True)
    np.testing.assert_array_equal(read, labels)
    assert np.issubdtype(read.dtype, np.integer)


def test_a_bilevel_mask_shows_object_one(tmp_path):
    path = save(tmp_path / "mask.png", squares(1).astype(bool))
    np.testing.assert_array_equal(read_mask(path), squares(1))


def test_the_object_of_a_black_and_white_mask_is_255(tmp_path):
    path = save(tmp_path / "mask.png", squares(255).astype(np.uint8))
    assert set(np.unique(read_mask(path, first=True))) == {0, 255}


@given(
    ids=st.lists(st.integers(1, 65535), min_size=0, max_size=12),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(tmp_path_factory, ids, size):
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    # Far apart, so that no id lies between two others.
    labels = np.zeros((size[0], 16 * len(ids) + size[1]), np.int64)
    for index, label in enumerate(ids):
        labels[:, 16 * index : 16 * index + 8] = label
    write_mask(path, labels)
    np.testing.assert_array_equal(read_mask(path), labels)
    with Image.open(path) as image:
        assert image.mode == ("I;16" if max(ids, default=0) > 255 else "P")
    assert [file.name for file in path.parent.iterdir()] == ["mask.png"]


@pytest.mark.parametrize("label", [-1, 65536])
def test_ids_that_no_png_holds_are_not_written(tmp_path, label):
    with pytest.raises(InputError, match="renumber"):
        write_mask(tmp_path / "mask.png", np.full((2, 2), label))
    assert not list(tmp_path.iterdir())


def refusal(path, **arguments):
    with pytest.raises(InputError) as caught:
        read_mask(path, **arguments)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_a_missing_mask_is_refused(tmp_path):
    assert "no mask file" in refusal(tmp_path / "none.png")
    assert "no mask file" in refusal(tmp_path)


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "mask.png"
    path.write_text("not an image")
    assert "not an image" in refusal(path)
    path.write_bytes(b"")
    assert "not an image" in refusal(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_mask_is_refused(tmp_path, share):
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(whole, "PNG")
    path = tmp_path / "mask.png"
    path.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_color_mask_is_refused(tmp_path, mode):
    path = save(tmp_path / "mask.png", squares(1, 2).astype(np.uint8), mode)
    assert f"color image (mode {mode})" in refusal(path)


def test_a_jpeg_is_refused_even_where_its_values_are_whole(tmp_path):
    path = save(tmp_path / "mask.jpg", np.zeros((16, 16), np.uint8))
    assert "JPEG" in refusal(path)


def test_an_empty_mask_is_refused_only_at_the_start(tmp_path):
    path = save(tmp_path / "mask.png", np.zeros((9, 9), np.uint8))
    assert "empty" in refusal(path, first=True)
    assert not read_mask(path).any()


def test_more_objects_than_can_be_followed_are_refused_only_at_the_start(tmp_path):
    most = save(tmp_path / "most.png", squares(*range(1, MAX_OBJECTS + 1)).astype(np.uint8))
    assert len(np.unique(read_mask(most, first=True))) == MAX_OBJECTS + 1
    path = save(tmp_path / "mask.png", squares(*range(1, MAX_OBJECTS + 2)).astype(np.uint8))
    assert "shows 17 objects" in refusal(path, first=True)
    assert len(np.unique(read_mask(path))) == MAX_OBJECTS + 2


shapes = st.tuples(
    st.sampled_from(["ellipse", "polygon"]),
    st.lists(st.tuples(st.integers(10, 110), st.integers(10, 80)), min_size=3, max_size=5),
)


def draw(shape, value, *, size=(120, 90)):
    kind, points = shape
    image = Image.new("L", size)
    if kind == "ellipse":
        (x0, y0), (x1, y1) = points[:2]
        box = (min(x0, x1), min(y0, y1), max(x0, x1) + 12, max(y0, y1) + 12)
        ImageDraw.Draw(image).ellipse(box, fill=value)
    else:
        ImageDraw.Draw(image).polygon([*points, (20, 20), (60, 30)], fill=value)
    return image


def through_jpeg(image):
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=90)
    return Image.open(stored).convert("L")


SMOOTHINGS = {
    "smaller": lambda image: image.resize((97, 71), Image.Resampling.BILINEAR),
    "larger": lambda image: image.resize((200, 150), Image.Resampling.BICUBIC),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "jpeg": through_jpeg,
}


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@given(shape=shapes, value=st.sampled_from([128, 200, 255]))
@settings(max_examples=40, deadline=None)
def test_smoothed_masks_are_refused(tmp_path_factory, smoothing, shape, value):
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    SMOOTHINGS[smoothing](draw(shape, value)).save(path)
    assert "smoothed edges" in refusal(path, first=True)


@given(shape=shapes, count=st.integers(1, 8), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_a_few_grey_pixels_on_the_edge_of_a_white_object_are_refused(
    tmp_path_factory, shape, count, seed
):
    values = np.asarray(draw(shape, 255)).copy()
    inner = np.asarray(Image.fromarray(values).filter(ImageFilter.MinFilter(3)))
    edge = np.argwhere((values == 255) & (inner == 0))
    rng = np.random.default_rng(seed)
    for row, column in edge[rng.permutation(len(edge))[:count]]:
        values[row, column] = rng.integers(30, 226)
    path = save(tmp_path_factory.mktemp("masks") / "mask.png", values)
    assert "smoothed edges" in refusal(path, first=True)


@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(1, 30), st.integers(1, 30)),
        min_size=1,
        max_size=7,
    ),
)
@settings(max_examples=150, deadline=None)
def test_numbered_objects_pass_however_thin_they_are(tmp_path_factory, boxes):
    labels = np.zeros((90, 90), np.uint8)
    labels[30:60, 30:60] = 8
    for label, (top, left, height, width) in enumerate(boxes, 1):
        labels[top : top + height, left : left + width] = label
    path = save(tmp_path_factory.mktemp("masks") / "mask.png", labels)
    np.testing.assert_array_equal(read_mask(path, first=True), labels)


@pytest.mark.parametrize("label", [1, 2, 255])
@pytest.mark.parametrize("width", [1, 2])
def test_a_thin_line_passes(tmp_path, label, width):
    image = Image.new("L", (80, 60))
    ImageDraw.Draw(image).line([(5, 5), (70, 50)], fill=label, width=width)
    ImageDraw.Draw(image).ellipse((50, 30, 75, 55), outline=label)
    image.save(tmp_path / "mask.png")
    assert set(np.unique(read_mask(tmp_path / "mask.png", first=True))) == {0, label}


def test_small_ids_blended_by_resizing_are_refused(tmp_path):
    image = draw(("ellipse", [(20, 20), (90, 70), (0, 0)]), 5)
    image.resize((250, 190), Image.Resampling.BILINEAR).save(tmp_path / "mask.png")
    assert "smoothed edges" in refusal(tmp_path / "mask.png", first=True)


def test_published_masks_pass(data_dir):
    grey_and_alpha = data_dir / "DAVIS/Annotations/480p/bear/00077.png"
    with Image.open(grey_and_alpha) as image:
        assert image.mode == "LA"
    assert set(np.unique(read_mask(grey_and_alpha, first=True))) == {0, 255}
    several = sorted(data_dir.glob("DAVIS17_first_frames/Annotations/480p/*/00000.png"))
    assert len(several) == 30
    for path in several:
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_mask(path, first=True), np.asarray(image))
    for path in sorted(data_dir.glob("COCO128_instances/**/*.png"))[::4]:
        assert read_mask(path).any()


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([3, 7]), st.integers(0, 2**32 - 1))
def test_the_extremes_around_a_pixel_are_those_of_scipy(height, width, side, seed):
    labels = np.random.default_rng(seed).integers(0, 70_000, (height, width), np.int32)
    expected = ndimage.minimum_filter(labels, side), ndimage.maximum_filter(labels, side)
    np.testing.assert_array_equal(soft_edges._extremes(labels, side), expected)
