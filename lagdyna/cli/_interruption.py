import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = 1.0


@contextmanager
def insistent_interruption() -> Iterator[None]:
    """Within it Ctrl-C interrupts even if the exception that it raises is dropped.

    Python prints and drops what is raised in a callback of the garbage collector, and JAX
    has one, so now and then a `KeyboardInterrupt` would be lost and the program run on. Here
    it is raised again every second until it has left the block.
    """
    threads = threading.current_thread() is threading.main_thread()
    if not (threads and hasattr(signal, "setitimer")):  # only where such timers exist
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
