"""What a person does on the page, and reads there."""

import io
import re
import zipfile

import numpy as np
from page_clip import FRAMES, HEIGHT, WIDTH
from PIL import Image
from playwright.sync_api import Page, expect

expect.set_options(timeout=120_000)  # a program may have to be compiled first


def status(page: Page):
    return page.locator("#status")


def open_clip(page: Page, address: str, work) -> None:
    page.goto(address)
    page.locator("#open-video").set_input_files(work / "clip.mp4")
    expect(page.locator("#where")).to_have_text(f"00000 (1 of {FRAMES})")


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place of the frame, in pixels of the clip, on the screen."""
    box = page.locator("#canvas").bounding_box()
    return box["x"] + x * box["width"] / WIDTH, box["y"] + y * box["height"] / HEIGHT


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """With the mouse."""
    page.mouse.move(*at(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*at(page, *point), steps=4)
    page.mouse.up()


def track(page: Page, end: str = "Done") -> None:
    page.locator("#track").click()
    expect(status(page)).to_contain_text(end)


def go_to(page: Page, frame: int) -> None:
    page.locator("#frame").fill(str(frame))
    expect(page.locator("#where")).to_contain_text(f"({frame + 1} of")


def score(page: Page) -> float:
    text = page.locator("#score")
    expect(text).to_contain_text("1: ")
    return float(re.search(r"1: ([\d.]+)", text.inner_text())[1])


def download(page: Page, label: str) -> zipfile.ZipFile:
    with page.expect_download() as started:
        page.get_by_role("link", name=label).click()
    return zipfile.ZipFile(started.value.path())


def masks_seen(page: Page) -> int:
    return page.evaluate("performance.getEntriesByName('mask to pixels').length")


def contrast(page: Page, selector: str) -> float:
    """Between the text of an element and what is behind it (WCAG 2)."""
    colors = page.locator(selector).first.evaluate(
        """x => {
          const text = getComputedStyle(x).color;
          while (getComputedStyle(x).backgroundColor === "rgba(0, 0, 0, 0)") x = x.parentElement;
          return [text, getComputedStyle(x).backgroundColor];
        }"""
    )
    light = []
    for color in colors:
        rgb = np.array([int(value) for value in re.findall(r"\d+", color)[:3]]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        light.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(light) + 0.05) / (min(light) + 0.05)


def png(height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ones((height, width), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
