"""Lists of the videos of a split, as DAVIS packages them in `ImageSets`."""

from pathlib import Path, PurePath

from ranet_jax.errors import InputError
from ranet_jax.io.paths import is_plain_name, refuse_special
from ranet_jax.io.settings import shown


def parse_list(text: str, source: str) -> dict[str, list[tuple[str, str]]]:
    """The videos of a list, in its order.

    A line is the name of a video (DAVIS-2017), or the paths of a frame and its mask, such as
    `/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png` (DAVIS-2016).

    Args:
        text: of the list.
        source: what to call it in an error.

    Returns:
        For each video its pairs of paths, without a slash in front; none where names are listed.

    Raises:
        InputError: there is none, a line is neither a name nor a pair of paths, or a name is no
            plain file name, such as `..` or one with a separator in it.
    """
    videos: dict[str, list[tuple[str, str]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        paths = [path.removeprefix("/").split("/") for path in line.split()]
        # These become paths that are read and written.
        if bad := [part for path in paths for part in path if not is_plain_name(part)]:
            raise InputError(
                f"{source} lists {shown(line.strip())} in line {number}, in which {shown(bad[0])} "
                "is no plain file name: correct the list."
            )
        if [len(path) for path in paths] == [1]:
            videos.setdefault(paths[0][0], [])
        elif len(paths) == 2 and min(map(len, paths)) > 1 and _belong(*paths):
            frame, mask = ("/".join(path) for path in paths)
            videos.setdefault(paths[0][-2], []).append((frame, mask))
        else:
            raise InputError(
                f"{source} lists {shown(line.strip())} in line {number}, which is neither the name "
                "of a video nor the paths of a frame and its mask: correct the list."
            )
    if not videos:
        raise InputError(f"{source} is empty: it has to name a video in each line.")
    return videos


def read_list(path: Path) -> list[str]:
    """Names of the videos in a list file, in its order, each once.

    Raises:
        InputError: the file cannot be read as text; and as `parse_list`.
    """
    refuse_special(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"The split list {path} cannot be read ({reason}).") from error
    return list(parse_list(decode_list(data, f"The split list {path}"), f"The split list {path}"))


def decode_list(data: bytes, source: str) -> str:
    """The text of a list.

    Raises:
        InputError: it is no text in UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is no text in UTF-8: save it as that.") from error


def _belong(frame: list[str], mask: list[str]) -> bool:
    """Whether two paths are those of a frame and the mask of the same frame."""
    return frame[-2] == mask[-2] and PurePath(frame[-1]).stem == PurePath(mask[-1]).stem
