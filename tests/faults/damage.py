"""Ways in which files are wrong. Each function returns what does the damage: a `spoil`."""

import os
import shutil
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

Damage = Callable[[], object]


def write(path: str, content: bytes | str = b"") -> Damage:
    """A file of that content, in a folder that is made."""

    def do() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.encode() if isinstance(content, str) else content)

    return do


def cut(path: str, keep: float = 0.6) -> Damage:
    """The file without its end."""

    def do() -> None:
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: int(len(content) * keep)])

    return do


def flip(path: str, at: float = 0.5) -> Damage:
    """One byte of the file is another."""

    def do() -> None:
        content = bytearray(Path(path).read_bytes())
        content[int(len(content) * at)] ^= 0xFF
        Path(path).write_bytes(content)

    return do


def missing(path: str) -> Damage:
    """The file or folder is not there."""

    def do() -> None:
        shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()

    return do


def pipe(path: str) -> Damage:
    """A named pipe, which nobody writes to, stands in its place."""

    def do() -> None:
        _clear(path)
        os.mkfifo(path)

    return do


def folder(path: str) -> Damage:
    """A folder, not empty, stands in its place."""

    def do() -> None:
        _clear(path)
        Path(path).mkdir()
        (Path(path) / "kept.txt").write_text("of the user")

    return do


def file(path: str) -> Damage:
    """A file of a few words stands in its place."""

    def do() -> None:
        _clear(path)
        Path(path).write_text("of the user")

    return do


def loop(path: str) -> Damage:
    """A link that leads to itself stands in its place."""

    def do() -> None:
        _clear(path)
        Path(path).symlink_to(Path(path).name)

    return do


def image(path: str, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Damage:
    """A whole image of another kind, width and height as Pillow has them."""

    def do() -> None:
        _clear(path)
        Image.new(mode, size).save(path)

    return do


def bomb(path: str, kind: str = "png") -> Damage:
    """A small file that claims to be an image of 60000x60000 pixels, whatever its name says."""
    return write(path, bomb_of(kind))


def bomb_of(kind: str) -> bytes:
    """The contents of such a file."""
    return _BOMBS[kind](60000)


def all_of(*damages: Damage) -> Damage:
    """One after the other."""

    def do() -> None:
        for damage in damages:
            damage()

    return do


def _clear(path: str) -> None:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)


def _png(side: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


def _jpeg(side: int) -> bytes:
    header = struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\0"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(header) + 2) + header + b"\xff\xda\0\x08"


def _bmp(side: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def _gif(side: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b"\x2c" + bytes(9)


def _ppm(side: int) -> bytes:
    return b"P6 %d %d 255\n" % (side, side)


def _tiff(side: int) -> bytes:
    tags = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, side), (279, 8)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


_BOMBS: Mapping[str, Callable[[int], bytes]] = {
    "png": _png,
    "jpeg": _jpeg,
    "bmp": _bmp,
    "gif": _gif,
    "ppm": _ppm,
    "tiff": _tiff,
}
BOMBS = tuple(_BOMBS)
# Of any one image.
IMAGE_DAMAGE: Mapping[str, Callable[[str], Damage]] = {
    "of zero bytes": write,
    "cut off": cut,
    "cut off in its header": lambda path: cut(path, 0.1),
    "that is no image": file,
    "that is a pipe": pipe,
    "that is a folder": folder,
    "that is a link to itself": loop,
    **{f"that is a {kind} of 60000x60000": (lambda p, k=kind: bomb(p, k)) for kind in _BOMBS},
}
