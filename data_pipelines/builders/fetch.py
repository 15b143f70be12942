"""Fetching what a publisher offers, with a progress bar and an end where nobody answers."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from ranet_jax.errors import InputError
from ranet_jax.io.atomic import replacing

_SECONDS = (10, 30)  # to connect, and between two pieces of an answer
_PIECE = 2**20


def fetch(url: str, folder: Path) -> Path:
    """A file of a publisher's, as `folder/NAME`; one that is there already is taken.

    Raises:
        InputError: it cannot be had, with the reason.
    """
    name = PurePosixPath(urlsplit(url).path).name
    path = folder / name
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with requests.get(url, stream=True, timeout=_SECONDS) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("Content-Length") or 0)
            with (
                replacing(path) as part,
                part.open("wb") as file,
                tqdm(total=total or None, unit="B", unit_scale=True, desc=name) as bar,
            ):
                for piece in answer.iter_content(_PIECE):
                    file.write(piece)
                    bar.update(len(piece))
                if total and file.tell() != total:
                    raise requests.ConnectionError(f"it ended after {file.tell()} of {total} bytes")
    except (requests.RequestException, ValueError) as error:
        raise InputError(
            f"{url} could not be fetched ({_reason(error)}): fetch it by hand and name its folder "
            "with --manual-dir."
        ) from None
    return path


def _reason(error: Exception) -> str:
    # Errors of `requests` are OSErrors, whose own text is lost when they get the name of a file.
    text = str(error.args[0]) if error.args else type(error).__name__
    # In the middle of an answer a time-out comes as another error.
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return "nobody answers"
    if isinstance(error, requests.HTTPError):
        return f"the answer is {error.response.status_code} {error.response.reason}"
    return "no connection" if "ConnectionPool(" in text else text
