"""The page on a disk that is full, and has room again."""

import tempfile

import pytest
from fixtures.small_disk import mounted
from page_clip import FRAMES

pytest.importorskip("playwright")
from page_actions import download, open_clip, stroke, track  # noqa: E402
from playwright.sync_api import expect  # noqa: E402

FULL = "No space left on device"


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Of the sessions, a disk of 2 MB."""
    place = tmp_path_factory.mktemp("storage") / "disk"
    with mounted(place, 2048) as disk, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(disk))
        yield disk


def test_a_full_disk_is_told_and_the_page_goes_on(new_page, address, work, storage):
    page = new_page()
    page.goto(address)
    page.locator("#open-video").set_input_files(
        {"name": "large.mp4", "mimeType": "video/mp4", "buffer": bytes(3 << 20)}
    )
    expect(page.locator("#error")).to_contain_text(FULL)
    open_clip(page, address, work)
    stroke(page, (50, 60), (60, 85))
    ballast = storage / "ballast"
    with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    page.locator("#track").click()
    expect(page.locator("#error")).to_contain_text(FULL)
    ballast.unlink()
    track(page)
    masks = [name for name in download(page, "Masks (zip)").namelist() if name[0].isdecimal()]
    assert len(masks) == FRAMES
