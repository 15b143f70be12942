"""Lists of the videos of a split, as DAVIS packages them in `ImageSets`."""

from pathlib import Path

from ranet_jax.errors import InputError


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
        InputError: a name is no plain folder name, such as `..` or one with a separator in it.
    """
    videos: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, map(str.split, text.splitlines())):
        paths = [path.removeprefix("/") for path in line[:2]]
        parts = [path.split("/") for path in paths]
        name = parts[0][-2] if len(parts[0]) > 1 else parts[0][0]
        # These become paths that are read and written.
        if bad := [part for path in parts for part in path if not _is_plain(part)]:
            raise InputError(
                f"{source} lists {' '.join(line)}, in which {bad[0]!r} is no plain file name: "
                "correct the list."
            )
        pairs = videos.setdefault(name, [])
        if len(parts[0]) > 1 and len(paths) > 1:
            pairs.append((paths[0], paths[1]))
    return videos


def read_list(path: Path) -> list[str]:
    """Names of the videos in a list file, in its order, each once.

    Raises:
        InputError: the file cannot be read as text; and as `parse_list`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The split list {path} cannot be read as text: {error}.") from error
    return list(parse_list(text, f"The split list {path}"))


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and not any(c in part for c in "\\\0")
