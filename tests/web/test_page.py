"""The page in a real browser, with a small network behind it: nothing is faked but the camera."""

import io
import re

import numpy as np
import pytest
from page_clip import FRAMES
from PIL import Image

from ranet_jax.cli import main as cli
from ranet_jax.io.masks import read_mask

pytest.importorskip("playwright")
from page_actions import (  # noqa: E402
    at,
    contrast,
    download,
    go_to,
    masks_seen,
    open_clip,
    score,
    status,
    stroke,
    track,
)
from playwright.sync_api import expect  # noqa: E402

CORRECTED = 5


def test_paint_track_correct_download(new_page, address, work, tmp_path):
    page = new_page()
    open_clip(page, address, work)
    truth = sorted((work / "truth").iterdir())
    page.locator("#known").set_input_files(truth)
    stroke(page, (50, 60), (60, 85))
    page.keyboard.press("2")
    stroke(page, (120, 20), (140, 20))
    track(page)
    expect(page.locator("#where")).to_contain_text(f"({FRAMES} of {FRAMES})")
    assert masks_seen(page) > 1, "masks are shown while they come"

    # Object 1 is painted anew where it is known to be; object 2 is removed from there on.
    go_to(page, CORRECTED)
    before = score(page)
    page.locator("#clear").click()
    page.keyboard.press("1")
    page.keyboard.press("p")
    rows, columns = np.nonzero(read_mask(truth[CORRECTED]) == 1)
    outline = [(columns.min(), rows.max()), (columns.min(), rows[columns == columns.min()].min())]
    top = columns[rows == rows.min()]
    outline += [(top.min(), rows.min()), (top.max(), rows.min()), (columns.max(), rows.max())]
    for point in outline:
        page.mouse.click(*at(page, *point))
    page.get_by_role("button", name="Close polygon").click()
    assert before < 0.5
    expect(page.locator("#score")).to_have_text(re.compile(r"J 1: 0\.[6-9]"))
    track(page)

    archive = download(page, "Masks (zip)")
    archive.extractall(tmp_path)
    names = [f"{index:05d}.png" for index in range(FRAMES)]
    painted = ["painted/00000.png", f"painted/{CORRECTED:05d}.png"]
    assert sorted(archive.namelist()) == [*names, "command.txt", *painted]
    words = archive.read("command.txt").decode().split()
    assert words == page.locator("#command").inner_text().split()
    assert words[:2] == ["ranet", "segment"] and f"2@{CORRECTED:05d}" in words
    paths = {"clip.mp4": work / "clip.mp4", "painted": tmp_path / "painted", "out": tmp_path / "o"}
    assert cli.main([str(paths.get(word, word)) for word in words[1:]]) == 0
    for name in names:
        assert (tmp_path / "o" / name).read_bytes() == archive.read(name), name
    shown = [set(np.unique(read_mask(tmp_path / name)).tolist()) for name in names]
    assert 2 in shown[0] and all(2 not in ids for ids in shown[CORRECTED:])
    assert np.array_equal(
        read_mask(tmp_path / names[CORRECTED]) > 0, read_mask(tmp_path / painted[1]) > 0
    )

    cutouts = download(page, "Cut-outs (zip)")
    with Image.open(io.BytesIO(cutouts.read(names[3]))) as image:
        alpha = np.asarray(image)[..., 3]
    np.testing.assert_array_equal(alpha > 0, read_mask(tmp_path / names[3]) > 0)


def test_pause_go_back_and_undo(new_page, address, work):
    """What is painted back to what was there is no edit, and tracking goes on to the same end."""
    page = new_page()
    open_clip(page, address, work)
    stroke(page, (50, 60), (60, 85))
    track(page)
    first = page.evaluate("fetch(document.querySelector('[data-file]').href).then(r => r.ok)")
    assert first
    go_to(page, 3)
    stroke(page, (10, 10), (30, 10))
    expect(page.locator("#command")).to_be_visible()
    page.keyboard.press("Control+z")
    track(page)
    archive = download(page, "Masks (zip)")
    assert [name for name in archive.namelist() if "painted" in name] == ["painted/00000.png"]


def sessions(storage) -> set[str]:
    return {path.name for path in storage.glob("ranet-web-*")}


def test_two_tabs_do_not_mix_and_a_closed_one_leaves_nothing(new_page, address, work, storage):
    before = sessions(storage)
    one, other = new_page(), new_page()
    open_clip(one, address, work)
    open_clip(other, address, work)
    stroke(one, (50, 60), (60, 85))
    stroke(other, (120, 20), (140, 30))
    one.locator("#track").click()
    other.locator("#track").click()
    for page in (one, other):
        expect(status(page)).to_contain_text("Done")
    masks = [download(page, "Masks (zip)").read("painted/00000.png") for page in (one, other)]
    assert masks[0] != masks[1]
    # Half-way: the session ends with its tab, and the next one finds the device free.
    frame = one.evaluate("document.querySelector('[data-file]').href")
    assert one.request.get(frame).ok
    stroke(one, (90, 60), (95, 85))
    one.locator("#track").click()
    one.close()
    stroke(other, (90, 60), (95, 85))
    track(other)
    while len(sessions(storage) - before) > 1:
        other.wait_for_timeout(50)
    answer = other.request.get(frame)
    assert answer.status == 400 and "session has ended" in answer.json()["error"]


def test_the_camera_is_followed(new_page, address):
    page = new_page(permissions=["camera"])
    page.goto(address)
    page.get_by_role("button", name="Camera").click()
    expect(page.locator("#where")).to_have_text("00000 (1 of 1)")
    page.mouse.move(*at(page, 40, 40))
    page.mouse.down()
    page.mouse.move(*at(page, 60, 60), steps=3)
    page.mouse.up()
    page.locator("#track").click()
    expect(page.locator("#where")).to_contain_text(re.compile(r"\((\d\d|[4-9]) of"))
    page.get_by_role("button", name="Stop camera").click()
    expect(status(page)).to_contain_text("Done")
    names = download(page, "Masks (zip)").namelist()
    count = len([name for name in names if name.startswith("frames/")])
    assert count >= 4
    expect(page.locator("#frame")).to_have_attribute("max", str(count - 1))


def test_by_the_keyboard_alone(new_page, address):
    page = new_page()
    page.goto(address)
    example = page.get_by_role("button", name="Example")
    expect(example).to_be_enabled()
    for _ in range(5):
        page.keyboard.press("Tab")
    expect(example).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#canvas")).to_be_focused()
    for key in ("3", "Enter", "ArrowDown", "ArrowDown", "ArrowRight", "Enter", "ArrowRight"):
        page.keyboard.press(key)
    page.keyboard.press("Space")
    expect(status(page)).to_contain_text("Done")
    expect(page.locator("#where")).to_contain_text("(24 of 24)")  # the key acts on what is shown
    page.keyboard.press(",")
    expect(page.locator("#where")).to_contain_text("(23 of 24)")
    painted = download(page, "Masks (zip)").read("painted/00000.png")
    with Image.open(io.BytesIO(painted)) as image:
        assert set(np.unique(np.asarray(image))) == {0, 3}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_it_fits_a_screen_and_can_be_read(new_page, address, scheme, width, height):
    page = new_page(width, height, color_scheme=scheme)
    page.goto(address)
    page.get_by_role("button", name="Example").click()
    expect(page.locator("#canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.locator("#canvas").bounding_box()
    assert shown["y"] + shown["height"] < height and shown["width"] > 0.5 * min(width, 700)
    for name in ("button", "radio", "slider"):
        for control in page.get_by_role(name).all():
            assert control.evaluate("x => x.ariaLabel || x.labels?.length || x.textContent.trim()")
    for selector in ("body", "#status", ".hint", "#track", "legend"):
        assert contrast(page, selector) >= 4.5, selector
