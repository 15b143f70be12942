"""Settings that declare themselves: ranges, reading, and what is said of a mistake."""

import dataclasses

import pytest
from ml_collections import ConfigDict

from ranet_jax.errors import InputError
from ranet_jax.io.settings import Settings, choice, flag, names, number, text, whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner(Settings, section="inner"):
    size: int = whole(32, 96, "pixels", multiple_of=32)
    share: float = number(0, 1, "of all", below_high=True, default=0.5)
    kind: str = choice(("a", "b", 1), "of two")
    videos: tuple[str, ...] = names("to leave out")

    def check_together(self):
        if self.kind == "b" and self.share:
            raise InputError("inner.kind=b has no share.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    name: str = text("of all")
    fast: bool = flag("or not")
    inner: Inner


VALUES = {"size": 64, "share": 0.25, "kind": "a", "videos": ["x", "y"]}


def outer(**changes):
    return {"name": "n", "fast": True, "inner": VALUES | changes}


def test_mappings_become_dataclasses():
    read = Outer.read(ConfigDict(outer()))
    assert read == Outer.read(outer())
    assert read.inner == Inner(size=64, share=0.25, kind="a", videos=("x", "y"))
    assert dict(read.flat())["inner.size"] == 64
    assert hash(read) == hash(Outer.read(outer()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 33}, "inner.size is 33: it has to be a multiple of 32 from 32 to 96"),
        ({"size": 128}, "inner.size is 128"),
        ({"size": 64.0}, "inner.size is 64.0"),
        ({"size": True}, "inner.size is True"),
        ({"size": 10**400}, r"inner.size is 1000\d+\.\.\.: it has to be"),
        ({"share": 1}, "inner.share is 1: it has to be a number of 0 or more and below 1"),
        ({"share": float("nan")}, "inner.share is nan"),
        ({"share": "0"}, "inner.share is '0'"),
        ({"kind": "c"}, "inner.kind is 'c': it has to be one of a, b, 1"),
        ({"kind": True}, "inner.kind is True"),
        ({"kind": "b"}, "inner.kind=b has no share"),
        ({"videos": "x"}, "inner.videos is 'x': it has to be names"),
        ({"videos": [1]}, "inner.videos"),
        ({"sise": 1}, r"no setting inner\.sise: did you mean size\?"),
    ],
)
def test_what_is_out_of_range_gets_one_sentence(changes, message):
    with pytest.raises(InputError, match=message) as refusal:
        Outer.read(outer(**changes))
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 250
    if "sise" not in changes:
        with pytest.raises(InputError, match=message):
            Inner(**VALUES | {"videos": ("x",)} | changes)


def test_unknown_and_missing_settings_are_named():
    with pytest.raises(InputError, match="no setting losses"):
        Outer.read(outer() | {"losses": {}})
    with pytest.raises(InputError, match="lacks name, fast: configs/paper.py"):
        Outer.read({"inner": VALUES})
    with pytest.raises(InputError, match=r"lacks inner\.size, inner\.kind"):
        Outer.read(outer() | {"inner": {"share": 0.1, "videos": ()}})
    with pytest.raises(InputError, match="inner is 3: it has to be a section"):
        Outer.read(outer() | {"inner": 3})


def test_every_setting_is_described():
    assert list(Outer.describe()) == [
        ("name", "text, and not empty", "of all"),
        ("fast", "True or False", "or not"),
        ("inner.size", "a multiple of 32 from 32 to 96", "pixels"),
        ("inner.share", "a number of 0 or more and below 1", "of all"),
        ("inner.kind", "one of a, b, 1", "of two"),
        ("inner.videos", "names such as ('bus', 'elephant')", "to leave out"),
    ]
