"""What a page, or what is no page, may send: bad files, bad masks, bad messages."""

import re

import numpy as np
import pytest
from page_clip import HEIGHT, LIMIT, WIDTH

from ranet_jax.io.masks import write_mask

pytest.importorskip("playwright")
from page_actions import open_clip, png, stroke, track  # noqa: E402
from playwright.sync_api import expect  # noqa: E402

HEADER = bytes([1, 0, 0, 0, 0]) + bytes(8)


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
