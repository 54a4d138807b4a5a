"""Signals of a run. No Ray is started."""

import signal
import threading

import pytest

from raysearch.search.ray_cluster import as_ctrl_c, on_first_ctrl_c


def test_the_first_ctrl_c_is_an_action_and_the_next_one_interrupts():
    presses = []
    with on_first_ctrl_c(lambda: presses.append("first")):
        signal.raise_signal(signal.SIGINT)
        assert presses == ["first"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert presses == ["first"]
    with pytest.raises(KeyboardInterrupt):  # all is as before
        signal.raise_signal(signal.SIGINT)


def test_sigterm_is_a_ctrl_c():
    presses = []
    before = signal.getsignal(signal.SIGTERM)
    with as_ctrl_c(signal.SIGTERM), on_first_ctrl_c(lambda: presses.append("first")):
        signal.raise_signal(signal.SIGTERM)
    assert presses == ["first"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_background_command_whose_sigint_is_ignored_ends_with_sigterm():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with as_ctrl_c(signal.SIGTERM), on_first_ctrl_c(lambda: None):
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_receive_no_signals_and_change_no_handler():
    handlers = []

    def work():
        with on_first_ctrl_c(lambda: None), as_ctrl_c(signal.SIGTERM):
            handlers.extend(map(signal.getsignal, (signal.SIGINT, signal.SIGTERM)))

    expected = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == expected
