"""The page with a small network behind it, in a server of this process."""

import tempfile
import threading
import time

import pytest
import uvicorn
from page_clip import HEIGHT, LIMIT, WIDTH, write_clip

from ranet_jax.checkpoints import checkpoint
from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.web.app import create_app
from ranet_jax.web.tabs import Settings


@pytest.fixture(scope="module")
def work(tmp_path_factory, small):
    """A rendered clip as a video, the masks of its frames, and a checkpoint."""
    folder = tmp_path_factory.mktemp("page")
    write_clip(folder)
    checkpoint.save(folder / "checkpoint", *small(), trained=True)
    return folder


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Where the sessions' temporary folders are made."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("storage")
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def address(work, browser, storage):
    """Of the page; the server runs in a thread of this process."""
    size = (HEIGHT, WIDTH)
    network = checkpoint.load(work / "checkpoint", precision="float32")
    words = ("--checkpoint", str(work / "checkpoint"), "--size", f"{HEIGHT}x{WIDTH}")
    settings = Settings(lambda: Segmenter(*network, size=size), None, "token", LIMIT, words, size)
    config = uvicorn.Config(create_app(settings), port=0, ws="websockets-sansio", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/token/"
    server.should_exit = True
    thread.join()
