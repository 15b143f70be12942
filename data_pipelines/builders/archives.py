"""The files of a published dataset, unpacked or still in its zip archives, under one kind of
path."""

import dataclasses
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from ranet_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class FileTree:
    """Files by their path relative to where the dataset was put; archives count as unpacked where
    they lie."""

    files: dict[str, tuple[Path, str | None]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __contains__(self, path: str) -> bool:
        return path in self.files

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        location, member = self.files[path]
        if member is None:
            return location.read_bytes()
        with zipfile.ZipFile(location) as archive:
            return archive.read(member)

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """The bytes of files in turn; an archive is opened once, not once a file."""
        archives: dict[Path, zipfile.ZipFile] = {}
        try:
            for path in paths:
                location, member = self.files[path]
                if member is None:
                    yield location.read_bytes()
                    continue
                if location not in archives:
                    archives[location] = zipfile.ZipFile(location)
                yield archives[location].read(member)
        finally:
            for archive in archives.values():
                archive.close()


def open_tree(places: Iterable[str | Path], archives: Iterable[str] = ()) -> FileTree:
    """Lists the files of folders and zip archives.

    Args:
        places: folders, searched to any depth, and zip archives.
        archives: names of the archives to look into when a folder holds them.

    Raises:
        InputError: an archive cannot be read.
    """
    wanted = {name.lower() for name in archives}
    files: dict[str, tuple[Path, str | None]] = {}
    for place in map(Path, places):
        if not place.is_dir():
            _add_archive(files, place, "")
            continue
        inside = sorted(path for path in place.rglob("*") if path.is_file())
        for path in inside:
            files.setdefault(path.relative_to(place).as_posix(), (path, None))
        for path in inside:
            if path.name.lower() in wanted:
                _add_archive(files, path, path.parent.relative_to(place).as_posix())
    return FileTree({path: entry for path, entry in files.items() if not _is_litter(path)})


def published_files(
    dl_manager: tfds.download.DownloadManager,
    *,
    archives: Iterable[str],
    urls: Iterable[str] = (),
) -> FileTree:
    """What the user put into `manual_dir`, or else what the publisher offers for direct download
    (an empty tree if not).

    Archives are read in place: nothing is unpacked.
    """
    try:
        manual = open_tree([dl_manager.manual_dir], archives)
    except AssertionError:  # TFDS's way to say that the folder is missing or empty.
        manual = FileTree({})
    if manual.files or not urls:
        return manual
    return open_tree(dl_manager.download(list(urls)))


def _add_archive(files: dict, path: Path, folder: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} is no readable zip archive ({error}): fetch it again.") from None
    prefix = "" if folder in ("", ".") else f"{folder}/"
    for member in members:
        files.setdefault(prefix + member, (path, member))


def _is_litter(path: str) -> bool:
    return "__MACOSX/" in path or path.rsplit("/", 1)[-1].startswith(".")
