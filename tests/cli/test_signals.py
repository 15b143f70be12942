"""Signals that find the command at a bad moment."""

import contextlib
import os
import signal
import threading
import time

import pytest

from ranet_jax.cli import main as cli
from ranet_jax.io.threads import ThreadPool

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


class Interrupted:
    """Gets a signal while Python drops exceptions."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def take_everything():
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def make_a_class():
    class Attribute:
        def __set_name__(self, owner, name):
            signal.raise_signal(signal.SIGTERM)

    class Owner:  # Python 3.11 makes a RuntimeError of what is raised
        attribute = Attribute()


def make_an_error():
    try:
        make_a_class()
    except BaseException as error:
        raise ValueError("the file is damaged") from error


@pytest.fixture
def sigterm():
    was = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, was)


@POSIX
@pytest.mark.parametrize("interrupted", [make_a_class, make_an_error])
def test_a_signal_ends_the_command_where_its_exception_becomes_another(
    monkeypatch, sigterm, interrupted
):
    monkeypatch.setattr(cli, "_run", lambda _: interrupted())
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 143


@POSIX
def test_a_signal_does_not_break_off_the_start_of_a_thread(monkeypatch, sigterm):
    start, done = threading.Thread.start, []

    def end_and_start(thread):
        signal.raise_signal(signal.SIGTERM)
        start(thread)

    def work():
        time.sleep(3 * cli._AGAIN)
        done.append("worked")

    def command(_):
        pool = ThreadPool(1, "work")
        try:
            pool.submit(work)
            done.append("submitted")
            time.sleep(10)
        finally:
            pool.shutdown()

    monkeypatch.setattr(threading.Thread, "start", end_and_start)
    monkeypatch.setattr(cli, "_run", command)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 143
    assert done == ["submitted", "worked"]


@POSIX
@pytest.mark.parametrize("interrupted", [Interrupted, take_everything])
def test_a_signal_ends_the_command_where_its_exception_is_dropped(
    monkeypatch, sigterm, interrupted
):
    tidied = []

    def command(_):
        interrupted()
        try:
            time.sleep(10)
        finally:
            time.sleep(3 * cli._AGAIN)  # the signal comes again meanwhile
            tidied.append(True)

    monkeypatch.setattr(cli, "_run", command)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 143 and tidied
