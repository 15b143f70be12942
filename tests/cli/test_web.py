"""`ranet web`: what is refused before a page is there. The page itself: `tests/web`."""

import re
import socket

import pytest

from ranet_jax.cli import main as cli


def refused(capsys, sentence: str, *arguments: str) -> None:
    assert cli.main(["web", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(sentence, line), line


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(capsys, f"Cannot listen at port {port} of 127.0.0.1 .*--port", "--port", str(port))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("missing.mp4",), "There is no video missing.mp4"),
        (("--host", "192.0.2.1", "--port", "0"), "Cannot listen at port 0 of 192.0.2.1"),
    ],
)
def test_what_cannot_be_served(capsys, arguments, sentence):
    refused(capsys, sentence, *arguments)
