"""Bad inputs of every kind: see `judge.py` for what a case is, and `cases_*.py` for the cases."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from faults import world
from faults.judge import Case, judge

from ranet_jax.inference.object_ids import check_size

FILES = sorted(Path(__file__).parent.glob("cases_*.py"))
CASES: list[Case] = [
    case for file in FILES for case in importlib.import_module(f"faults.{file.stem}").CASES
]


class StandIn:
    """Repeats the first mask, in place of a network that would have to be compiled."""

    def __init__(self, model, params, *, size=(480, 864), frame_scale=1, **settings):
        check_size(size, frame_scale)

    @classmethod
    def load(cls, *checkpoint, **settings):
        return cls(None, None)

    def init(self, frame, mask):
        self.labels = mask

    def step(self, frame):
        return [None if f is None else m for f, m in zip(frame, self.labels, strict=True)]

    def probability_maps(self, video=0):
        labels = self.labels[video]
        return {int(i): np.float32(labels == i) for i in np.unique(labels) if i}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fault(case, whole_world, tmp_path, capfd, monkeypatch):
    world.copy(whole_world, tmp_path, case.wants, filter(case.names, world.FOLDERS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANET_NO_CACHE", "1")
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    if not case.network:
        monkeypatch.setattr("ranet_jax.inference.segmenter.Segmenter", StandIn)
    judge(case, capfd)


def test_every_case_has_a_name_of_its_own():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
