"""Executes the notebooks with their own settings and keeps what they print and show.

python colabs/execute.py [segment_video train ablations convert]

Needs what `pip install '.[test]'` installs. A notebook is executed in an empty folder that has the
configs where a clone has them, so that nothing of this machine gets into its outputs.
"""

import argparse
import copy
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from ranet_jax.errors import InputError
from ranet_jax.io.atomic import replacing

COLABS = Path(__file__).resolve().parent
NAMES = ("segment_video", "train", "ablations", "convert")


def execute(
    name: str, folder: Path, settings: Mapping[str, Any] | None = None, *, timeout: float = 3600
) -> nbformat.NotebookNode:
    """Executes a notebook; the files it writes are in `folder / "colabs"` afterwards.

    Args:
        name: one of `NAMES`.
        folder: an empty one, that takes the place of a clone.
        settings: values for names that the notebook's settings have.
        timeout: for one cell, in seconds.

    Returns:
        The notebook with its outputs.

    Raises:
        InputError: the notebook has no such setting.
        nbclient.exceptions.CellExecutionError: a cell failed; the message has its traceback.
    """
    notebook = nbformat.read(COLABS / f"{name}.ipynb", as_version=4)
    _set(notebook, settings or {})
    shutil.copytree(COLABS.parent / "configs", folder / "configs")
    (folder / "colabs").mkdir()
    return nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(folder / "colabs")}},
        coalesce_streams=True,  # of a progress bar its last state alone
        store_widget_state=False,
        record_timing=False,
    ).execute()


def _set(notebook: nbformat.NotebookNode, settings: Mapping[str, Any]) -> None:
    """Puts a cell behind the settings that changes some of them."""
    places = [i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", ())]
    own = {}
    exec(notebook.cells[places[0]].source, own)
    if unknown := sorted(set(settings) - set(own)):
        raise InputError(f"The notebook has no setting {', '.join(unknown)}.")
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    if lines:
        notebook.cells.insert(places[0] + 1, nbformat.v4.new_code_cell("\n".join(lines)))


def _write(name: str, executed: nbformat.NotebookNode) -> None:
    executed = copy.deepcopy(executed)
    for cell in executed.cells:
        cell.metadata.pop("execution", None)
    executed.metadata.language_info = {"name": "python"}
    with replacing(COLABS / f"{name}.ipynb") as temporary:
        nbformat.write(executed, temporary)


def main() -> None:
    """Executes the notebooks that are asked for, or all."""
    parser = argparse.ArgumentParser(description="Execute notebooks and keep their outputs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"there is no notebook {unknown[0]}: choose from {', '.join(NAMES)}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            _write(name, execute(name, Path(folder)))
        print(f"colabs/{name}.ipynb", flush=True)


if __name__ == "__main__":
    main()
