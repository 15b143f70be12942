"""A widget for notebooks: outline objects on a frame by clicking (Jupyter, Colab, VS Code).

What a click or a button means is for `outlines.py` to say; the browser only draws and reports.
"""

import base64
import io
from pathlib import Path

from PIL import Image

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.inference.object_ids import check_frame
from ranet_jax.io.palette import id_palette
from ranet_jax.notebook.outlines import Outlines

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError(
        "Outlining objects in a notebook needs anywidget: pip install 'ranet-jax[colab]'."
    ) from error

_HINT = "Click around object {}; a click on the first point closes the outline."


class MaskWidget(anywidget.AnyWidget):
    """Shows a frame to outline objects on; `mask()` is what they enclose.

    widget = MaskWidget(frame)
    widget            # as the last line of a cell; click, then in another cell:
    mask = widget.mask()
    """

    _esm = Path(__file__).parent / "mask_widget.js"

    image = traitlets.Unicode().tag(sync=True)  # a data URL
    height = traitlets.Int().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    drawn = traitlets.List().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)

    def __init__(self, frame: HostFrame):
        """Nothing is outlined yet.

        Args:
            frame: uint8 [height, width, 3].

        Raises:
            InputError: it is something else.
        """
        check_frame(frame)
        height, width = frame.shape[:2]
        self._outlines = Outlines(height, width)
        super().__init__(image=_data_url(frame), height=height, width=width, status=_HINT.format(1))
        self.on_msg(self._receive)

    @property
    def outlined(self) -> bool:
        """Whether there is any outline."""
        return bool(self._outlines.drawn)

    def mask(self) -> HostMask:
        """The ids that the outlines enclose, int32 [height, width].

        Raises:
            InputError: as `Outlines.mask` does.
        """
        return self._outlines.mask()

    def act(self, action: str, x: float = 0, y: float = 0) -> None:
        """What a click or a button does; a mistake is told in `status`.

        Args:
            action: `click`, `close`, `next_object`, `undo` or `clear`.
            x: of a click, in pixels of the frame.
            y: of a click.
        """
        try:
            if action == "click":
                self._outlines.click(x, y)
            elif action in ("close", "next_object", "undo", "clear"):
                getattr(self._outlines, action)()
        except InputError as error:
            self.status = str(error)
            return
        self.status = _HINT.format(self._outlines.label)
        self.drawn = [
            {**outline._asdict(), "color": _color(outline.label)}
            for outline in self._outlines.drawn
        ]

    def _receive(self, widget: object, content: dict, buffers: object) -> None:
        self.act(**content)


def _data_url(frame: HostFrame) -> str:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, format="JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _color(label: int) -> str:
    """The color of an id over a frame, as CSS."""
    return "rgb({}, {}, {})".format(*id_palette()[label])
