"""Fetching from a publisher: whole files, or one sentence."""

import http.server
import threading

import pytest

from data_pipelines.builders import fetch
from ranet_jax.errors import InputError

_BYTES = bytes(range(256)) * 5000


class _Publisher(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/gone.zip":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(_BYTES)))
        self.end_headers()
        if self.path == "/silent.zip":
            self.server.silence.wait(30)
        # The connection ends with the answer, which is too short for this one.
        self.wfile.write(_BYTES if self.path == "/whole.zip" else _BYTES[:1000])

    def log_message(self, *_):
        """Prints nothing."""


@pytest.fixture
def publisher():
    """The address of a server of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Publisher)
    server.silence = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.silence.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_once(publisher, tmp_path, capsys):
    path = fetch.fetch(f"{publisher}/whole.zip", tmp_path / "downloads")
    assert path == tmp_path / "downloads" / "whole.zip" and path.read_bytes() == _BYTES
    assert "whole.zip" in capsys.readouterr().err, "a progress bar"
    path.write_bytes(b"kept")
    assert fetch.fetch(f"{publisher}/whole.zip", path.parent).read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("name", "reason"), [("gone.zip", "404"), ("short.zip", ""), ("silent.zip", "nobody answers")]
)
def test_what_does_not_arrive_leaves_nothing(name, reason, publisher, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_SECONDS", (5, 0.3))
    with pytest.raises(InputError, match=f"could not be fetched .*{reason}.*--manual-dir"):
        fetch.fetch(f"{publisher}/{name}", tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_nobody_listens_it_is_said(tmp_path):
    with pytest.raises(InputError, match="no connection"):
        fetch.fetch("http://127.0.0.1:9/whole.zip", tmp_path)
