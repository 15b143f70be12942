"""What the operating system refuses, for every command that writes: places, names, limits."""

import shlex

from faults import damage
from faults.judge import Command
from faults.world import TINY

LONG = "n" * 300
DEEP = "/".join(["n" * 200] * 25)  # longer than a path may be
EVALUATE = "evaluate --dataset davis2016 --root DAVIS --processes 1"
RECORDED = ("out/run.json", "out/sequences/*.json", "out/predictions/*/*.png")
TABLES = ("out/*.csv", "out/results.json", "out/plots/*.png")
TRAIN = "train --config tiny --workdir OUT "
TRAIN += shlex.join(f"--config.{name}={value}" for name, value in TINY.items())
BENCHMARK = "benchmark --checkpoint network --size 32x64 --repeat 1 --objects 1 --out out.json"
# What is written where, by the shortest command that writes it.
WRITES = {
    "segment": "segment clip --mask mask.png --checkpoint network --out OUT",
    "evaluate --predictions": f"{EVALUATE} --predictions predictions --out OUT",
    "evaluate --baseline copy": f"{EVALUATE} --baseline copy --out OUT",
    "report": "report results.json --out OUT",
    "demo": "demo --frames 3 --checkpoint network --size 32x64 --out OUT",
    "export": "export network OUT --size 32x64 --platforms cpu",
    "benchmark --profile": f"{BENCHMARK} --profile OUT",
    "convert": "convert weights.npz OUT",
    "pack": "pack network OUT",
    "train": TRAIN,
    "data build": "data build ecssd --manual-dir clip --data-dir OUT",
}
PLACES = {
    "a link to itself": ("out", damage.loop("out"), "out"),
    "a place below a file": ("mask.png/out", lambda: None, "mask.png"),
    "a place far below a file": ("mask.png/a/b/out", lambda: None, "mask.png"),
    "a name too long": (LONG, lambda: None, "nnn"),
    "a path too long": (DEEP, lambda: None, "nnn"),
    "a place where nothing can be made": ("/proc/out", lambda: None, "/proc"),
    "no name": ("''", lambda: None, "no path|path"),
}


def _places():
    for command, line in WRITES.items():
        for what, (place, spoil, says) in PLACES.items():
            if command == "pack":
                if what == "a link to itself":  # is replaced, as any link to nothing
                    continue
                place = f"{place}.npz" if place != "''" else place
            # Weights are read before anything is written, and these are none.
            says = f"{says}|not the weights" if command == "convert" else says
            yield Command(f"{command}: out is {what}", line.replace("OUT", place), spoil, says)
        if command not in ("convert", "pack"):
            yield Command(
                f"{command}: out is a file", line.replace("OUT", "out"), damage.file("out"), "out"
            )


def _in_the_way():
    """A folder where the command writes a file, and a file where it makes a folder."""
    scored = WRITES["evaluate --predictions"].replace("OUT", "out")
    copied = WRITES["evaluate --baseline copy"].replace("OUT", "out")
    reported = WRITES["report"].replace("OUT", "out")
    trained = WRITES["train"].replace("OUT", "out")
    for name in (
        "results.json",
        "global.csv",
        "per_sequence.csv",
        "plots/sequences.png",
        "plots/over_time.png",
        "sequences/ant.scores.json",
    ):
        yield scored, "folder", f"out/{name}", (*RECORDED, *TABLES)
    for name in ("sequences", "plots"):
        yield scored, "file", f"out/{name}", (*RECORDED, *TABLES)
    for name in ("run.json", "sequences/ant.timing.json"):
        yield copied, "folder", f"out/{name}", (*RECORDED, *TABLES)
    for name in ("predictions", "sequences"):
        yield copied, "file", f"out/{name}", (*RECORDED, *TABLES)
    for name in ("report.md", "plots/table1.png", "plots/table6.png"):
        yield reported, "folder", f"out/{name}", ("out/plots/*.png",)
    yield reported, "file", "out/plots", ()
    for name in ("config.json", "metrics.jsonl", "curve.png"):
        yield trained, "folder", f"out/{name}", ()
    yield trained, "file", "out/checkpoints", ()


CASES = [
    *_places(),
    *[
        Command(
            f"{line.split('--')[0]}--{line.split('--')[-2]}: a {kind} in the place of {path}",
            line,
            getattr(damage, kind)(path),
            path.split("/")[-1],
            leaves=leaves,
        )
        for line, kind, path, leaves in _in_the_way()
    ],
]
