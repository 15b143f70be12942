"""The page in a real browser, with a small network behind it: nothing is faked but the camera."""

import io
import re
import tempfile
import threading
import time

import numpy as np
import pytest
import uvicorn
from PIL import Image
from small_videos import make_video

from ranet_jax.checkpoints import checkpoint
from ranet_jax.cli import main as cli
from ranet_jax.demo.clip import render_clip
from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.io.masks import read_mask, write_mask
from ranet_jax.web.app import create_app
from ranet_jax.web.tabs import Settings

pytest.importorskip("playwright")
from page_actions import (  # noqa: E402
    FRAMES,
    HEIGHT,
    WIDTH,
    at,
    contrast,
    download,
    go_to,
    masks_seen,
    open_clip,
    png,
    score,
    status,
    stroke,
    track,
)
from playwright.sync_api import expect  # noqa: E402

expect.set_options(timeout=120_000)  # a program may have to be compiled first
SIZE = (HEIGHT, WIDTH)
CORRECTED = 5
LIMIT = 4 << 20
HEADER = bytes([1, 0, 0, 0, 0]) + bytes(8)


@pytest.fixture(scope="module")
def work(tmp_path_factory, small):
    """A rendered clip as a video, the masks of its frames, and a checkpoint."""
    folder = tmp_path_factory.mktemp("page")
    clip = render_clip(FRAMES, HEIGHT, WIDTH)
    make_video(folder / "clip.mp4", clip.frames)
    (folder / "truth").mkdir()
    for index, labels in enumerate(clip.labels):
        write_mask(folder / "truth" / f"{index:05d}.png", labels)
    checkpoint.save(folder / "checkpoint", *small(), trained=True)
    return folder


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Where the sessions' temporary folders are made."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("storage")
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def address(work, browser, storage):
    """Of the page; the server runs in a thread of this process."""
    network = checkpoint.load(work / "checkpoint", precision="float32")
    words = ("--checkpoint", str(work / "checkpoint"), "--size", f"{HEIGHT}x{WIDTH}")
    settings = Settings(lambda: Segmenter(*network, size=SIZE), None, "token", LIMIT, words, SIZE)
    config = uvicorn.Config(create_app(settings), port=0, ws="websockets-sansio", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/token/"
    server.should_exit = True
    thread.join()


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
    count = int(page.locator("#frame").get_attribute("max")) + 1
    names = download(page, "Masks (zip)").namelist()
    assert len([name for name in names if name.startswith("frames/")]) == count >= 4


def test_by_the_keyboard_alone(new_page, address):
    page = new_page()
    page.goto(address)
    for _ in range(5):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Example")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#canvas")).to_be_focused()
    for key in ("3", "Enter", "ArrowDown", "ArrowDown", "ArrowRight", "Enter", "ArrowRight"):
        page.keyboard.press(key)
    page.keyboard.press("Space")
    expect(status(page)).to_contain_text("Done")
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


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("notes.mp4", b"no video", r"^notes\.mp4 cannot be opened as a video"),
        ("large.mp4", bytes(LIMIT + 1), "more than the 4 MB that this page takes"),
        ("empty.mp4", b"", r"^empty\.mp4 "),
    ],
)
def test_uploads_that_cannot_be(new_page, address, name, content, sentence):
    page = new_page()
    page.goto(address)
    file = {"name": name, "mimeType": "video/mp4", "buffer": content}
    page.locator("#open-video").set_input_files(file)
    expect(page.locator("#error")).to_have_text(re.compile(sentence))
    assert "\n" not in page.locator("#error").inner_text()


def test_masks_and_messages_that_cannot_be(new_page, address, work, tmp_path):
    """From a page that is not ours, too; it goes on working."""
    page = new_page()
    open_clip(page, address, work)
    error = page.locator("#error")
    page.locator("#track").click()
    expect(error).to_contain_text("Nothing is painted yet")
    write_mask(tmp_path / "00000.png", np.ones((HEIGHT + 1, WIDTH), np.int32))
    page.locator("#known").set_input_files(tmp_path / "00000.png")
    expect(error).to_contain_text(f"is {WIDTH}x{HEIGHT + 1} pixels")
    (tmp_path / "elsewhere.png").write_bytes(b"")
    page.locator("#known").set_input_files(tmp_path / "elsewhere.png")
    expect(error).to_contain_text("is named as no frame: they are 00000 to 00007")
    stroke(page, (50, 60), (60, 85))
    track(page)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("hello", "not known here"),
        ('{"action": "burn"}', "not known here"),
        ("[]", "not known here"),
        (b"\x01\x02", "not known here"),
        (b"\x09" + bytes(20), "not known here"),
        ('{"action": "track"}', "no clip yet"),
        (HEADER + png(9, 9), "no clip yet"),
    ],
)
def test_messages_that_no_page_sends(address, message, sentence):
    from websockets.sync.client import connect

    with connect(address.replace("http", "ws") + "socket") as socket:
        socket.recv()
        socket.send(message)
        told = socket.recv()
    assert '"type": "error"' in told and sentence in told


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (HEADER + png(HEIGHT, WIDTH - 1), "is 159x96 pixels and the frame is 160x96"),
        (HEADER + b"no image", "cannot be read"),
        (bytes([1, 99, 0, 0, 0]) + bytes(8) + png(HEIGHT, WIDTH), "no frame 99"),
    ],
)
def test_painted_masks_that_no_page_sends(address, message, sentence):
    from websockets.sync.client import connect

    with connect(address.replace("http", "ws") + "socket") as socket:
        socket.recv()
        socket.send('{"action": "example"}')
        while '"type": "clip"' not in socket.recv():
            pass
        socket.send(message)
        told = socket.recv()
    assert '"type": "error"' in told and sentence in told


def test_without_the_token_there_is_nothing(browser, address):
    request = browser.new_context().request
    for path in ("", "other/", "other/main.js"):
        answer = request.get(address.replace("token/", path))
        assert answer.status == 404 and "open the link" in answer.json()["error"]
