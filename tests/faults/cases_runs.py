"""The folder of a run, damaged or written by hand, before `ranet train` goes on with it."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from faults import damage
from faults.cases_records import JSON_DAMAGE, MISSING, edit
from faults.cases_system import TRAIN
from faults.judge import Case, Command

GO_ON = TRAIN.replace("OUT", "run")
SEGMENT = "segment clip --mask mask.png --checkpoint run --out out"
CONFIG, METRICS, LATEST = "run/config.json", "run/metrics.jsonl", "run/checkpoints/2"
ITEMS = ("params", "train", "iterator", "log", "settings", "metrics", "checksums")
Damage = Callable[[], object]


def refused(name: str, spoil: Damage, says: str, line: str = GO_ON, **more: Any) -> Command:
    return Command(f"a run: {name}", line, spoil, says, wants=("run",), **more)


def _line(text: str | bytes) -> Damage:
    """Another line between those of `metrics.jsonl`."""

    def do() -> None:
        first, second = Path(METRICS).read_bytes().splitlines(keepends=True)
        added = text.encode() if isinstance(text, str) else text
        Path(METRICS).write_bytes(first + added + b"\n" + second)

    return do


def _only_latest(spoil: Damage) -> Damage:
    """The latest checkpoint alone, as an earlier version wrote it: without checksums."""

    def do() -> None:
        shutil.rmtree("run/checkpoints/1")
        shutil.rmtree(f"{LATEST}/checksums")
        spoil()

    return do


def _both(item: str, spoil: Callable[[str], Damage]) -> Damage:
    return damage.all_of(*(spoil(f"run/checkpoints/{step}/{item}") for step in (1, 2)))


def _files(item: str) -> Damage:
    """The contents of the files of an item of both checkpoints are others."""

    def do() -> None:
        for step in (1, 2):
            for path in Path(f"run/checkpoints/{step}/{item}").rglob("*"):
                if path.is_file() and path.stat().st_size:
                    damage.flip(str(path))()

    return do


LINES: Mapping[str, tuple[str | bytes, str]] = {
    "that is no JSON": ("step 1", "no JSON"),
    "that is cut off": ('{"step": 1, "lo', "no JSON"),
    "of other bytes": (b"\xff\xfe", "no text"),
    "that is a list": ("[1, 2]", "it is"),
    "that is null": ("null", "it is None"),
    "that is a number": ("3", "it is 3"),
    "of lists in lists": ("[" * 3000, "no JSON"),
    "without a step": ('{"loss": 0.5}', "lacks step"),
    "of step -1": ('{"step": -1}', "step is -1"),
    "of step '1'": ('{"step": "1"}', "step is '1'"),
    "of step 1.5": ('{"step": 1.5}', "step is 1.5"),
    "of step true": ('{"step": true}', "step is True"),
    "of step null": ('{"step": null}', "step is None"),
    "of step 10**12": ('{"step": 1000000000000}', "step is 1000000000000"),
    "of a step of 5000 digits": ('{"step": 1%s}' % ("0" * 5000), "no JSON"),
    "whose loss is text": ('{"step": 1, "loss": "low"}', "loss"),
    "whose loss is null": ('{"step": 1, "loss": null}', "loss"),
    "whose loss is NaN": ('{"step": 1, "loss": NaN}', "loss"),
    "whose loss is infinite": ('{"step": 1, "loss": 1e999}', "loss"),
    "whose loss is a list": ('{"step": 1, "loss": [0.5]}', "loss"),
    "whose loss is true": ('{"step": 1, "loss": true}', "loss"),
    "of zero bytes": ("\0", "no JSON"),
    "that is empty": ("", "no JSON"),
}
OF_A_CONFIG: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "another width": ({"model__width": 16}, "another model.width"),
    "a width as text": ({"model__width": "8"}, "another model.width"),
    "a width of null": ({"model__width": None}, "another model.width"),
    "a width that is a section": ({"model__width": {"a": 1}}, "another model.width"),
    "no model": ({"model": MISSING}, "another model"),
    "a model of null": ({"model": None}, "another model"),
    "a model that is a list": ({"model": [8]}, "another model"),
    "another seed": ({"seed": 1}, "another seed"),
    "a setting that is unknown": ({"model__magic": 1}, "another model.magic"),
    "sets that are none": ({"data__sets": 3}, "another data.sets"),
}
POSITIONS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "below 0": ({"next_batch": -1}, "next_batch is -1"),
    "as text": ({"next_batch": "2"}, "next_batch is '2'"),
    "of null": ({"next_batch": None}, "next_batch is None"),
    "of 2.5": ({"next_batch": 2.5}, "next_batch is 2.5"),
    "of 10**12": ({"next_batch": 10**12}, "next_batch is"),
    "that is missing": ({"next_batch": MISSING}, "lacks next_batch"),
    "with reasons that are a list": ({"corrupt": ["a"]}, "corrupt is"),
    "with reasons that are numbers": ({"corrupt": {"a": 1}}, "corrupt is"),
    "of no data": ({"fingerprint": None}, "fingerprint is None"),
    "of other data": ({"fingerprint": "{}"}, "other training data"),
}
LOGS = {
    "without steps": "{}",
    "of steps that are a number": '{"steps": 3}',
    "of steps that are numbers": '{"steps": [3]}',
    "of a loss as text": '{"steps": [{"loss": "low", "iou": 0.5, "gradient_norm": 1.0}]}',
    "of a loss that is NaN": '{"steps": [{"loss": NaN, "iou": 0.5, "gradient_norm": 1.0}]}',
    "of a loss alone": '{"steps": [{"loss": 0.5}]}',
    "that is a list": "[]",
    "of another measure": '{"steps": [{"loss": 0.5, "iou": 1, "gradient_norm": 1, "f": 1}]}',
}
PLACES: Mapping[str, Callable[[str], Damage]] = {
    "that is a pipe": damage.pipe,
    "that is a link to itself": damage.loop,
    "that is a folder": damage.folder,
}
CASES: list[Case] = [
    *(
        refused(f"config.json {name}", spoil(CONFIG), "config.json")
        for name, spoil in (JSON_DAMAGE | PLACES).items()
    ),
    *(
        refused(f"config.json with {name}", edit(CONFIG, **changes), f"{says}.*config.json")
        for name, (changes, says) in OF_A_CONFIG.items()
    ),
    refused("no config.json", damage.missing(CONFIG), "no config.json"),
    *(
        refused(f"a line {name}", _line(text), f"metrics.jsonl.*{says}")
        for name, (text, says) in LINES.items()
    ),
    refused("metrics.jsonl that is a pipe", damage.pipe(METRICS), "metrics.jsonl is a pipe"),
    refused("metrics.jsonl that is a folder", damage.folder(METRICS), "metrics.jsonl is a folder"),
    *(
        refused(f"a position {name}", _only_latest(edit(f"{LATEST}/iterator/metadata", **changes)),
                f"checkpoints/2/iterator .*{says}")
        for name, (changes, says) in POSITIONS.items()
    ),
    *(
        refused(f"a log {name}", _only_latest(damage.write(f"{LATEST}/log/metadata", text)),
                "checkpoints/2/log ")
        for name, text in LOGS.items()
    ),
    *(
        refused(f"{item} {name}, of both checkpoints", _both(f"{item}/{file}", spoil),
                "checkpoints/2 is damaged")
        for item, file in (("iterator", "metadata"), ("log", "metadata"),
                           ("checksums", "metadata"), ("metrics", "metrics"))
        for name, spoil in (JSON_DAMAGE | PLACES).items()
        if name in ("of zero bytes", "cut off", "that is null", "that is a pipe")
    ),
    *(
        refused(f"{item} with other bytes, of both checkpoints", _files(item),
                "checkpoints/2 is damaged")
        for item in ITEMS
    ),
    *(
        refused(f"{item} that are missing, of both checkpoints", _both(item, damage.missing),
                "checkpoints/2")
        for item in ("params", "train", "iterator", "log")
    ),
    refused("a checkpoint under another name",
            lambda: Path(LATEST).rename("run/checkpoints/7"), "step 7 is that of step 2"),
    refused("checkpoints that are a file", damage.file("run/checkpoints"), "checkpoints"),
    refused("checkpoints that are a link to itself", damage.loop("run/checkpoints"), "checkpoints"),
    *(
        refused(f"segment: settings {name}", spoil(f"{LATEST}/settings/metadata"),
                "checkpoints/2", SEGMENT)
        for name, spoil in (JSON_DAMAGE | PLACES).items()
    ),
    *(
        refused(f"segment: a score {name}", spoil(f"{LATEST}/metrics/metrics"),
                "checkpoints/2", SEGMENT)
        for name, spoil in (JSON_DAMAGE | PLACES).items()
    ),
    refused("segment: no checkpoint", damage.missing("run/checkpoints"), "run", SEGMENT),
    refused("segment: parameters with other bytes", _files("params"), "checkpoints/2", SEGMENT,
            network=True),
]  # fmt: skip
