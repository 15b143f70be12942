"""`ranet data`: archives of published sets, and the sets that were built from them."""

import functools
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import small_sets
from faults import damage
from faults.judge import Case, Command

IMAGE, MASK = "images/0001.jpg", "ground_truth_mask/0001.png"
ECSSD = small_sets.static_files(*small_sets.ECSSD)
DAVIS = small_sets.davis_files("2017", {"train": {"ant": 3, "bee": 3}})
FRAME, ANNOTATION = "DAVIS/JPEGImages/480p/ant/00001.jpg", "DAVIS/Annotations/480p/ant/00001.png"
LIST = "DAVIS/ImageSets/2017/train.txt"
BUILD_ECSSD = "data build ecssd --manual-dir published --data-dir sets"
BUILD_DAVIS = "data build davis/2017 --manual-dir published --data-dir sets"
PREVIEW = "data preview --set ecssd --data-dir built --height 64 --width 96 --rows 1 --tile 32"
Damage = Callable[[], object]
# By the build: the archive that the publisher has it in, and what is in there.
PUBLISHED = {
    BUILD_ECSSD: ("images.zip", ECSSD),
    BUILD_DAVIS: ("DAVIS-2017-trainval-480p.zip", DAVIS),
}


def published(line: str, packed: bool, **changes: bytes | None) -> Damage:
    """What a publisher offers, packed or not, with other contents of some files or without them;
    names as keywords have `__` for `/` and `_` for `.`"""
    archive, files = PUBLISHED[line]
    names = {_keyword(name): name for name in files}

    def do() -> None:
        changed = files | {names.get(key, key): content for key, content in changes.items()}
        whole = {name: content for name, content in changed.items() if content is not None}
        if packed:
            small_sets.write_zip(Path("published") / archive, whole)
        else:
            small_sets.write_tree(Path("published"), whole)

    return do


def _keyword(name: str) -> str:
    return name.replace("/", "__").replace(".", "_")


def _contents(name: str) -> Mapping[str, bytes]:
    """What may stand in the place of an image."""
    whole = (ECSSD | DAVIS)[name]
    return {
        "of zero bytes": b"",
        "cut off": whole[: len(whole) // 2],
        "that is no image": b"of the user",
        **{f"that is a {kind} of 60000x60000": damage.bomb_of(kind) for kind in damage.BOMBS},
    }


def _places():
    for line, name in (
        (BUILD_ECSSD, IMAGE),
        (BUILD_ECSSD, MASK),
        (BUILD_DAVIS, FRAME),
        (BUILD_DAVIS, ANNOTATION),
    ):
        for what, content in _contents(name).items():
            for packed in (False, True):
                spoil = published(line, packed, **{_keyword(name): content})
                yield line, f"{name} {'packed ' if packed else ''}{what}", spoil, Path(name).name


def _lists():
    for what, content, says in (
        ("empty", b"", "is empty"),
        ("of other bytes", b"\xff\xfe\x00", "UTF-8"),
        ("of ..", b"ant\n..\n", "plain file name"),
        ("of a path", b"ant/bee\n", "neither"),
        ("of a video that is not there", b"ant\ncat\n", "cat"),
        ("of a name in another case", b"Ant\n", "Ant"),
    ):
        for packed in (False, True):
            spoil = published(BUILD_DAVIS, packed, **{_keyword(LIST): content})
            yield BUILD_DAVIS, f"a list {'packed ' if packed else ''}{what}", spoil, says


def _names():
    one, other = ECSSD[IMAGE], ECSSD[MASK]
    for what, changes, says in (
        ("in two cases", {"images/0001.JPG": one}, "two images called 0001"),
        ("twice, in two folders", {"a/images/0001.jpg": one, "a/ground_truth_mask/0001.png": other},
         "two images called 0001"),
        ("with a line break", {"images/a\nb.jpg": one, "ground_truth_mask/a\nb.png": other},
         r"a\\nb"),
        ("without a mask", {"images/0009.jpg": one}, "1 of 4 images .* no mask"),
    ):  # fmt: skip
        for packed in (False, True):
            spoil = published(BUILD_ECSSD, packed, **changes)
            yield BUILD_ECSSD, f"a name {what}{', packed' if packed else ''}", spoil, says


def _member(name: str, content: bytes, claimed: int | None = None) -> Damage:
    """`images.zip`, in which a member unpacks to far more than it takes, or says so."""

    def do() -> None:
        published(BUILD_ECSSD, True, **{_keyword(IMAGE): None})()
        with zipfile.ZipFile("published/images.zip", "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content, compresslevel=9)
        if claimed is not None:
            _claim(Path("published/images.zip"), claimed)

    return do


def _claim(path: Path, size: int) -> None:
    """The last member's entry in the directory says that it unpacks to so many bytes."""
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    path.write_bytes(data)


@functools.cache
def _zeros() -> bytes:
    return bytes(300 * 2**20)


def _archives():
    for what, spoil in (
        ("a bomb of 300 MB", lambda: _member(IMAGE, _zeros())()),
        ("a member that claims 4 GB", _member(IMAGE, ECSSD[IMAGE], 2**32 - 2)),
        ("a member that claims 10 bytes", _member(IMAGE, ECSSD[IMAGE], 10)),
        ("a member of another place", _member("../../images/0001.jpg", ECSSD[IMAGE])),
    ):
        yield BUILD_ECSSD, what, spoil, "images.zip|0001|no mask"
    for what, spoil in (
        ("cut off", damage.cut("published/images.zip")),
        ("of zero bytes", damage.write("published/images.zip")),
        ("that is text", damage.file("published/images.zip")),
        ("that is a pipe", damage.pipe("published/images.zip")),
        ("that is a link to itself", damage.loop("published/images.zip")),
        ("that is a folder", damage.folder("published/images.zip")),
    ):
        spoil = damage.all_of(published(BUILD_ECSSD, True), spoil)
        yield BUILD_ECSSD, f"an archive {what}", spoil, "images.zip|No images and masks"


SET = "built/ecssd/1.0.0"
RECORDS = f"{SET}/ecssd-train.array_record-00000-of-00001"
OF_A_SET: Mapping[str, Damage] = {
    **{
        f"a byte at {at:.1%} of its records": damage.flip(RECORDS, at)
        for at in (0.0, 1e-4, 3e-4, 1e-3, 0.01, 0.02, 0.04, 0.3, 0.49999, 0.5001, 0.501, 0.6, 0.99)
    },
    "records cut off": damage.cut(RECORDS),
    "records of zero bytes": damage.write(RECORDS),
    "records that are text": damage.file(RECORDS),
    "no records": damage.missing(RECORDS),
    "records that are a folder": damage.folder(RECORDS),
    "records that are a link to themselves": damage.loop(RECORDS),
    **{
        f"{name} {what}": spoil(f"{SET}/{name}")
        for name in ("dataset_info.json", "features.json", "checksums.json")
        for what, spoil in {
            "of zero bytes": damage.write,
            "cut off": damage.cut,
            "that is text": damage.file,
            "with another byte": damage.flip,
            "that is a list": lambda path: damage.write(path, "[1, 2]"),
            "that is null": lambda path: damage.write(path, "null"),
            "that is a folder": damage.folder,
            "that is a link to itself": damage.loop,
            "of other bytes": lambda path: damage.write(path, b"\xff\xfe\0\1"),
        }.items()
    },
}


def _info(**changes) -> Damage:
    """`dataset_info.json` with other values, of a set without checksums."""

    def do() -> None:
        path = Path(f"{SET}/dataset_info.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        Path(f"{SET}/checksums.json").unlink()

    return do


OF_AN_EARLIER_SET: Mapping[str, Damage] = {
    **{
        name: damage.all_of(damage.missing(f"{SET}/checksums.json"), spoil)
        for name, spoil in OF_A_SET.items()
        # Nothing is read with what is in `features.json`, and padding holds nothing.
        if not name.startswith(("checksums.json", "features.json", "a byte at"))
    },
    "the name as a number": _info(name=3),
    "splits that are null": _info(splits=None),
    "splits that are text": _info(splits="train"),
    "splits without name": _info(splits=[{"numBytes": "3"}]),
    "lengths as text": _info(splits=[{"name": "train", "shardLengths": ["many"]}]),
    "another version": _info(version="9.9.9"),
    "a version that is none": _info(version="first"),
    "lengths below 0": _info(splits=[{"name": "train", "shardLengths": ["-3"]}]),
    "more shards than there are": _info(
        splits=[{"name": "train", "shardLengths": ["2", "1"], "numBytes": "9"}]
    ),
}
CASES: list[Case] = [
    *(
        Command(f"data build: {what}", line, spoil, says, leaves=())
        for source in (_places, _lists, _names, _archives)
        for line, what, spoil, says in source()
    ),
    Command(
        "data build: all is well",
        BUILD_ECSSD,
        published(BUILD_ECSSD, True),
        "3 examples",
        0,
        ("sets/*",),
    ),
    Command("data preview: a built set", PREVIEW, says="1 examples", status=0, leaves=("*.png",),
            wants=("built",)),
    *(
        Command(f"{line.split(' --')[0]}: a built set with {name}", line, spoil, "ecssd|built",
                wants=("built",))
        for line in (PREVIEW, BUILD_ECSSD.replace("published", "clip").replace("sets", "built"))
        for name, spoil in OF_A_SET.items()
    ),
    *(
        Command(f"data preview: an earlier set with {name}", PREVIEW, spoil, "ecssd|built",
                wants=("built",))
        for name, spoil in OF_AN_EARLIER_SET.items()
    ),
]  # fmt: skip
