"""The reference numbers: regenerated inputs and weights, and a fair comparison with what is stored.

Layout and meaning of every array are defined by the README beside them.
"""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

SIZE = (480, 864)

# Lines for the end of the test run: what was compared, the largest difference, the bound.
figures: list[str] = []


class Oracle:
    """The fixtures in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.spec = json.loads((folder / "case.json").read_text())
        self.inputs = self._module("inputs")
        self._weights = self._module("weights")

    def state_dict(self) -> dict[str, np.ndarray]:
        """All parameters of the published network, regenerated."""
        seed = self.spec["weights_seed"]
        shapes = json.loads((self.folder / "params.json").read_text())
        return {name: self._weights.fill(name, tuple(shape), seed) for name, shape in shapes}

    def fill(self, name: str, shape: Sequence[int]) -> np.ndarray:
        return self._weights.fill(name, tuple(shape), self.spec["weights_seed"])

    def stored(self, name: str) -> tuple[dict[str, np.ndarray], dict]:
        """Arrays of `NAME.npz` and what `NAME.json` says of them."""
        with np.load(self.folder / f"{name}.npz") as arrays:
            return dict(arrays), self.notes(name)

    def notes(self, name: str) -> dict:
        """`NAME.json`, empty where there is none."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def scene(self, scene: dict) -> tuple[np.ndarray, np.ndarray]:
        """Frames, uint8 [t, H, W, 3], and label maps, uint8 [t, H, W]."""
        names = ("seed", "T", "H", "W", "objects")
        return self.inputs.scene(*(scene[name] for name in names))

    def forward_inputs(self, case: str) -> dict[str, np.ndarray]:
        """Frames in [0, 1] and label maps of a forward case, each [b, ...]."""
        spec = self.spec["cases"][case]
        scenes = [self.scene(scene) for scene in spec["scenes"]]

        def pick(which: int, role: str) -> np.ndarray:
            return np.stack([scene[which][spec[role]] for scene in scenes])

        return {
            "template_frame": pick(0, "template").astype(np.float32) / 255,
            "frame": pick(0, "current").astype(np.float32) / 255,
            "template_labels": pick(1, "template"),
            "previous_labels": pick(1, "previous"),
        }

    def _module(self, name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"oracle_{name}", self.folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def bound(fp32_vs_fp64: Sequence[float]) -> float:
    """Five times what single precision costs the same computation, but at most 1e-3 of its size."""
    largest, _, magnitude = fp32_vs_fp64
    return min(5 * largest, 1e-3 * magnitude)


def compare(name: str, ours, stored: np.ndarray, limit: float) -> None:
    """Asserts that no value is off by more than `limit`, and notes the figure for the report.

    Where the stored type is float16, half a unit in its last place is allowed on top.
    """
    ours, wide = np.asarray(ours, np.float64), stored.astype(np.float64)
    assert ours.shape == wide.shape, (name, ours.shape, wide.shape)
    storage = np.abs(wide) * 2.0**-11 + 2.0**-25 if stored.dtype == np.float16 else 0
    excess = np.abs(ours - wide) - storage
    figures.append(f"{name:40s} {max(excess.max(), 0):.2e}   bound {limit:.2e}")
    assert excess.max() <= limit, (name, excess.max(), limit)


def compare_statistics(name: str, ours, stored: np.ndarray, limit: float) -> None:
    """Mean, deviation, extremes and sum of the full array against the stored five."""
    x = np.asarray(ours, np.float64)
    statistics = np.array([x.mean(), x.std(), x.min(), x.max(), x.sum() / x.size])
    expected = np.append(stored[:4], stored[4] / x.size)
    difference = np.abs(statistics - expected).max()
    assert difference <= limit, (name, difference, limit)


def thin(x: np.ndarray, *strides: int) -> np.ndarray:
    """Every n-th position along the last axes."""
    return x[(..., *(slice(None, None, s) for s in strides))]
