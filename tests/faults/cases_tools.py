"""`ranet demo`, `web`, `export` and `benchmark`: what users give them."""

import json
from pathlib import Path

from faults import damage
from faults.cases_system import BENCHMARK
from faults.judge import Command

DEMO = "demo --checkpoint network --size 32x64 --frames 3 --out out"
WEB = "web --checkpoint network --size 32x64 --port 0"
EXPORT = "export network out --size 32x64 --platforms cpu"
COMPILE = f"{BENCHMARK} --compile-for v5e --against report.json"
# Of any command that loads a network; what it is called, and what is said of it.
CHECKPOINTS = {
    "none": "no checkpoint directory",
    "mask.png": "is not a packed checkpoint",
    "clip": "is not a RANet checkpoint",
    "weights.npz": "is not a packed checkpoint",
    "''": "is no path",
    "/dev/zero": "no checkpoint directory",
}
SIZES = {
    "32": "not HEIGHTxWIDTH",
    "0x64": "multiples of 32",
    "33x64": "multiples of 32",
    "1000000x1000000": "pixels that can be segmented",
}
PROGRAM = {"program": "p", "parts": [{"part": "merge", "cycles": 1.0}]}
PART = PROGRAM["parts"][0]


def _options(command: str, line: str, options: dict[str, dict[str, str]]):
    for option, values in options.items():
        for value, says in values.items():
            yield Command(f"{command}: {option} {value}", f"{line} {option} {value}", says=says)


def _numbers(low: int, *values: str) -> dict[str, str]:
    return dict.fromkeys(("-1", "1.5", "many", "9" * 30, *values), f"whole number from {low}")


def _network(command: str, line: str, checkpoint: str = "--checkpoint"):
    yield from _options(
        command,
        line,
        {
            "--size": SIZES,
            "--memory": {"65": "from 0 to 64"},
            "--precision": {"half": "invalid choice|can be float32 or bfloat16"},
            **({checkpoint: CHECKPOINTS} if checkpoint else {}),
        },
    )
    yield Command(
        f"{command}: a checkpoint whose settings are cut off",
        line,
        lambda: [damage.cut(str(path))() for path in Path("network/settings").iterdir()],
        says="damaged or incomplete",
    )


def _reports():
    """Earlier reports that are none, each in a file."""
    for name, value in {
        "a list": [],
        "no programs": {"chip": "v5e"},
        "programs that are text": {"programs": "p"},
        "a program that is a number": {"programs": [1]},
        "a program without a name": {"programs": [PROGRAM | {"program": None}]},
        "a program without parts": {"programs": [{"program": "p"}]},
        "parts that are a section": {"programs": [PROGRAM | {"parts": {}}]},
        "a part without a name": {"programs": [PROGRAM | {"parts": [{"cycles": 1}]}]},
        "cycles that are text": {"programs": [PROGRAM | {"parts": [PART | {"cycles": "1"}]}]},
        "cycles below 0": {"programs": [PROGRAM | {"parts": [PART | {"cycles": -1}]}]},
    }.items():
        spoil = damage.write("report.json", json.dumps(value))
        yield Command(f"benchmark --against: {name}", COMPILE, spoil, "report.json is damaged")
    yield Command("benchmark --against: no file", COMPILE, says="no report report.json")
    for name, content in {"no text": b"\xff\xfe", "no JSON": b"{"}.items():
        spoil = damage.write("report.json", content)
        yield Command(f"benchmark --against: {name}", COMPILE, spoil, "report.json")


CASES = [
    # demo
    *_options("demo", DEMO, {"--frames": _numbers(2, "0", "1"), "--objects": {"3": "choice"}}),
    *_network("demo", DEMO),
    Command(
        "demo: frames of a longer clip",
        DEMO,
        damage.write("out/frames/00003.jpg", "of the user"),
        says="holds other files",
    ),
    # web
    *_options(
        "web",
        WEB,
        {
            "--port": _numbers(0, "65536"),
            "--host": {
                "nowhere.invalid": "Cannot listen",
                "''": "empty",
                "300.1.1.1": "Cannot listen",
                "a..b": "Cannot listen",
                "http://127.0.0.1": "Cannot listen",
            },
            "--upload-limit": _numbers(1, "0"),
        },
    ),
    *_network("web", WEB),
    *[
        Command(f"web: the clip {clip}", f"{WEB} {clip}", spoil, says)
        for clip, spoil, says in (
            ("none", lambda: None, "no video none"),
            ("results.json", lambda: None, "cannot be opened as a video"),
            ("network", lambda: None, "holds no frames"),
            ("/dev/zero", lambda: None, "pipe or a device"),
            ("pipe", damage.pipe("pipe"), "pipe or a device"),
            ("empty.mp4", damage.write("empty.mp4"), "empty.mp4"),
            ("clip.mp4", damage.file("clip.mp4"), "clip.mp4"),
        )
    ],
    # export
    *_options(
        "export",
        EXPORT,
        {
            "--platforms": dict.fromkeys(("''", "xpu", "cpu,,tpu", "CPU"), "can be one of cpu"),
            "--objects": _numbers(1, "0") | {"17": "at most 16"},
            "--videos": _numbers(1, "0") | {"1025": "1 to 1024"},
        },
    ),
    *_network("export", EXPORT, checkpoint=""),
    *[
        Command(f"export: the checkpoint {name}", EXPORT.replace("network", name, 1), says=says)
        for name, says in CHECKPOINTS.items()
    ],
    Command("export: out is there", EXPORT.replace("out", "clip"), says="exists already"),
    Command("export: out is an address", EXPORT.replace("out", "gs://b/out"), says="an address"),
    # benchmark
    *_options(
        "benchmark",
        BENCHMARK,
        {
            "--objects": _numbers(1, "0", "17", "''"),
            "--batch": _numbers(1, "0", "1025"),
            "--repeat": _numbers(1, "0"),
            "--frames": _numbers(3, "2"),
            "--depth": {"18": "invalid choice"},
            "--network": {"some": "invalid choice"},
            "--compile-for": dict.fromkeys(("x", "''"), "chip"),
            "--against": {"none": "give a chip"},
            "--compiler-options": {
                "nothing": "No such compile option",
                "xla_nothing=1": "No such compile option",
                "xla_cpu_enable_fast_math=perhaps": "not a valid bool",
            },
        },
    ),
    *_network("benchmark", BENCHMARK),
    *_reports(),
    *_options(
        "benchmark",
        BENCHMARK,
        {
            "--profile": {"gs://bucket/out": "an address"},
            "--out": {
                "gs://bucket/x.json": "an address",
                "mask.png/x.json": "mask.png",
                "mask.png/out/x.json": "mask.png",
                "/proc/out/x.json": "/proc",
            },
        },
    ),
    Command(
        "benchmark: --out is below a link to itself",
        f"{BENCHMARK} --out loop/x.json",
        damage.loop("loop"),
        "loop",
    ),
    Command("benchmark: out is a folder", f"{BENCHMARK} --out clip", says="is a folder"),
]
