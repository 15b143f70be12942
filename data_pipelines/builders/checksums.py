"""Checksums of a built set: what reads its files compares some of them and trusts the others.

They lie beside the files, in `checksums.json`. A set without it was built by an earlier version and
is taken as it is.
"""

import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from ranet_jax.errors import InputError, system_error
from ranet_jax.io.json_files import write_record
from ranet_jax.io.paths import is_plain_name
from ranet_jax.io.records import Record
from ranet_jax.io.settings import cut, setting

FILE = "checksums.json"


def _are_sums(values: Any) -> bool:
    return isinstance(values, dict) and all(
        is_plain_name(name) and isinstance(value, str) for name, value in values.items()
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checksums(Record):
    """Of the files of a set, those with its records included."""

    files: dict[str, str] = setting(_are_sums, "text by the name of a file", "of the files")


class CheckedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder whose sets have checksums, and that leaves nothing where it cannot build one."""

    def download_and_prepare(self, **arguments: Any) -> None:
        """See TFDS, which writes what the variants have in common before it builds one."""
        common = Path(self.data_dir).parents[1] / ".config"
        before = common.exists()
        try:
            super().download_and_prepare(**arguments)
        except BaseException as error:
            if not before:
                shutil.rmtree(common, ignore_errors=True)
            if downloads := arguments.get("download_dir"):
                _remove_empty(Path(downloads))
            # Where the disk is full, say, the library in C++ names no file.
            text = str(error).replace("Not enough disk space", os.strerror(errno.ENOSPC))
            named = isinstance(error, InputError) or getattr(error, "filename", None)
            if not named and (refused := system_error(text, str(self.data_dir))):
                raise refused from error
            raise

    def _post_download_and_prepare_hook(self) -> None:
        if self.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            write(Path(self.data_dir))


def _remove_empty(folder: Path) -> None:
    """Folders that hold nothing, from the innermost on."""
    for path, *_ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # it holds something
            Path(path).rmdir()


def write(folder: Path) -> None:
    """Writes the checksums of the files of a set that was built to array_record."""
    write_record(folder / FILE, {"files": {path.name: _digest(path) for path in _files(folder)}})


def check(builder: tfds.core.DatasetBuilder) -> bool:
    """Compares the files of a set with their checksums; False where it has none.

    Raises:
        InputError: they are damaged, or one of the files.
    """
    folder = Path(builder.data_dir)
    sums = Checksums.read_file(folder / FILE)
    if sums is None:
        return False
    for name, expected in sums.files.items():
        path = folder / name
        if not path.is_file() or _digest(path) != expected:
            raise damaged(folder, f"{name} is missing, or its checksum is another")
    return True


def verify(builder: tfds.core.DatasetBuilder) -> None:
    """Checks a built set. One that has no checksums yet is read to its end and gets them.

    Raises:
        InputError: it is damaged.
    """
    if not builder.info.splits:
        raise damaged(builder.data_dir, "it has no split")
    if check(builder):
        return
    try:
        for split in builder.info.splits:
            for _ in read_records(builder, split):
                pass
    except Exception as error:  # what reads the files
        raise damaged(builder.data_dir, cut(error)) from error
    write(Path(builder.data_dir))


def read_records(builder: tfds.core.DatasetBuilder, split: str) -> Any:
    """The encoded records of a split, a sequence."""
    return builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)


def damaged(folder: str | Path, reason: str) -> InputError:
    """What is said of a set that cannot be trusted."""
    return InputError(
        f"The built set {folder} is damaged ({reason}): remove that folder and build it "
        "again with `ranet data build`."
    )


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != FILE and not path.name.startswith("."):
            yield path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
