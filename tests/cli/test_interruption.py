import os
import signal
import time

import pytest

from lagdyna.cli._interruption import insistent_interruption


class Careless:
    """Python drops what is raised while it is destroyed."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_was_dropped_comes_again() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    survived = False
    with pytest.raises(KeyboardInterrupt), insistent_interruption():
        Careless()
        survived = True  # the first one is lost
        time.sleep(10)
    assert survived
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)) == before
    time.sleep(1.1)  # no timer is left that would interrupt what follows


def test_an_interruption_that_is_noticed_comes_once() -> None:
    with pytest.raises(KeyboardInterrupt), insistent_interruption():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    time.sleep(1.1)
