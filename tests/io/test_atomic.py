import os
from pathlib import Path

import pytest

from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder, replacing, replacing_folder


def test_a_finished_file_takes_its_name_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_file_leaves_the_old_one_alone(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("ha")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("moment", ["as it is made", "as it is filled"])
def test_an_interrupted_folder_leaves_the_old_one_alone(tmp_path, monkeypatch, moment):
    mkdir = Path.mkdir

    def make_and_end(path, **options):
        mkdir(path, **options)
        if moment == "as it is made":
            raise SystemExit

    path = tmp_path / "a"
    path.mkdir()
    (path / "old").write_text("")
    monkeypatch.setattr(Path, "mkdir", make_and_end)
    with pytest.raises(SystemExit), replacing_folder(path) as temporary:
        (temporary / "new").write_text("")
        raise SystemExit
    assert os.listdir(tmp_path) == ["a"]
    assert os.listdir(path) == ["old"]


def test_an_output_folder_is_made_with_its_parents(tmp_path):
    made = make_output_folder(tmp_path / "a" / "b")
    assert made.is_dir()
    assert not os.listdir(made)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_of_the_output_folder_is_named(tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write to the output folder .*file"):
        make_output_folder(tmp_path / "file" / below)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Cannot write"):
        make_output_folder(tmp_path)
