import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.notebook.mask_widget import MaskWidget

CORNERS = [(10, 5), (30, 5), (30, 25), (10, 25)]


@pytest.fixture
def widget():
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[:, 30:] = 200
    return MaskWidget(frame)


def test_the_browser_gets_the_frame(widget):
    kind, _, data = widget.image.partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (60, 40) == (widget.width, widget.height)
        shown = np.asarray(image)
    assert shown[20, 10].max() < 40 and shown[20, 50].min() > 160


def test_clicks_come_from_the_browser_and_outlines_go_back(widget):
    for x, y in CORNERS:
        widget._handle_custom_msg({"action": "click", "x": x, "y": y}, [])
    assert widget.outlined
    (outline,) = widget.get_state("drawn")["drawn"]
    assert (outline["label"], outline["closed"]) == (1, False)
    assert [tuple(point) for point in outline["points"]] == CORNERS
    widget._handle_custom_msg({"action": "next_object"}, [])
    assert "object 2" in widget.status
    widget._handle_custom_msg({"action": "undo"}, [])
    assert "object 1" in widget.status
    assert np.count_nonzero(widget.mask() == 1) == 400
    widget._handle_custom_msg({"action": "clear"}, [])
    assert widget.drawn == [] and not widget.outlined


def test_a_mistake_is_told_beneath_the_frame(widget):
    widget.act("click", 5, 5)
    widget.act("close")
    assert "takes 3 points" in widget.status
    assert len(widget.drawn[0]["points"]) == 1
    widget.act("click", 15, 5)
    assert "object 1" in widget.status, "the next click takes the message away"


def test_every_object_has_a_color_of_its_own(widget):
    for _ in range(16):
        for corner in CORNERS:
            widget.act("click", *corner)
        widget.act("next_object")
    colors = [outline["color"] for outline in widget.drawn]
    assert len(set(colors)) == len(colors) == 16


def test_only_frames_are_taken():
    with pytest.raises(InputError, match="uint8"):
        MaskWidget(np.zeros((40, 60, 3), np.float32))


def test_without_anywidget_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "ranet_jax.notebook.mask_widget")
    with pytest.raises(ImportError, match=r"ranet-jax\[colab\]"):
        import ranet_jax.notebook.mask_widget  # noqa: F401
