"""`mask_widget.js` where it runs: in a browser, with a model that stands for the notebook's."""

from pathlib import Path

import numpy as np
import pytest

import ranet_jax
from ranet_jax.notebook.mask_widget import MaskWidget

SCRIPT = Path(ranet_jax.__file__).parent / "notebook" / "mask_widget.js"
PAGE = """
<body style="margin: 0"><div id="widget" style="width: 120px"></div>
<script type="module">
  import widget from "./mask_widget.js";
  const listeners = {};
  window.sent = [];
  window.model = {
    values: {},
    get(name) { return this.values[name]; },
    set(name, value) { this.values[name] = value; for (const f of listeners[name] ?? []) f(); },
    send(message) { window.sent.push(message); },
    on(event, f) { (listeners[event.split(":")[1]] ??= []).push(f); },
    off(event, f) {
      const name = event.split(":")[1];
      listeners[name] = listeners[name].filter((other) => other !== f);
    },
  };
  window.start = (state) => {
    Object.assign(window.model.values, state);
    window.end = widget.render({ model: window.model, el: document.getElementById("widget") });
  };
  window.ready = true;
</script></body>
"""


@pytest.fixture
def page(new_page):
    """A tab with the script; nothing is served but these two files."""
    page = new_page(400, 300)
    scripts = {"http://widget.test/": ("text/html", PAGE)}
    scripts["http://widget.test/mask_widget.js"] = ("text/javascript", SCRIPT.read_text())

    def answer(route):
        kind, body = scripts.get(route.request.url, ("text/plain", ""))
        route.fulfill(content_type=kind, body=body)

    page.route("**/*", answer)
    page.goto("http://widget.test/")
    page.wait_for_function("window.ready")
    return page


def pixel(page, x, y):
    read = "([x, y]) => [...document.querySelector('canvas').getContext('2d')"
    return page.evaluate(f"{read}.getImageData(x, y, 1, 1).data]", [x, y])


def state(widget) -> dict:
    names = ("image", "height", "width", "drawn", "status")
    return {name: widget.get_state(name)[name] for name in names}


def test_clicks_are_reported_in_pixels_of_the_frame(page):
    """The canvas is shown at half its size here."""
    page.evaluate("start", state(MaskWidget(np.full((80, 240, 3), 90, np.uint8))))
    assert page.locator("canvas").bounding_box()["width"] == 120
    page.locator("canvas").click(position={"x": 30, "y": 10})
    for name in ("Close outline", "Next object", "Undo", "Clear"):
        page.get_by_role("button", name=name).click()
    click, *others = page.evaluate("sent")
    assert click["action"] == "click" and (click["x"], click["y"]) == pytest.approx((60, 20), abs=1)
    actions = [{"action": action} for action in ("close", "next_object", "undo", "clear")]
    assert others == actions


def test_outlines_are_drawn_in_their_colors_over_the_frame(page):
    widget = MaskWidget(np.full((80, 120, 3), 90, np.uint8))
    page.evaluate("start", state(widget))
    page.wait_for_function(
        "document.querySelector('canvas').getContext('2d')"
        ".getImageData(60, 40, 1, 1).data[0] === 90"
    )
    for corner in ((20, 20), (100, 20), (100, 60), (20, 60)):
        widget.act("click", *corner)
    page.evaluate(
        "([drawn, status]) => { model.set('drawn', drawn); model.set('status', status) }",
        [state(widget)["drawn"], widget.status],
    )
    red, green, blue, _ = pixel(page, 60, 40)
    assert red > 130 and max(green, blue) < 70  # 0.35 of the color of id 1
    assert pixel(page, 60, 20)[0] > 220  # the outline itself
    assert pixel(page, 5, 5)[:3] == [90, 90, 90]
    assert page.get_by_text(widget.status).is_visible()


def test_a_widget_that_is_gone_listens_no_more(page):
    page.evaluate("start", state(MaskWidget(np.full((80, 120, 3), 90, np.uint8))))
    page.evaluate("() => { end(); model.set('status', 'too late') }")
    assert page.get_by_text("too late").count() == 0
