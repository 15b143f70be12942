"""Files to and from the page, by HTTP."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from ranet_jax.errors import InputError
from ranet_jax.io.images import encode_image, read_image
from ranet_jax.web import downloads
from ranet_jax.web.clip import Budget, open_upload, read_truth, save_uploads
from ranet_jax.web.session import Session
from ranet_jax.web.tabs import Tabs

_MAX_FILES = 10000
_SHOWN = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}  # what browsers do
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class Files:
    """The handlers; an address begins with the name of a session."""

    def __init__(self, tabs: Tabs):
        """Of these tabs."""
        self._tabs = tabs

    async def upload_clip(self, request: Request) -> Response:
        """Opens a video, or images, that the page sends."""
        session, budget = self._tabs.find(request)
        with _folder_kept(session) as folder:
            paths = await self._save(request, folder / "upload", budget)
            clip = await run_in_threadpool(open_upload, paths, folder, budget)
        self._tabs.worker.call(session, lambda: session.open(clip), lambda: None)
        return JSONResponse({"frames": len(clip.video.files)})

    async def upload_known(self, request: Request) -> Response:
        """Takes masks to compare with."""
        session, budget = self._tabs.find(request)
        if session.clip is None:
            raise InputError("There is no clip yet: open one first.")
        with _folder_kept(session) as folder:
            paths = await self._save(request, folder / "upload", budget)
            masks = await run_in_threadpool(read_truth, paths, session.clip.names)
        self._tabs.worker.call(session, lambda: session.know(masks), lambda: None)
        return JSONResponse({"masks": len(masks)})

    async def _save(self, request: Request, folder: Path, budget: Budget) -> list[Path]:
        """The files of a form, in a folder that is made."""

        async def counted() -> AsyncIterator[bytes]:
            async for part in request.stream():
                budget.take(len(part))
                yield part

        parser = MultiPartParser(request.headers, counted(), max_files=_MAX_FILES)
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError) as error:
            raise InputError("The upload was cut off, or is no form; send it again.") from error
        try:
            uploads = [(file.filename or "", file.file) for file in form.getlist("files")]
        except AttributeError as error:
            raise InputError("The upload holds no files; choose some.") from error
        if not uploads:
            raise InputError("The upload holds no files; choose some.")
        try:
            return await run_in_threadpool(save_uploads, uploads, folder)
        finally:
            await form.close()

    async def frame(self, request: Request) -> Response:
        """The image of a frame."""
        session, _ = self._tabs.find(request)
        frames = session.clip.video.files if session.clip else ()
        index = request.path_params["frame"]
        if index < len(frames) and frames[index].suffix.lower() not in _SHOWN:
            pixels = await run_in_threadpool(read_image, frames[index])
            return Response(encode_image(pixels), media_type="image/png", headers=HEADERS)
        return _file(frames, index)

    async def mask(self, request: Request) -> Response:
        """The mask of a frame, for a page that missed it."""
        session, _ = self._tabs.find(request)
        names = session.clip.names if session.clip else []
        paths = [session.results / f"{name}.png" for name in names]
        return _file(paths, request.path_params["frame"])

    async def command(self, request: Request) -> Response:
        """The command line that gives the same masks."""
        session, _ = self._tabs.find(request)
        if session.clip is None:
            raise InputError("There is no clip yet: open one first.")
        line = downloads.command_line(session, self._tabs.settings.network)
        return Response(line, media_type="text/plain")

    async def download(self, request: Request) -> Response:
        """Masks, an overlay or cut-outs."""
        session, _ = self._tabs.find(request)
        writers = {
            "masks.zip": partial(downloads.write_masks, network=self._tabs.settings.network),
            "rgba.zip": downloads.write_cutouts,
            "overlay.mp4": downloads.write_movie,
        }
        name = request.path_params["name"]
        if name not in writers:
            return JSONResponse({"error": f"There is no download {name}."}, 404)
        with _folder_kept(session) as folder:
            await run_in_threadpool(writers[name], session, folder / name)
        return FileResponse(folder / name, filename=name, headers=HEADERS)


@contextmanager
def _folder_kept(session: Session) -> Iterator[Path]:
    """A folder of the session; it is kept if all goes well."""
    try:
        folder = Path(tempfile.mkdtemp(dir=session.folder))
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except FileNotFoundError as error:
        if session.folder.is_dir():
            raise
        raise InputError("This page's session has ended; reload the page.") from error


def _file(paths: Sequence[Path], index: int) -> Response:
    if not 0 <= index < len(paths) or not paths[index].is_file():
        return JSONResponse({"error": f"There is no frame {index}."}, 404)
    return FileResponse(paths[index], headers=HEADERS)
