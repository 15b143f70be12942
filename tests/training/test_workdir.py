import json

import pytest

from ranet_jax.errors import InputError
from ranet_jax.training import workdir
from ranet_jax.training.workdir import reserve

CONFIG = {
    "steps": 10,
    "seed": 0,
    "model": {"depth": 50},
    "data": {"sets": (("ecssd", 1.0),), "workers": 0, "root": "data"},
    "log": {"every": 5},
}


def changed(**sections) -> dict:
    return CONFIG | {
        name: CONFIG[name] | value if isinstance(value, dict) else value
        for name, value in sections.items()
    }


def test_the_same_experiment_goes_on_and_may_be_longer(tmp_path):
    folder = reserve(tmp_path / "run", CONFIG)
    assert folder == tmp_path / "run"
    assert reserve(folder, CONFIG) == folder
    longer = changed(steps=20, log={"every": 1}, data={"workers": 3, "root": "elsewhere"})
    reserve(folder, longer)
    written = json.loads((folder / "config.json").read_text())
    assert written["steps"] == 20 and written["data"]["sets"] == [["ecssd", 1.0]]


def test_another_experiment_is_refused_with_what_differs(tmp_path):
    reserve(tmp_path, CONFIG)
    other = changed(steps=20, seed=1, model={"depth": 101}, data={"sets": (("hku_is", 1.0),)})
    with pytest.raises(InputError, match=r"another data\.sets, model\.depth, seed:"):
        reserve(tmp_path, other)
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 10
    with pytest.raises(InputError, match=r"another model\.width"):
        reserve(tmp_path, changed(model={"width": 8}))


def test_a_run_of_a_version_that_lacked_a_field_of_the_network_goes_on(tmp_path):
    reserve(tmp_path, CONFIG)
    reserve(tmp_path, changed(model={"max_gap": 0.0}))
    with pytest.raises(InputError, match=r"another model\.max_gap"):
        reserve(tmp_path, changed(model={"max_gap": 0.2}))


def test_a_folder_that_cannot_be_told_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json is damaged"):
        reserve(tmp_path, CONFIG)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write"):
        reserve(tmp_path / "file" / "run", CONFIG)


def test_two_processes_of_a_run_may_start_at_once(tmp_path, monkeypatch):
    """The one may look for the config just before the other writes it."""

    def read_too_early(path):
        monkeypatch.undo()
        reserve(tmp_path, CONFIG)

    monkeypatch.setattr(workdir, "read_json", read_too_early)
    assert reserve(tmp_path, CONFIG) == tmp_path
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 10
