import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from ._print import say

Outcome = TypeVar("Outcome")

_AGAIN = 1.0  # seconds until an interruption is raised again


def interruptible(program: Callable[[], Outcome], directory: Path) -> Outcome:
    """Run a program; after Ctrl-C print the command that resumes it.

    **Arguments:** `directory`, of the run.
    """
    try:
        with insistent_interruption():
            return program()
    except KeyboardInterrupt:
        say(f"interrupted; `lagdyna resume {directory}` continues from what was finished")
        raise


@contextmanager
def insistent_interruption() -> Iterator[None]:
    """Create a context that Ctrl-C leaves even if its exception is dropped once.

    Python prints and drops exceptions in callbacks of the garbage collector, and JAX has such
    a callback. A `KeyboardInterrupt` there would be lost. In this context it is raised again
    every second until the block is left.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not (main_thread and hasattr(signal, "setitimer")):  # Windows has no such timer
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise KeyboardInterrupt

    both = (signal.SIGINT, signal.SIGALRM)
    before = [signal.signal(number, interrupt) for number in both]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(both, before, strict=True):
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
