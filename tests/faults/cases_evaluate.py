"""`ranet evaluate`: lists, frames, annotations, predictions, and what an earlier run left."""

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from faults import damage
from faults.judge import Case, Command
from PIL import Image

# In this process: helpers take seconds to start.
SCORE = (
    "evaluate --dataset davis2016 --root DAVIS --predictions predictions --out out --processes 1"
)
SCORE_2017 = SCORE.replace("2016", "2017")
COPY = "evaluate --dataset davis2016 --root DAVIS --baseline copy --out out --processes 1"
LIST = "DAVIS/ImageSets/2016/val.txt"
FRAME, ANNOTATION = "DAVIS/JPEGImages/480p/ant/00001.jpg", "DAVIS/Annotations/480p/ant/00001.png"
PREDICTION = "predictions/ant/00001.png"
Damage = Callable[[], object]

LISTS: Mapping[str, tuple[bytes, str]] = {
    "that names ..": (b"..\n", "plain file name"),
    "that names .": (b"ant\n.\n", "line 2.*plain file name"),
    "that names a path upwards": (b"../ant\n", "plain file name"),
    "that names an absolute path": (b"/etc/passwd\n", "neither"),
    "that names a path": (b"ant/bee\n", "neither"),
    "that names a backslash": (b"..\\ant\n", "plain file name"),
    "with a zero byte": (b"ant\0bee\n", "plain file name"),
    "with an escape code": (b"\x1b[31mant\n", "plain file name"),
    "with a name of 250 letters": (b"a" * 250, "plain file name"),
    "that is empty": (b"", "empty"),
    "of empty lines": (b"\n  \n\n", "empty"),
    "of other bytes": (b"\xff\xfea\0n\0t\0", "UTF-8"),
    "of UTF-16": ("ant\nbee\n".encode("utf-16-be"), "plain file name"),
    "that is an image": (b"\x89PNG\r\n\x1a\n\0\0", "UTF-8"),
    "with half a pair": (b"/JPEGImages/480p/ant/00000.jpg\n", "neither"),
    "with a pair of one": (b"/JPEGImages/480p/ant/00000.jpg ant\n", "neither"),
    "with three paths": (b"/a/ant/0.jpg /b/ant/0.png /c/ant/0.png\n", "neither"),
    "with two names in a line": (b"ant bee\n", "neither"),
    "with a pair of two videos": (b"/a/ant/0.jpg /b/bee/0.png\n", "neither"),
    "with a pair of two frames": (b"/a/ant/0.jpg /b/ant/1.png\n", "neither"),
    "with .. in a pair": (b"/JPEGImages/../0.jpg /Annotations/../0.png\n", "plain file name"),
    "with double slashes": (b"//ant/0.jpg //ant/0.png\n", "plain file name"),
    "of an unknown video": (b"ant\ncat\n", "cat"),
}


def crc(path: str) -> Damage:
    """A PNG whose pixels have another checksum than is written after them."""

    def do() -> None:
        content = bytearray(Path(path).read_bytes())
        end = content.rfind(b"IEND") - 8  # of the chunk before: its checksum
        content[end] ^= 0xFF
        Path(path).write_bytes(content)

    return do


def ids(path: str, value: int, dtype=np.uint8, shape=(48, 64)) -> Damage:
    """A whole label map with one more object."""

    def do() -> None:
        labels = np.zeros(shape, dtype)
        labels[4:9, 4:9] = value
        Image.fromarray(labels).save(path)

    return do


def _frames(folder: str, keep: Callable[[int], bool], rename: str = "{:05d}") -> Damage:
    """Some of the files of a video, perhaps under other numbers."""

    def do() -> None:
        for path in sorted(Path(folder).iterdir()):
            if not keep(int(path.stem)):
                path.unlink()
            else:
                path.rename(path.with_name(rename.format(int(path.stem)) + path.suffix))

    return do


IMAGES = {
    **{name: make for name, make in damage.IMAGE_DAMAGE.items() if "pipe" not in name},
    "whose checksum is wrong": crc,
    "in color": lambda path: damage.image(path, mode="RGB"),
    "of another size": lambda path: damage.image(path, (60, 48), "L"),
}
BOTH = ("JPEGImages", "Annotations")
MISSING: Mapping[str, tuple[Damage, str]] = {
    "frame": (damage.missing(FRAME), "lacks the frames of 1 .*00001"),
    "annotation": (damage.missing(ANNOTATION), "lacks the annotations of 1 .*00001"),
    "frame with its annotation": (
        damage.all_of(damage.missing(FRAME), damage.missing(ANNOTATION)),
        "lacks the frames of 1 .*00001",
    ),
    "first frame": (damage.missing(FRAME.replace("1.", "0.")), "lacks the frames of 1 .*00000"),
    "last frame": (damage.missing(FRAME.replace("1.", "3.")), "lacks the frames of 1 .*00003"),
    "folder of frames and annotations": (
        damage.all_of(*(damage.missing(f"DAVIS/{kind}/480p/ant") for kind in BOTH)),
        "no annotation",
    ),
    "folder of annotations": (damage.missing("DAVIS/Annotations/480p/ant"), "no annotation"),
    "prediction": (damage.missing(PREDICTION), "1 of 2 files are missing .00001"),
    "folder of predictions": (damage.missing("predictions/ant"), "no folder predictions/ant"),
    "root": (damage.missing("DAVIS"), "DAVIS"),
    "list": (damage.missing("DAVIS/ImageSets"), "no list"),
}


@functools.cache
def _evaluated() -> dict[str, tuple[bytes, int]]:
    """What an evaluation leaves: contents and times of its files."""
    from ranet_jax.cli.main import main

    assert main(COPY.split()) == 0
    files = filter(Path.is_file, Path("out").rglob("*"))
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def _earlier(spoil: Damage) -> Damage:
    """What an evaluation left, damaged."""

    def do() -> None:
        for path, (content, time) in _evaluated().items():
            damage.write(path, content)()
            os.utime(path, ns=(time, time))  # files of another time are scored anew
        spoil()

    return do


def _json(path: str, **changes) -> Damage:
    def do() -> None:
        values = json.loads(Path(path).read_text())
        Path(path).write_text(json.dumps(values | changes))

    return do


SCORES, TIMING = "out/sequences/ant.scores.json", "out/sequences/ant.timing.json"
LEFT = "out/predictions/ant/00001.png"
# What goes on all the same: the video is segmented or scored anew.
MENDED: Mapping[str, Damage] = {
    "with a prediction cut off": damage.cut(LEFT),
    "with the first prediction cut off": damage.cut(LEFT.replace("1.", "0.")),
    "with the last prediction cut off by a byte": lambda: Path(
        LEFT.replace("1.", "3.")
    ).write_bytes(Path(LEFT.replace("1.", "3.")).read_bytes()[:-1]),
    "with a prediction of zero bytes": damage.write(LEFT),
    "with a prediction whose checksum is wrong": crc(LEFT),
    "with a prediction of another size": damage.image(LEFT, (9, 9), "L"),
    "with a prediction missing": damage.missing(LEFT),
    "without the predictions of a video": damage.missing("out/predictions/ant"),
    "with scores of zero bytes": damage.write(SCORES),
    "with scores cut off": damage.cut(SCORES),
    "with scores that are a list": damage.write(SCORES, "[]"),
    "with scores that were edited": _json(SCORES, J=[[1.0, 1.0]]),
    "with scores as text": _json(SCORES, J="good", checksum=None),
    "with scores of another shape": _json(SCORES, J=[[0.5]]),
    "without scores": damage.missing(SCORES),
    "with a time cut off": damage.cut(TIMING),
    "with a time that is a list": damage.write(TIMING, "[1]"),
    "with a time below 0": _json(TIMING, seconds=-1),
    "with a time as text": _json(TIMING, seconds="fast"),
    "with a time that is null": _json(TIMING, seconds=None),
    "without a time": damage.missing(TIMING),
}
OPTIONS: Mapping[str, str] = {
    "a video that is not in the list": "--sequences ..",
    "no video": "--sequences ,",
    "a batch of 0": "--batch 0",
    "a batch of 10**30": f"--batch {10**30}",
    "processes below 0": "--processes -1",
    "processes of 10**9": f"--processes {10**9}",
    "a split that is no file": "--split nothing.txt",
    "a split that is a folder": "--split DAVIS",
    "a resolution that is not there": "--resolution 1080p",
}
CASES: list[Case] = [
    *(
        Command(f"a list {name}", SCORE, damage.write(LIST, content), says)
        for name, (content, says) in LISTS.items()
    ),
    *(
        Command(
            f"a list of the user's {name}",
            f"{SCORE} --split mine.txt",
            damage.write("mine.txt", LISTS[name][0]),
            LISTS[name][1],
        )
        for name in ("that names ..", "that names .", "that is empty", "with half a pair")
    ),
    *(
        Command(f"evaluation without a {name}", SCORE, spoil, says, leaves=("out/sequences/bee*",))
        for name, (spoil, says) in MISSING.items()
    ),
    *(
        Command(f"baseline without a {name}", COPY, spoil, says)
        for name, (spoil, says) in MISSING.items()
        if "prediction" not in name
    ),
    *(
        Command(f"a {what} {name}", line, spoil(path), "ant|DAVIS", leaves=("out/sequences/bee*",))
        for what, path, line in (
            ("prediction", PREDICTION, SCORE),
            ("prediction of objects", PREDICTION, SCORE_2017),
            ("later annotation", ANNOTATION, SCORE),
            ("first annotation", ANNOTATION.replace("1.", "0."), SCORE_2017),
        )
        for name, spoil in IMAGES.items()
    ),
    *(
        Command(
            f"a frame {name}",
            COPY,
            spoil(FRAME),
            "00001.jpg",
            leaves=("out/run.json", "out/sequences/*", "out/predictions/bee/*"),
        )
        for name, spoil in damage.IMAGE_DAMAGE.items()
        if "pipe" not in name
    ),
    *(
        Command(f"evaluation again {name}", COPY, _earlier(spoil), "ant", 0, ("out/*",))
        for name, spoil in MENDED.items()
    ),
    *(Command(f"evaluation with {name}", f"{SCORE} {words}") for name, words in OPTIONS.items()),
    Command(
        "two files of a frame",
        COPY,
        damage.image(FRAME.replace(".jpg", ".png")),
        "two files of the frame 00001",
    ),
    Command(
        "an annotation without object",
        COPY,
        damage.image(ANNOTATION.replace("1.", "0."), mode="L"),
        "marks no object",
        leaves=("out/run.json",),
    ),
    Command(
        "a prediction of an object that is none",
        SCORE_2017,
        ids(PREDICTION, 9),
        "ids 9",
        leaves=("out/sequences/bee*",),
    ),
    Command(
        "a prediction that no frame belongs to",
        SCORE,
        ids("predictions/ant/00009.png", 1),
        "no frame belongs to 00009.png",
        leaves=("out/sequences/bee*",),
    ),
]
# The archive for the server: annotations of the first frames alone.
TEST_DEV = (
    "evaluate --dataset davis2017 --root DAVIS --split test-dev --predictions predictions --out out"
)


def _test_dev(spoil: Damage) -> Damage:
    def do() -> None:
        Path("DAVIS/ImageSets/2017/test-dev.txt").write_text("ant\nbee\n")
        for video in ("ant", "bee"):
            _frames(f"DAVIS/Annotations/480p/{video}", lambda number: number == 0)()
        spoil()

    return do


CASES += [
    Command(f"a submission with {path[-9:]} {name}", TEST_DEV, _test_dev(spoil(path)), path[-9:])
    for path in (PREDICTION, PREDICTION.replace("1.", "3."))
    for name, spoil in IMAGES.items()
]
CASES.append(
    Command("a whole submission", TEST_DEV, _test_dev(lambda: None), "ready", 0, ("out/*",))
)
