"""`ranet segment`: what users give it."""

import re
from pathlib import Path

from faults import damage
from faults.judge import Command

SEGMENT = "segment clip --mask mask.png --out out --checkpoint network"
FILM = "segment clip.mp4 --mask mask.png --out out --checkpoint network"
LONG = "n" * 300


def refused(name, line, spoil=lambda: None, says="", **more):
    return Command(f"segment: {name}", line, spoil, says, **more)


def _images():
    """Every damage to a frame and to the mask."""
    for what, spoil in damage.IMAGE_DAMAGE.items():
        for number in (0, 2):
            path = f"clip/0000{number}.png"
            written = ("out/0000[01].png",) if number else ()
            yield refused(
                f"frame {number} {what}", SEGMENT, spoil(path), re.escape(path), leaves=written
            )
        yield refused(f"a mask {what}", SEGMENT, spoil("mask.png"), "mask file|The mask mask.png")


CASES = [
    Command("segment: all is well", SEGMENT, status=0, says="4 frames in", leaves=("out/*",)),
    Command("segment: a film", FILM, status=0, says="8 frames in", leaves=("out/*",)),
    *_images(),
    # the video
    refused("no video", SEGMENT.replace("clip", "none"), says="no video none"),
    refused("a video of zero bytes", FILM, damage.write("clip.mp4"), "clip.mp4"),
    refused("a video without its end", FILM, damage.cut("clip.mp4", 0.5), "clip.mp4"),
    refused("a video that is text", FILM, damage.file("clip.mp4"), "clip.mp4"),
    refused("a video that is a pipe", FILM, damage.pipe("clip.mp4"), "clip.mp4 is a pipe"),
    refused("a video that is a link to itself", FILM, damage.loop("clip.mp4"), "no video clip.mp4"),
    refused("a device as video", SEGMENT.replace("clip", "/dev/zero"), says="pipe or a device"),
    refused("an empty folder", SEGMENT.replace("clip", "e"), lambda: Path("e").mkdir(), "no frame"),
    refused("a name too long", SEGMENT.replace("clip", LONG), says="too long"),
    refused("no name", ["segment", "", "--mask", "mask.png", "--out", "out"], says="is no path"),
    refused(
        "a name with a line break",
        ["segment", "a\nb", "--mask", "mask.png", "--out", "o"],
        says=r"a\\nb",
    ),
    refused("an address", SEGMENT.replace("clip", "gs://bucket/clip"), says="is an address"),
    refused(
        "frames of two sizes",
        SEGMENT,
        damage.image("clip/00002.png", (32, 32)),
        "32x32",
        leaves=("out/0000[01].png",),
    ),
    refused("a frame twice", SEGMENT, damage.image("clip/00002.bmp"), "more than one format"),
    # the mask
    refused("no mask", SEGMENT.replace("mask.png", "none.png"), says="no mask file none.png"),
    refused("a mask of another size", SEGMENT, damage.image("mask.png", (32, 32), "L"), "empty|32"),
    refused("a mask in color", SEGMENT, damage.image("mask.png"), "color image"),
    refused("an empty mask", SEGMENT, damage.image("mask.png", mode="L"), "is empty"),
    refused("a mask that is a device", SEGMENT.replace("mask.png", "/dev/zero"), says="no mask"),
    refused("a mask whose name is too long", SEGMENT.replace("mask.png", LONG), says="too long"),
    # the folder for the results
    refused(
        "out is below a file", SEGMENT.replace("out out", "out mask.png/out"), says="mask.png/out"
    ),
    refused("out has a name too long", SEGMENT.replace("out out", f"out {LONG}"), says="too long"),
    refused(
        "out holds the frames", SEGMENT.replace("out out", "out clip"), says="holds the frames"
    ),
    refused("out cannot be made", SEGMENT.replace("out out", "out /proc/out"), says="/proc/out"),
    refused(
        "out is an address", SEGMENT.replace("out out", "out gs://bucket/o"), says="is an address"
    ),
    refused(
        "a folder in the place of a result",
        SEGMENT,
        damage.folder("out/00001.png"),
        "00001.png|out",
        leaves=("out/0000[0-3].png",),
    ),
    refused(
        "a folder in the place of the overlay",
        f"{SEGMENT} --overlay",
        damage.folder("out/overlay.mp4"),
        "overlay.mp4",
        leaves=("out/*.png",),
    ),
    refused(
        "a file in the place of the probabilities",
        f"{SEGMENT} --probabilities",
        damage.file("out/probabilities"),
        "out",
        leaves=("out/*.png",),
    ),
    Command(
        "segment: what a killed run left is removed",
        f"{SEGMENT} --overlay",
        damage.write("out/.overlay.mp4.4194305.part", "half"),
        "4 frames in",
        status=0,
        leaves=("out/*",),
    ),
    # the checkpoint
    refused("no checkpoint", SEGMENT.replace("network", "none"), says="none"),
    refused("a checkpoint that is a file", SEGMENT.replace("network", "mask.png"), says="mask.png"),
    refused("a checkpoint that is a clip", SEGMENT.replace("network", "clip"), says="clip"),
    refused("a checkpoint that is a pipe", SEGMENT, damage.pipe("network"), "network"),
    refused("a checkpoint whose name is too long", SEGMENT.replace("network", LONG), says="long"),
    refused("a checkpoint without name", [*SEGMENT.split()[:-1], ""], says="is no path"),
    # options
    *[
        refused(f"--size {size}", f"{SEGMENT} --size {size}", says="size|HEIGHTxWIDTH")
        for size in (
            "0x0",
            "480",
            "a",
            "-32x32",
            "33x64",
            "1000000x1000000",
            "32x32x32",
            "16x16",
            "99999999999x32",
            "32x",
            "x32",
            "1e2x32",
            "32768x32768",
            "²x32",
        )
    ],
    *[
        refused(f"--memory {n}", f"{SEGMENT} --memory={n}", says="memory")
        for n in ("-1", "1.5", "many", "1000000000", "9" * 5000, "٣٣٣٣٣")
    ],
    *[
        refused(f"--max-gap {n}", f"{SEGMENT} --max-gap={n}", says="max-gap")
        for n in ("-1", "nan", "inf", "far", "11")
    ],
    *[
        refused(f"--online {n}", f"{SEGMENT} --online={n}", says="online")
        for n in ("-1", "1.5", "many", "1000000000000")
    ],
    *[
        refused(f"--online-batch {n}", f"{SEGMENT} --online --online-batch={n}", says="batch")
        for n in ("0", "-1", "nan", "1000000000")
    ],
    *[
        refused(f"--online-lr {n}", f"{SEGMENT} --online --online-lr={n}", says="online-lr")
        for n in ("0", "-1", "nan", "inf", "1e999", "fast")
    ],
    refused("--online-lr without --online", f"{SEGMENT} --online-lr 1e-3", says="--online"),
    refused("--combine by a word", f"{SEGMENT} --combine mean", says="invalid choice"),
    refused("--precision by a word", f"{SEGMENT} --precision half", says="invalid choice"),
    refused("an option that does not exist", f"{SEGMENT} --fast", says="unrecognized"),
    refused("an option with a line break", [*SEGMENT.split(), "--a\nb"], says=r"--a\\nb"),
    refused("no mask given", "segment clip --out out", says="no mask to start from"),
]
