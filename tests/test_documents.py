"""What documents say of the repository is so."""

import configparser
import re
import runpy
import shutil
from pathlib import Path

import pytest

import ranet_jax

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = runpy.run_path(str(ROOT / "docs" / "set_address.py"))
_OURS = re.compile(r"(?:github\.com|colab\.research\.google\.com/github)/([\w.-]+/ranet-jax)\b")


def documents():
    return sorted(path for place in ADDRESS["PLACES"] for path in ROOT.glob(place))


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_the_address_of_the_repository_is_the_one_in_setup_cfg(path):
    found = set(_OURS.findall(path.read_text(encoding="utf-8")))
    assert found <= {ADDRESS["current"](ROOT)}


def test_the_address_is_replaced_everywhere(tmp_path):
    for path in documents():
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    before = ADDRESS["current"](tmp_path)
    changed = ADDRESS["replace"]("some-one/ranet", tmp_path)
    assert ADDRESS["current"](tmp_path) == "some-one/ranet"
    assert tmp_path / "README.md" in changed and tmp_path / "setup.cfg" in changed
    for path in documents():
        assert before not in (tmp_path / path.relative_to(ROOT)).read_text(encoding="utf-8")


def test_the_tests_that_the_security_notes_name_exist():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    pairs = re.findall(r"`(test_\w+\.py)`: ((?:`test_\w+`(?:, )?)+)", text)
    assert pairs
    for file, names in pairs:
        (path,) = (ROOT / "tests").rglob(file)
        for name in re.findall(r"`(test_\w+)`", names):
            assert f"def {name}(" in path.read_text(encoding="utf-8"), (file, name)
    for file in re.findall(r"`(test_\w+\.py)`", text):
        assert list((ROOT / "tests").rglob(file)), file


def test_the_version_is_one():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {ranet_jax.__version__}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {ranet_jax.__version__}\n" in changes


def test_every_extra_that_a_document_names_exists():
    settings = configparser.RawConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    known = set(settings["options.extras_require"])
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for extras in re.findall(r"ranet-jax\[([\w,-]+)\]", text):
            assert set(extras.split(",")) <= known, (path.name, extras)


def test_the_files_that_the_architecture_names_exist():
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    there = {path.as_posix() for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    named = set(re.findall(r"[\w/]+\.py", text))
    assert len(named) > 20
    missing = [name for name in named if not any(path.endswith(f"/{name}") for path in there)]
    assert missing == ["data_pipelines/builders/NAME/builder.py"]
