"""The files of a published dataset, unpacked or still in its zip archives, under one kind of
path."""

import collections
import dataclasses
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from data_pipelines.builders.fetch import fetch
from ranet_jax.errors import InputError
from ranet_jax.io.settings import shown

MAX_MEMBER = 2**28  # bytes; no published image or list comes near


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
        (data,) = self.read_many([path])
        return data

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """The bytes of files in turn; an archive is opened once, not once a file.

        Raises:
            InputError: a member of an archive is damaged, encrypted or far too large.
        """
        archives: dict[Path, zipfile.ZipFile] = {}
        try:
            for path in paths:
                location, member = self.files[path]
                if member is None:
                    yield location.read_bytes()
                    continue
                if location not in archives:
                    archives[location] = zipfile.ZipFile(location)
                yield _read_member(archives[location], member)
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

    Raises:
        InputError: an archive cannot be read, or not be fetched.
    """
    try:
        manual = open_tree([dl_manager.manual_dir], archives)
    except AssertionError:  # TFDS's way to say that the folder is missing or empty.
        manual = FileTree({})
    if manual.files or not urls:
        return manual
    return open_tree(fetch(url, Path(dl_manager.download_dir)) for url in urls)


def _read_member(archive: zipfile.ZipFile, member: str) -> bytes:
    try:
        if archive.getinfo(member).file_size > MAX_MEMBER:
            raise ValueError(f"it claims more than {MAX_MEMBER >> 20} MiB")
        return archive.read(member)
    # Encrypted members, unknown compressions, wrong checksums: zipfile raises each as something
    # else, and so do its decompressors.
    except Exception as error:
        raise InputError(
            f"{member} in {archive.filename} cannot be read ({error}): fetch the archive again."
        ) from error


def _add_archive(files: dict, path: Path, folder: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
    except Exception as error:  # as above
        raise InputError(f"{path} is no readable zip archive ({error}): fetch it again.") from error
    if twice := [name for name, count in collections.Counter(members).items() if count > 1]:
        raise InputError(f"{path} holds {shown(twice[0])} twice: fetch it again.")
    prefix = "" if folder in ("", ".") else f"{folder}/"
    for member in members:
        files.setdefault(prefix + member, (path, member))


def _is_litter(path: str) -> bool:
    return "__MACOSX/" in path or path.rsplit("/", 1)[-1].startswith(".")
