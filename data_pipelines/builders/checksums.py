"""Checksums of a built set: its files have none of their own that are looked at.

They lie beside the files, in `checksums.json`. A set without it was built by an earlier version and
is taken as it is.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from ranet_jax.errors import InputError
from ranet_jax.io.json_files import write_record
from ranet_jax.io.records import Record, items
from ranet_jax.io.settings import cut, setting

FILE = "checksums.json"
_ABOUT = ("dataset_info.json", "features.json")


def _are_sums(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(value, str) for value in values.values())


def _is_sum(value: Any) -> bool:
    return isinstance(value, str)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checksums(Record):
    """Of the files that describe a set, by name, and of all its records."""

    files: dict[str, str] = setting(_are_sums, "text by name", "of the files")
    records: tuple[str, ...] = items(_is_sum, "text", "of the records of all splits")


class CheckedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder whose sets have checksums."""

    def _post_download_and_prepare_hook(self) -> None:
        if self.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            write(self)


def write(builder: tfds.core.DatasetBuilder) -> None:
    """Writes the checksums of a set that was built to array_record."""
    records = {
        digest(record) for split in builder.info.splits for record in read_records(builder, split)
    }
    folder = Path(builder.data_dir)
    write_record(folder / FILE, {"files": dict(_describing(folder)), "records": sorted(records)})


def read(builder: tfds.core.DatasetBuilder) -> frozenset[str] | None:
    """The checksums of the records of a set; None where it has none.

    Raises:
        InputError: they are damaged, or the files that describe the set.
    """
    folder = Path(builder.data_dir)
    sums = Checksums.read_file(folder / FILE)
    if sums is None:
        return None
    found = dict(_describing(folder))
    for name in sums.files | found:
        if sums.files.get(name) != found.get(name):
            raise damaged(folder, f"{name} is missing, or its checksum is another")
    return frozenset(sums.records)


def verify(builder: tfds.core.DatasetBuilder) -> None:
    """Reads a built set to its end. One that has no checksums yet gets them.

    Raises:
        InputError: it is damaged.
    """
    if not builder.info.splits:
        raise damaged(builder.data_dir, "it has no split")
    sums = read(builder)
    try:
        if sums is None:
            write(builder)
            return
        found = {digest(r) for split in builder.info.splits for r in read_records(builder, split)}
    except Exception as error:  # what reads the files
        raise damaged(builder.data_dir, cut(error)) from error
    if found != sums:
        raise damaged(builder.data_dir, "the checksum of a record is another")


def digest(record: bytes) -> str:
    """The checksum of a record."""
    return hashlib.blake2b(record, digest_size=8).hexdigest()


def read_records(builder: tfds.core.DatasetBuilder, split: str) -> Any:
    """The encoded records of a split, a sequence."""
    return builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)


def damaged(folder: str | Path, reason: str) -> InputError:
    """What is said of a set that cannot be trusted."""
    return InputError(
        f"The built set {folder} is damaged ({reason}): remove that folder and build it "
        "again with `ranet data build`."
    )


def _describing(folder: Path) -> Iterator[tuple[str, str]]:
    for name in _ABOUT:
        if (folder / name).is_file():
            yield name, hashlib.sha256((folder / name).read_bytes()).hexdigest()
