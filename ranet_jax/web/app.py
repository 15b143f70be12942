"""The server of the page: HTTP for files, one WebSocket a tab for everything else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from ranet_jax.errors import InputError, explain
from ranet_jax.web.files import HEADERS, Files
from ranet_jax.web.tabs import Settings, Tabs

_PAGE = Path(__file__).parent / "page"
_DRAWING = Path(__file__).parents[1] / "notebook" / "mask_widget.js"


def create_app(settings: Settings) -> Starlette:
    """The application; its worker thread lives as long as it does."""
    tabs = Tabs(settings)
    files = Files(tabs)
    page = [
        Route("/", lambda request: FileResponse(_PAGE / "index.html", headers=HEADERS)),
        Route("/drawing.js", lambda request: FileResponse(_DRAWING, headers=HEADERS)),
        WebSocketRoute("/socket", tabs.socket),
        Route("/{session}/clip", files.upload_clip, methods=["POST"]),
        Route("/{session}/known", files.upload_known, methods=["POST"]),
        Route("/{session}/frames/{frame:int}", files.frame),
        Route("/{session}/masks/{frame:int}", files.mask),
        Route("/{session}/command", files.command),
        Route("/{session}/download/{name}", files.download),
        Mount("/", _Page(directory=_PAGE)),
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tabs.worker.start()
        try:
            yield
        finally:
            await run_in_threadpool(tabs.worker.stop)
            tabs.delete_folders()

    return Starlette(
        routes=[Mount(f"/{settings.token}", routes=page)],
        lifespan=lifespan,
        exception_handlers={
            InputError: _refuse,
            OSError: _refuse,
            ClientDisconnect: _gone,
            404: _unknown,
        },
    )


class _Page(StaticFiles):
    """The files of the page, never kept by a browser: another version may run here tomorrow."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers.update(HEADERS)
        return response


async def _refuse(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": explain(error)}, 400)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


def _unknown(request: Request, error: Exception) -> Response:
    message = "There is nothing at this address; open the link that ranet web printed."
    return JSONResponse({"error": message}, 404)
