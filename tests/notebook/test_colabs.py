"""The notebooks: what is kept of them is small and of a whole execution. Each has a file that
executes it."""

import ast
import json
import re

import nbformat
import pytest
from notebooks import COLABS, NAMES, check_outputs, code, execute, read, shown_text

from ranet_jax.cli import main as cli
from ranet_jax.errors import InputError

MACHINE_PATH = re.compile(
    r"(?<![\w.<])/(?:home|root|tmp|usr|var|opt|mnt|work|private|Users|content)/\S*"
)


def test_there_is_nothing_but_the_notebooks():
    assert sorted(path.stem for path in COLABS.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_small_and_of_a_whole_execution(name):
    path, notebook = COLABS / f"{name}.ipynb", read(name)
    nbformat.validate(notebook)
    assert path.stat().st_size < 500_000
    assert notebook.metadata.kernelspec.name == "python3"
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    check_outputs(notebook)


def test_paths_of_a_machine_are_told_from_others():
    assert MACHINE_PATH.findall("'/tmp/a/b' \"/home/me/c\"") == ["/tmp/a/b'", '/home/me/c"']
    assert not MACHINE_PATH.findall("runs/tmp/a ../tmp/b </var/> segmented/00000.png")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_machine_is_kept(name):
    notebook = read(name)
    assert not MACHINE_PATH.findall(shown_text(notebook))
    assert "widgets" not in notebook.metadata
    assert not [cell for cell in code(notebook) if "execution" in cell.metadata]


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_one_cell_of_plain_values(name):
    cells = [cell for cell in code(read(name)) if "parameters" in cell.metadata.get("tags", ())]
    assert len(cells) == 1
    values = {}
    exec(cells[0].source, values)
    del values["__builtins__"]
    assert values and all(setting.isupper() for setting in values)
    json.dumps(values)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_that_does_not_exist_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="no setting NONSENSE"):
        execute(name, tmp_path, {"NONSENSE": 1})


@pytest.mark.parametrize("name", NAMES)
def test_what_a_notebook_imports_of_the_package_exists(name):
    trees = [ast.parse(re.sub(r"(?m)^( *)[%!].*", r"\1pass", c.source)) for c in code(read(name))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module.startswith("ranet_jax")]
    assert found
    for statement in found:
        for imported in statement.names:
            exec(f"from {statement.module} import {imported.name}", {})


def test_commands_in_the_text_exist(capsys):
    texts = [c.source for name in NAMES for c in read(name).cells if c.cell_type == "markdown"]
    commands = re.findall(r"(?:^ {4}|`)ranet (\w+)([^`\n]*)", "\n".join(texts), re.MULTILINE)
    assert {command for command, _ in commands} >= {"train", "segment", "convert", "evaluate"}
    for command, rest in commands:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
        options = set(re.findall(r"--[a-z][a-z-]*(?![a-z.-])", rest))
        assert options <= set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        for config in re.findall(r"configs/\S+\.py", rest):
            assert (COLABS.parent / config).is_file()
