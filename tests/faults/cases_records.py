"""Files of our own that were damaged or written by hand: settings, results, records of runs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from faults import damage
from faults.judge import Case, Command

from ranet_jax.checkpoints import quantized

MISSING = object()
Damage = Callable[[], object]


def edit(path: str, **changes: Any) -> Damage:
    """A JSON file with other values, `__` in a name leading into a section; MISSING removes."""

    def do() -> None:
        values = json.loads(Path(path).read_text())
        for name, value in changes.items():
            *sections, last = name.split("__")
            inner = values
            for section in sections:
                inner = inner[section]
            if value is MISSING:
                del inner[last]
            else:
                inner[last] = value
        Path(path).write_text(_dump(values))

    return do


def _dump(values: Any) -> str:
    # JSON has no limit of digits, which Python's printing has.
    return json.dumps(values, default=str).replace(f'"{_HUGE_MARK}"', "1" + "0" * 5000)


_HUGE_MARK = "huge number"
SETTINGS = "network/settings/metadata"
SEGMENT = "segment clip --mask mask.png --checkpoint network --out out"
# What a setting of a checkpoint is changed to, and what has to be said of it.
OF_A_CHECKPOINT: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "width 0": ({"model__width": 0}, "model.width is 0"),
    "width -8": ({"model__width": -8}, "model.width is -8"),
    "width as text": ({"model__width": "8"}, "model.width is '8'"),
    "width null": ({"model__width": None}, "model.width is None"),
    "width as a list": ({"model__width": [8]}, r"model.width is \(8,\)"),
    "width a fraction": ({"model__width": 8.0}, "model.width is 8.0"),
    "width true": ({"model__width": True}, "model.width is True"),
    "width of 10**12": ({"model__width": 10**12}, "model.width is 1000000000000"),
    "width of 5000 digits": ({"model__width": _HUGE_MARK}, "settings is no JSON"),
    "another width": ({"model__width": 16}, "another configuration"),
    "depth 0": ({"model__depth": 0}, "model.depth is 0"),
    "depth 50.0": ({"model__depth": 50.0}, "model.depth is 50.0"),
    "another depth": ({"model__depth": 26}, "another configuration"),
    "depth as text": ({"model__depth": "14"}, "model.depth is '14'"),
    "an unknown mode": ({"model__mode": "many"}, "model.mode is 'many'"),
    "mode null": ({"model__mode": None}, "model.mode is None"),
    "a list as mode": ({"model__mode": ["multi"]}, "model.mode"),
    "an unknown ranking": ({"model__ranking": "best"}, "model.ranking is 'best'"),
    "correlation as a number": ({"model__correlation": 1}, "model.correlation is 1"),
    "previous_mask as text": ({"model__previous_mask": "no"}, "model.previous_mask is 'no'"),
    "memory -1": ({"model__memory": -1}, "model.memory is -1"),
    "memory of 10**9": ({"model__memory": 10**9}, "model.memory is 1000000000"),
    "memory without maps": ({"model__memory": 1, "model__ranking": "none"}, "memory|another"),
    "a gap of -1": ({"model__max_gap": -1}, "model.max_gap is -1"),
    "a gap as text": ({"model__max_gap": "0"}, "model.max_gap is '0'"),
    "an unknown setting": ({"model__magic": 1}, "magic"),
    "no model": ({"model": MISSING}, "lacks model|model is"),
    "a model that is null": ({"model": None}, "model is None"),
    "a model that is a list": ({"model": [1]}, "model is"),
    "a model that is text": ({"model": "ranet"}, "model is"),
    "trained null": ({"trained": None}, "trained is None"),
    "trained as text": ({"trained": "yes"}, "trained is 'yes'"),
    "trained missing": ({"trained": MISSING}, "lacks trained"),
    "size 96": ({"size": 96}, "size is 96"),
    "size as text": ({"size": "480x864"}, "size is"),
    "a huge size": ({"size": [10**9, 10**9]}, "size is"),
    "size of a fraction": ({"size": [64.0, 96.0]}, "size is"),
    "size of three": ({"size": [64, 96, 3]}, "size is"),
    "a negative size": ({"size": [-64, 96]}, "size is"),
    "a size of no multiple": ({"size": [65, 96]}, "size is"),
    "frame_scale NaN": ({"frame_scale": float("nan")}, "frame_scale is nan"),
    "frame_scale 0": ({"frame_scale": 0}, "frame_scale is 0"),
    "frame_scale of 10**9": ({"frame_scale": 10**9}, "frame_scale is"),
    "frame_scale as a list": ({"frame_scale": [1]}, "frame_scale is"),
    "online as a number": ({"online": 3}, "online is 3"),
    "online iterations NaN": ({"online": {"iterations": float("nan")}}, "online.iterations"),
    "a name of two lines": ({"name": "a\nb"}, "name is"),
    "a name that is a number": ({"name": 3}, "name is 3"),
    "a step below 0": ({"step": -1}, "step is -1"),
}
JSON_DAMAGE: Mapping[str, Callable[[str], Damage]] = {
    "of zero bytes": damage.write,
    "cut off": damage.cut,
    "that is no JSON": damage.file,
    "of other bytes": lambda path: damage.write(path, b"\xff\xfe\x00\x01"),
    "that is a list": lambda path: damage.write(path, "[1, 2]"),
    "that is null": lambda path: damage.write(path, "null"),
    "that is a number": lambda path: damage.write(path, "3"),
    "that is a text": lambda path: damage.write(path, '"text"'),
    "of lists in lists": lambda path: damage.write(path, "[" * 3000 + "]" * 3000),
    "of a number without end": lambda path: damage.write(path, "9" * 5000),
}
RESULTS = "results.json"
REPORT = "report results.json --out out"
OF_RESULTS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "without a dataset": ({"dataset": MISSING}, "not a results.json"),
    "of an unknown dataset": ({"dataset": "coco"}, "dataset is 'coco'"),
    "whose dataset is null": ({"dataset": None}, "dataset is None"),
    "whose dataset is a list": ({"dataset": ["davis2016"]}, "dataset is"),
    "whose split is a number": ({"split": 3}, "split is 3"),
    "whose split is a list": ({"split": ["val"]}, "split is"),
    "whose name is a number": ({"name": 3}, "name is 3"),
    "whose name has two lines": ({"name": "a\nb"}, "name is"),
    "whose name has half a letter": ({"name": "\ud800"}, "name is"),
    "whose sequences are a number": ({"sequences": 3}, "sequences is 3"),
    "whose sequences are numbers": ({"sequences": [1]}, "sequences is"),
    "whose whole_split is text": ({"whole_split": "yes"}, "whole_split is 'yes'"),
    "without global": ({"global": MISSING}, "not a results.json"),
    "whose global is a list": ({"global": [0.5]}, "global is"),
    "whose global is text": ({"global": "good"}, "global is"),
    "whose mean is text": ({"global__J-Mean": "0.5"}, "global is"),
    "whose mean is NaN": ({"global__J-Mean": float("nan")}, "global is"),
    "whose mean is infinite": ({"global__J-Mean": float("inf")}, "global is"),
    "whose mean is 50": ({"global__J-Mean": 50}, "global is"),
    "whose mean is a list": ({"global__J-Mean": [0.5]}, "global is"),
    "whose mean is true": ({"global__J-Mean": True}, "global is"),
    "of an unknown measure": ({"global__T-Mean": 0.5}, "global is"),
    "whose settings are a list": ({"settings": [1]}, "settings is"),
    "whose settings are text": ({"settings": "none"}, "settings is"),
    "whose model is a number": ({"settings__model": 3}, "settings.model is 3"),
    "whose ranking is unknown": ({"settings__model__ranking": "best"}, "ranking is 'best'"),
    "whose ranking is a list": ({"settings__model__ranking": ["rank"]}, "ranking is"),
    "whose correlation is text": ({"settings__model__correlation": "no"}, "correlation is 'no'"),
    "whose baseline is unknown": ({"settings": {"baseline": "best"}}, "baseline is 'best'"),
    "whose online learning is a number": ({"settings": {"online": 3}}, "settings.online is 3"),
    "of -1 iterations": ({"settings": {"online": {"iterations": -1}}}, "iterations is -1"),
    "of 'many' iterations": ({"settings": {"online": {"iterations": "many"}}}, "iterations is"),
    "whose stage is a list": ({"settings": {"stage": [1]}}, "stage is"),
    "whose init_from is a number": ({"settings": {"init_from": 1}}, "init_from is 1"),
    "whose speed is a number": ({"speed": 3}, "speed is 3"),
    "whose time is text": ({"speed": {"milliseconds_per_frame": "fast"}}, "frame is 'fast'"),
    "whose time is below 0": ({"speed": {"milliseconds_per_frame": -1}}, "frame is -1"),
    "whose time is NaN": ({"speed": {"milliseconds_per_frame": float("nan")}}, "frame is nan"),
    "whose checkpoint is text": ({"checkpoint": "abc"}, "checkpoint is 'abc'"),
    "whose hash is a number": ({"checkpoint": {"sha256": 3}}, "sha256 is 3"),
}
COPY = "evaluate --dataset davis2016 --root DAVIS --baseline copy --out out --processes 1"
RUN = "out/run.json"


def _run_of(content: str) -> Damage:
    return damage.write(RUN, content)


def _packed(**changes: Any) -> Damage:
    """`network.npz` with other settings."""

    def do() -> None:
        settings, params = quantized.load("network.npz")
        settings |= changes
        Path("network.npz").unlink()
        quantized.save("network.npz", settings, params, limit=100_000_000)

    return do


def _without_checksums(spoil: Damage) -> Damage:
    """As a checkpoint of an earlier version is, which has none."""
    return damage.all_of(damage.missing("network/checksums"), spoil)


CASES: list[Case] = [
    *(
        Command(f"a checkpoint with {name}", SEGMENT, edit(SETTINGS, **changes), says)
        for name, (changes, says) in OF_A_CHECKPOINT.items()
    ),
    *(
        Command(
            f"an earlier checkpoint with {name}",
            SEGMENT,
            _without_checksums(edit(SETTINGS, **OF_A_CHECKPOINT[name][0])),
            OF_A_CHECKPOINT[name][1],
        )
        for name in ("width 0", "another depth", "size 96", "frame_scale NaN", "trained null")
    ),
    *(
        Command(f"a checkpoint with settings {name}", SEGMENT, spoil(SETTINGS), "network")
        for name, spoil in JSON_DAMAGE.items()
    ),
    *(
        Command(
            f"a packed checkpoint with {name}",
            "segment clip --mask mask.png --checkpoint network.npz --out out",
            _packed(**changes),
            says,
        )
        for name, (changes, says) in {
            "size 96": ({"size": 96}, "network.npz .* size is 96"),
            "frame_scale 0": ({"frame_scale": 0}, "frame_scale is 0"),
            "no depth of a network": ({"model": {"depth": 3}}, "model.depth is 3"),
            "a model that is null": ({"model": None}, "model is None"),
            "trained null": ({"trained": None}, "trained is None"),
        }.items()
    ),
    *(
        Command(f"results {name}", REPORT, edit(RESULTS, **changes), f"results.json.*{says}")
        for name, (changes, says) in OF_RESULTS.items()
    ),
    *(
        Command(f"results in a file {name}", REPORT, spoil(RESULTS), "results.json")
        for name, spoil in JSON_DAMAGE.items()
    ),
    *(
        Command(
            f"a run.json {name}",
            COPY,
            damage.all_of(damage.write(RUN, '{"dataset": 1}'), spoil(RUN)),
            r"out/run\.json",
        )
        for name, spoil in JSON_DAMAGE.items()
    ),
    Command("a run.json of another run", COPY, _run_of('{"dataset": "davis2017"}'), "another"),
    Command("a run.json of nothing", COPY, _run_of("{}"), "another"),
]
