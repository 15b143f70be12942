"""`ranet convert` and `ranet pack`: files with weights, and what is made of them."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from faults import damage
from faults.judge import Command

CONVERT = "convert weights.npz out"
PACK = "pack network out.npz"


def arrays(**values) -> Callable[[], None]:
    """`weights.npz` holds these, `__` in a name being a dot."""

    def do() -> None:
        named = {name.replace("__", "."): value for name, value in values.items()}
        np.savez("weights.npz", **named, allow_pickle=True)

    return do


def member(content: bytes, name: str = "a.npy", **settings) -> Callable[[], None]:
    """`weights.npz` has one member, of these bytes."""

    def do() -> None:
        with zipfile.ZipFile("weights.npz", "w", **settings) as archive:
            archive.writestr(name, content)

    return do


def header(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """Of an array, without its values."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def _bomb() -> None:
    with zipfile.ZipFile("weights.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header((10**6,)) + bytes(4 * 10**6))
    _claim("weights.npz", 2**32 - 2)


def _claim(path: str, size: int) -> None:
    """The directory at the end claims that the last member unpacks to so many bytes."""
    content = bytearray(Path(path).read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    Path(path).write_bytes(content)


def packed(content: bytes, claimed: int | None = None) -> Callable[[], None]:
    """`network.npz` has one member more, which perhaps claims another size."""

    def do() -> None:
        with zipfile.ZipFile("network.npz", "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("extra/kernel.npy", content)
        if claimed is not None:
            _claim("network.npz", claimed)

    return do


PACKED: Mapping[str, Callable[[], object]] = {
    "that claims to unpack to 4 GB": packed(header((9,)) + bytes(36), 2**32 - 2),
    "that claims 3 GB": packed(header((9,)) + bytes(36), 3 * 2**30),
    "with a member that claims 3 bytes": packed(header((9,)) + bytes(36), 3),
    "with a bomb": packed(header((10**7,)) + bytes(4 * 10**7)),
    "with a shape that no memory holds": packed(header((10**6, 10**6))),
    "with a shape of 8 GB": packed(header((2**31,))),
    "with a shape beyond 64 bits": packed(header((2**40, 2**40))),
    "with a negative shape": packed(header((-1, 3))),
    "with texts": packed(header((2,), "<U3") + bytes(24)),
    "with Python objects": packed(header((1,), "|O")),
    "with a member that is no array": packed(b"text"),
    "with an array too many": packed(header((9,)) + bytes(36)),
}


ONE = np.ones((64, 3, 7, 7), np.float32)
CONTENTS: Mapping[str, tuple[Callable[[], object], str]] = {
    "of an unknown network": (lambda: None, "unknown|missing"),
    "of zero bytes": (damage.write("weights.npz"), "weights.npz"),
    "cut off": (damage.cut("weights.npz"), "weights.npz"),
    "cut off at its start": (damage.cut("weights.npz", 0.01), "weights.npz"),
    "that is text": (damage.file("weights.npz"), "weights.npz"),
    "that is missing": (damage.missing("weights.npz"), "no file weights.npz"),
    "that is a folder": (damage.folder("weights.npz"), "weights.npz"),
    "that is a pipe": (damage.pipe("weights.npz"), "weights.npz"),
    "that is a link to itself": (damage.loop("weights.npz"), "weights.npz"),
    "with a byte that is another": (damage.flip("weights.npz"), "weights.npz"),
    "that is an image": (damage.image("weights.png"), "unknown|missing"),
    "without arrays": (arrays(), "no arrays|no real"),
    "with text": (arrays(conv1__weight=np.array("text")), "no real numbers"),
    "with texts": (arrays(conv1__weight=np.array(["a", "b"])), "no real numbers"),
    "with complex numbers": (arrays(conv1__weight=ONE.astype(complex)), "no real numbers"),
    "with dates": (arrays(conv1__weight=np.array(["2020"], "M8[D]")), "no real numbers"),
    "with records": (arrays(a=np.zeros(3, [("x", "f4")])), "no real numbers"),
    "with Python objects": (arrays(a=np.array([{}, None], object)), "readable|no real"),
    "with NaN": (arrays(conv1__weight=ONE * np.nan), "conv1.weight"),
    "with infinity": (arrays(conv1__weight=ONE * np.inf), "conv1.weight"),
    "with one NaN": (arrays(a=np.where(np.arange(9) == 4, np.nan, 1)), "infinite or no numbers"),
    "beyond float32": (arrays(a=np.array([1e300])), "infinite or no numbers"),
    "with a scalar": (arrays(conv1__weight=np.float32(1)), "wrongly shaped|missing"),
    "with a scalar of the network": (
        arrays(L4__2__weight=np.float32(1), base_model__a=ONE),
        "unknown|missing",
    ),
    "with an odd layer": (
        arrays(L4__2__weight=np.ones((9, 9, 7, 7)), base_model__a=ONE),
        "unknown|missing",
    ),
    "with 10,000 names": (
        lambda: np.savez("weights.npz", **{f"name{i:05d}": np.float32(i) for i in range(10_000)}),
        "and 9990 more",
    ),
    "with a name twice": (arrays(module__a=ONE, a=ONE), "same names"),
    "with a name of 5,000 letters": (arrays(**{"n" * 5000: ONE}), "unknown"),
    "with a name with a line break": (member(header((0,)), "a\nb.npy"), "unknown|missing"),
    "with a shape that no memory holds": (member(header((10**6, 10**6))), "weights.npz"),
    "with a shape beyond 64 bits": (member(header((2**40, 2**40))), "weights.npz"),
    "with a negative shape": (member(header((-1, 3))), "weights.npz"),
    "with a member that is no array": (member(b"text"), "weights.npz"),
    "with a member that is another file": (member(b"text", "a.txt"), "no arrays|weights.npz"),
    "that claims to unpack to 4 GB": (_bomb, "GB|weights.npz"),
}

CASES = [
    *[
        Command(f"convert: weights {what}", CONVERT, spoil, says)
        for what, (spoil, says) in CONTENTS.items()
    ],
    *[
        Command(
            f"{line.split()[0]}: a packed network {what}", line, spoil, "network.npz", network=True
        )
        for line in (
            "segment clip --mask mask.png --checkpoint network.npz --out out",
            "pack network.npz out.npz",
        )
        for what, spoil in PACKED.items()
    ],
    Command("convert: a file that is neither", "convert mask.png out", says="neither .npz nor"),
    Command("convert: an address", "convert gs://bucket/weights.npz out", says="is an address"),
    Command(
        "convert: an address of another kind", "convert weights.npz ftp://host/out", says="gs://"
    ),
    Command("convert: out exists", "convert weights.npz network", says="network exists already"),
    Command("convert: objects by a word", f"{CONVERT} --objects many", says="invalid choice"),
    Command("convert: no file with a line break", ["convert", "a\nb.npz", "out"], says=r"a\\nb"),
    Command("convert: no file with an escape", ["convert", "\x1b[31m.npz", "out"], says=r"\\x1b"),
    Command("pack: all is well", PACK, status=0, says="MB", leaves=("out.npz",)),
    Command("pack: out exists", "pack network network.npz", says="exists already"),
    Command("pack: out is no .npz", "pack network out.zip", says=".npz"),
    Command("pack: out is a folder", PACK, damage.folder("out.npz"), "out.npz exists"),
    Command("pack: no checkpoint", "pack none out.npz", says="none"),
    Command("pack: one of two checkpoints", "pack network none out.npz", says="none"),
    *[
        Command(f"pack: --limit {value}", f"{PACK} --limit={value}", says="limit|large|bytes")
        for value in ("0", "-1", "nan", "inf", "1e999", "much", "0.000001")
    ],
]
