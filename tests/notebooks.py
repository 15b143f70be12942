"""The notebooks: how tests execute them and look at what they show."""

import itertools
import re
import runpy
from pathlib import Path

import nbformat

COLABS = Path(__file__).resolve().parents[1] / "colabs"
PROGRAM = runpy.run_path(str(COLABS / "execute.py"))
NAMES, execute = PROGRAM["NAMES"], PROGRAM["execute"]
SMALL = {"frames": 4, "height": 60, "width": 108}
PROGRESS = re.compile(r"\d+%\|")


def read(name):
    return nbformat.read(COLABS / f"{name}.ipynb", as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown_text(notebook):
    """What a notebook prints and shows, without images."""
    texts = []
    for output in itertools.chain.from_iterable(cell.outputs for cell in code(notebook)):
        data = output.get("data", {})
        texts += [
            output.get("text", ""),
            *map(str, (v for k, v in data.items() if "image" not in k)),
        ]
    return re.sub(r"data:[^\"']+", "", "\n".join(texts))


def check_outputs(notebook):
    """No errors, and nothing on the error stream but progress."""
    outputs = list(itertools.chain.from_iterable(cell.outputs for cell in code(notebook)))
    assert not [output for output in outputs if output.output_type == "error"]
    for output in outputs:
        if output.get("name") == "stderr":
            lines = [line for line in re.split(r"[\r\n]", output.text) if line.strip()]
            assert all(map(PROGRESS.search, lines)), lines
    assert "Warning" not in shown_text(notebook)
