"""Signals that find the command at a bad moment."""

import contextlib
import os
import signal
import time

import pytest

from ranet_jax.cli import main as cli


class Interrupted:
    """Gets a signal while Python drops exceptions."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def take_everything():
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("interrupted", [Interrupted, take_everything])
def test_a_signal_ends_the_command_where_its_exception_is_dropped(monkeypatch, interrupted):
    tidied = []

    def command(_):
        interrupted()
        try:
            time.sleep(10)
        finally:
            time.sleep(3 * cli._AGAIN)  # the signal comes again meanwhile
            tidied.append(True)

    monkeypatch.setattr(cli, "_run", command)
    was = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main([])
    finally:
        signal.signal(signal.SIGTERM, was)
    assert ended.value.code == 143 and tidied
