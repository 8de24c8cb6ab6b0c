import os
import signal
import time
from pathlib import Path

import pytest

from lagdyna.cli._interruption import insistent_interruption, interruptible


class Careless:
    """Object whose destructor is interrupted; Python drops exceptions raised there."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dropped_interruption_is_repeated() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    survived = False
    with pytest.raises(KeyboardInterrupt), insistent_interruption():
        Careless()
        survived = True  # the first exception is dropped
        time.sleep(10)
    assert survived
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)) == before
    time.sleep(1.1)  # no timer is left


def test_an_interruption_that_is_noticed_comes_once() -> None:
    with pytest.raises(KeyboardInterrupt), insistent_interruption():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    time.sleep(1.1)


def test_an_interrupted_run_tells_how_to_resume_it(capsys: pytest.CaptureFixture) -> None:
    def program() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interruptible(program, Path("runs/one"))
    assert "`lagdyna resume runs/one`" in capsys.readouterr().out
    assert interruptible(lambda: 3, Path("runs/one")) == 3
