import threading

from ranet_jax.io import threads


def test_signals_wait_in_the_main_thread_alone():
    seen = []

    def in_a_thread():
        with threads.signals_wait():
            seen.append(threads.signals_must_wait())

    other = threading.Thread(target=in_a_thread)
    other.start()
    other.join()
    with threads.signals_wait(), threads.signals_wait():
        seen.append(threads.signals_must_wait())
    assert [*seen, threads.signals_must_wait()] == [False, True, False]
