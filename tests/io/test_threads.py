import os
import signal
import threading
import time

import pytest

from ranet_jax.cli import main
from ranet_jax.io import threads


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there, a signal raises at once")
def test_a_signal_does_not_break_off_the_start_of_a_thread(monkeypatch):
    start, done = threading.Thread.start, []

    def end_and_start(thread):
        os.kill(os.getpid(), signal.SIGTERM)
        start(thread)

    def work():
        time.sleep(0.3)
        done.append("the work")

    def run(arguments):
        pool = threads.ThreadPool(1, "work")
        try:
            pool.submit(work)
            done.append("submitted")
            time.sleep(10)
        finally:
            pool.shutdown()

    monkeypatch.setattr(threading.Thread, "start", end_and_start)
    monkeypatch.setattr(main, "_run", run)
    with pytest.raises(SystemExit) as ended:
        main.main([])
    assert ended.value.code == 143
    assert done == ["submitted", "the work"]


def test_signals_wait_in_the_main_thread_alone():
    seen = []

    def in_a_thread():
        with threads.signals_wait():
            seen.append(threads.signals_are_waiting())

    other = threading.Thread(target=in_a_thread)
    other.start()
    other.join()
    with threads.signals_wait(), threads.signals_wait():
        seen.append(threads.signals_are_waiting())
    assert [*seen, threads.signals_are_waiting()] == [False, True, False]
