"""The tabs that have the page open: a WebSocket and a session each."""

import asyncio
import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.websockets import WebSocket, WebSocketDisconnect

from ranet_jax.errors import InputError
from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.io.palette import id_palette
from ranet_jax.io.video_reader import open_video
from ranet_jax.web.clip import Budget, camera_clip, example_clip, open_clip
from ranet_jax.web.messages import CAMERA_FRAME, unpack
from ranet_jax.web.outbox import Outbox
from ranet_jax.web.session import Session
from ranet_jax.web.worker import Worker

_WAITING = 8  # messages of a page that were not worked on yet


@dataclass(frozen=True)
class Settings:
    """How the page is served.

    Attributes:
        segmenter: makes a segmenter; called in the thread of the device, once for a session.
        clip: a video file or folder that every tab opens at first; None for none.
        token: what an address must begin with.
        upload_limit: bytes that a session may put on the disk.
        network: arguments for the command line that the page shows.
        example_size: height and width of the built-in example.
    """

    segmenter: Callable[[], Segmenter]
    clip: Path | None
    token: str
    upload_limit: int
    network: Sequence[str] = ()
    example_size: tuple[int, int] = (480, 854)


class Tabs:
    """The sessions of all tabs, by random names, and the thread that works for them."""

    def __init__(self, settings: Settings):
        """Nobody is there yet."""
        self.settings = settings
        self._sessions: dict[str, Session] = {}
        self._budgets: dict[str, Budget] = {}
        self._compiled: set[int] = set()
        self.worker = Worker()

    def delete_folders(self) -> None:
        """Of tabs that are open at the end."""
        for session in self._sessions.values():
            shutil.rmtree(session.folder, ignore_errors=True)

    async def socket(self, socket: WebSocket) -> None:
        """One tab, from its first message to its last."""
        await socket.accept()
        name, outbox = secrets.token_urlsafe(12), Outbox()
        folder = Path(tempfile.mkdtemp(prefix="ranet-web-"))
        budget = Budget(self.settings.upload_limit)
        session = Session(self.settings.segmenter, outbox.put, folder, self._compiled, budget)
        self._sessions[name], self._budgets[name] = session, budget
        self.worker.add(session)
        outbox.put({"type": "session", "name": name, "palette": id_palette().tolist()})
        sender = asyncio.create_task(_send_all(socket, outbox))
        try:
            if self.settings.clip is not None:
                await self._guarded(outbox, self._open_given, session, budget)
            await self._receive_all(socket, session, outbox)
        finally:
            sender.cancel()
            self.worker.remove(session)
            del self._sessions[name], self._budgets[name]
            self.worker.call_anyway(partial(shutil.rmtree, folder, ignore_errors=True))

    async def _receive_all(self, socket: WebSocket, session: Session, outbox: Outbox) -> None:
        free, loop = asyncio.Semaphore(_WAITING), asyncio.get_running_loop()

        def done() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(free.release)

        while (message := await socket.receive())["type"] == "websocket.receive":
            try:
                if (data := message.get("bytes")) is not None:
                    call = _binary(session, data)
                    if call is None:
                        self.worker.wake()
                        continue
                else:
                    call = await self._text(session, message["text"])
            except InputError as error:
                outbox.put({"type": "error", "message": str(error)})
                continue
            # A page that sends faster than its messages are worked on has to wait.
            await free.acquire()
            self.worker.call(session, call, done)

    async def _text(self, session: Session, text: str) -> Callable[[], None]:
        try:
            action = json.loads(text)["action"]
        except (ValueError, TypeError, KeyError):
            action = None
        if action == "example":
            folder = Path(tempfile.mkdtemp(dir=session.folder))
            clip = await run_in_threadpool(example_clip, folder, *self.settings.example_size)
            return lambda: session.open(clip)
        if action == "camera":
            folder = Path(tempfile.mkdtemp(dir=session.folder))
            return lambda: session.open(camera_clip(folder))
        actions = {"track": session.track, "pause": session.pause, "stop": session.camera_off}
        if action not in actions:
            raise InputError("The page asked for something that is not known here; reload it.")
        return actions[action]

    async def _guarded(self, outbox: Outbox, function: Callable[..., None], *arguments) -> None:
        try:
            await run_in_threadpool(function, *arguments)
        except InputError as error:
            outbox.put({"type": "error", "message": str(error)})

    def _open_given(self, session: Session, budget: Budget) -> None:
        path = self.settings.clip
        folder = Path(tempfile.mkdtemp(dir=session.folder))
        clip = open_clip(open_video(path), str(path), folder, budget)
        self.worker.call(session, lambda: session.open(clip), lambda: None)

    def find(self, request: Request) -> tuple[Session, Budget]:
        """The session that an address names, and what it may still store."""
        name = request.path_params["session"]
        if name not in self._sessions:
            raise InputError("This page's session has ended; reload the page.")
        return self._sessions[name], self._budgets[name]


def _binary(session: Session, data: bytes) -> Callable[[], None] | None:
    kind, frame, image = unpack(data)
    if kind != CAMERA_FRAME:
        return lambda: session.paint(frame, image)
    if not frame:
        return lambda: session.take_still(image)
    # While the camera is followed, nothing but its newest frames waits.
    session.camera_frame(frame, image)
    return None


async def _send_all(socket: WebSocket, outbox: Outbox) -> None:
    try:
        while True:
            message = await outbox.get()
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_text(message)
    except (WebSocketDisconnect, RuntimeError):  # the tab is closed
        pass
