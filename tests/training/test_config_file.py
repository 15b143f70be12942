import sys

import pytest
from ml_collections import ConfigDict

from ranet_jax.errors import InputError
from ranet_jax.training.config_file import read

BASE = """
from ml_collections import ConfigDict

def get_config():
    data = {"sets": (("ecssd", 1.0),), "exclude": (), "height": 480}
    return ConfigDict({"steps": 3, "rate": 0.1, "flag": True, "name": "base", "data": data})
"""
CONFIG = """
import base

VARIANTS = ("one", "two")

def get_config(variant="one"):
    config = base.get_config()
    config.name = variant
    return config
"""


@pytest.fixture
def configs(tmp_path):
    """A folder with a config, and one beside it that the config imports."""
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "config.py").write_text(CONFIG)
    return tmp_path


def test_a_config_of_the_package_is_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read("davis2016").name == "davis2016"
    assert read("ablation:no_ranking").name == "ablation_no_ranking"
    with pytest.raises(
        InputError, match="There is no config file davis2018: did you mean davis201"
    ):
        read("davis2018")


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("steps=5", "steps", 5),
        ("rate=1", "rate", 1.0),
        ("rate=1e-5", "rate", 1e-5),
        ("flag=false", "flag", False),
        ("name=12", "name", "12"),
        ("name=", "name", ""),
        ("name=a=b", "name", "a=b"),
        ("name=--config.steps=4", "name", "--config.steps=4"),
        ("data.height=64", "data.height", 64),
        ("data.exclude=dog-agility", "data.exclude", ("dog-agility",)),
        ("data.exclude=('a','b')", "data.exclude", ("a", "b")),
        ("data.sets=(('a',2.0),('b',1))", "data.sets", (("a", 2.0), ("b", 1))),
    ],
)
def test_overrides_have_the_type_of_the_config(configs, override, key, value):
    config = read(configs / "config.py", [f"--config.{override}"])
    for part in key.split("."):
        config = config[part]
    assert config == value and type(config) is type(value)


def test_the_last_override_wins_and_others_stay(configs):
    first = ["--config.steps=5", "--config.rate=2", "--config.data.exclude=('a',)"]
    config = read(
        configs / "config.py", [*first, "--config.steps=6", "--config.data.exclude=('b',)"]
    )
    assert (config.steps, config.rate, config.name) == (6, 2.0, "one")
    assert config.data.exclude == ("b",)
    with pytest.raises(AttributeError):
        config.stps = 7


def test_a_variant_is_handed_over(configs):
    assert read(f"{configs}/config.py:two").name == "two"
    assert read(f"{configs}/config.py").name == "one"


def test_a_folder_may_have_a_colon_in_its_name(configs):
    folder = configs / "a:b"
    folder.mkdir()
    for name in ("base.py", "config.py"):
        (configs / name).rename(folder / name)
    assert read(f"{folder}/config.py").name == "one"
    assert read(f"{folder}/config.py:two").name == "two"


def test_neighbours_of_two_folders_are_not_mixed_up(configs, tmp_path):
    before = list(sys.path), set(sys.modules)
    other = tmp_path / "other"
    other.mkdir()
    (other / "base.py").write_text(BASE.replace('"steps": 3', '"steps": 33'))
    (other / "config.py").write_text(CONFIG)
    assert [read(folder / "config.py").steps for folder in (configs, other, configs)] == [3, 33, 3]
    assert before[0] == sys.path and "base" not in set(sys.modules) - before[1]


def test_a_config_may_return_a_plain_dict(tmp_path):
    (tmp_path / "config.py").write_text("def get_config():\n    return {'data': {'height': 64}}\n")
    config = read(tmp_path / "config.py", ["--config.data.height=96"])
    assert isinstance(config, ConfigDict) and config.data.height == 96


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no function get_config"),
        ("def get_config():\n    return 3", "returns int: it has to return a ConfigDict"),
        ("def get_config(", "stops in line 1 with SyntaxError: "),
        ("import nowhere", "stops in line 1 with ModuleNotFoundError: No module named 'nowhere'"),
        (
            "import base\ndef get_config():\n    c = base.get_config()\n    c.steps = 'x'",
            "stops in line 4 with TypeError: ",
        ),
        ("def get_config(variant):\n    return {}", "needs a variant, as .*:VARIANT"),
        ("VARIANTS = 'ab'\ndef get_config(v):\n    return {}", "needs a variant.*: a, b"),
    ],
)
def test_configs_that_are_none(configs, text, message):
    (configs / "bad.py").write_text(text + "\n")
    with pytest.raises(InputError, match=message):
        read(configs / "bad.py")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("confgi.py", r"There is no config file .*confgi\.py: did you mean .*config\.py"),
        ("config", r"did you mean .*config\.py"),
        ("none/config.py", "check the path"),
        ("config.py:tow", "has no variant 'tow': did you mean two?"),
        ("config.py:", "has no variant '': choose from one, two"),
        ("base.py:one", "has no variants: leave out :one"),
    ],
)
def test_what_is_not_there_is_said(configs, config, message):
    with pytest.raises(InputError, match=message):
        read(f"{configs}/{config}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.stps=1", "no setting 'stps': did you mean steps?"),
        ("--config.height=1", "did you mean data.height?"),
        ("--config.quux=1", "choose from flag, name, rate, steps"),
        ("--config.data.hight=1", "did you mean data.height?"),
        ("--config.data.steps=1", "did you mean data.sets?"),
        ("--config.data.quux=1", "choose from data.exclude, data.height, data.sets"),
        ("--config.=1", "no setting ''"),
        ("--config.data=1", "data is a section of the config: override one of data.exclude"),
        ("--config.steps.x=1", "steps is a setting of the config, not a section"),
        ("--config.steps=ten", "steps=ten does not fit: steps is a whole number, such as 3"),
        ("--config.steps=1.5", "steps is a whole number"),
        ("--config.rate=fast", "rate is a number, such as 0.1"),
        ("--config.flag=maybe", "flag is true or false"),
        ("--config.data.exclude=a b", "data.exclude is a list such as"),
        ("--config.steps", "There is no option --config.steps: .* as --config.key=value"),
        ("--wrokdir=x", "There is no option --wrokdir=x"),
        ("stray", "There is no option stray"),
    ],
)
def test_overrides_that_do_not_fit_get_one_sentence(configs, override, message):
    with pytest.raises(InputError, match=message) as refusal:
        read(configs / "config.py", ["--config.name=fine", override])
    assert "\n" not in str(refusal.value)
