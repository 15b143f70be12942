"""The ways in which a clip comes to the page."""

import asyncio

import pytest
from page_clip import FRAMES

pytest.importorskip("playwright")
from page_actions import stroke, track  # noqa: E402
from playwright.sync_api import expect  # noqa: E402
from starlette.websockets import WebSocket  # noqa: E402


def drop(page, *paths) -> None:
    """As from the desktop: files or a folder."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


@pytest.mark.parametrize("content", ["a video", "its frames", "a folder"])
def test_files_are_dropped_on_the_page(new_page, address, work, content):
    page = new_page()
    page.goto(address)
    expect(page.get_by_role("button", name="Example")).to_be_enabled()
    frames = sorted((work / "frames").iterdir())
    paths = {"a video": [work / "clip.mp4"], "its frames": frames, "a folder": [work / "frames"]}
    drop(page, *paths[content])
    expect(page.locator("#where")).to_have_text(f"00000 (1 of {FRAMES})")


def test_a_folder_is_chosen(new_page, address, work):
    """What is no frame of a clip, in it, is left out."""
    (work / "frames" / "notes.txt").write_text("not a frame")
    page = new_page()
    page.goto(address)
    page.locator("#open-folder").set_input_files(work / "frames")
    expect(page.locator("#where")).to_have_text(f"00000 (1 of {FRAMES})")
    stroke(page, (50, 60), (60, 85))
    track(page)


def test_what_is_dropped_and_no_clip(new_page, address, tmp_path):
    (tmp_path / "notes.txt").write_text("not a frame")
    page = new_page()
    page.goto(address)
    expect(page.get_by_role("button", name="Example")).to_be_enabled()
    drop(page, tmp_path / "notes.txt")
    expect(page.locator("#error")).to_contain_text("notes.txt")
    assert "\n" not in page.locator("#error").inner_text()


@pytest.mark.parametrize("control", ["Example", "Open video"])
def test_a_choice_before_the_server_has_answered(new_page, address, work, monkeypatch, control):
    """It waits for the session that the server is slow to begin."""
    accept = WebSocket.accept

    async def accept_late(socket) -> None:
        await asyncio.sleep(1)
        await accept(socket)

    monkeypatch.setattr(WebSocket, "accept", accept_late)
    page = new_page()
    page.goto(address)
    if control == "Example":
        page.get_by_role("button", name=control).click()
    else:
        page.locator("#open-video").set_input_files(work / "clip.mp4")
    expect(page.locator("#where")).to_contain_text("00000 (1 of")
    expect(page.locator("#error")).to_be_hidden()
