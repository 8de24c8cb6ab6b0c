"""Signals that stop a command: Ctrl-C, TERM and HUP. Imports nothing that takes time."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

Outcome = TypeVar("Outcome")

_AGAIN = 0.5  # seconds until an interruption is raised again
_AT_LAST = 3.0  # seconds until the process ends in any case
_SHOW_CURSOR = "\x1b[?25h"


class Stop(KeyboardInterrupt):
    """Interruption by a signal.

    **Attributes:** `number`, of the signal.
    """

    def __init__(self, number: int):
        super().__init__()
        self.number = number


class _Signals:
    """Handlers of the signals that stop a command; a process has one of each.

    Python prints and drops exceptions in destructors and in callbacks of the garbage collector,
    and JAX has such a callback. The interruption is therefore raised again until the command
    has ended. A long call of the compiler delays it; so a thread, which the signal wakes, ends
    the process after a few seconds. That loses nothing, since files are replaced as a whole.
    """

    def __init__(self):
        self.directory: Path | None = None  # of the run that is being written
        self._first: int | None = None
        self._noticed = threading.Event()

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Create a context that signals leave by a `Stop`."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGINT, signal.SIGTERM]
        # `nohup` ignores HUP.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        alarm = [signal.SIGALRM] if hasattr(signal, "setitimer") else []  # not on Windows
        self._first = None
        self._noticed.clear()
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._stop) for number in (*numbers, *alarm)}
        threading.Thread(target=self._watch, args=(receiver, numbers), daemon=True).start()
        hook = sys.unraisablehook
        sys.unraisablehook = lambda dropped: (
            None if isinstance(dropped.exc_value, Stop) else hook(dropped)
        )
        try:
            yield
        finally:
            self.notice()
            sys.unraisablehook = hook
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            sender.close()  # the thread ends

    def notice(self) -> None:
        """Raise the interruption no more, since the command is ending."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._noticed.set()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._first is None:
            self._first = number
        if hasattr(signal, "setitimer") and not self._noticed.is_set():
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise Stop(self._first)

    def _watch(self, receiver: socket.socket, numbers: list[signal.Signals]) -> None:
        """Wait for a signal, and end the process if that has not happened soon after."""
        with receiver:
            while received := receiver.recv(1):
                if received[0] in numbers:
                    if not self._noticed.wait(_AT_LAST):
                        self._end(received[0])
                    return

    def _end(self, number: int) -> None:
        directory = self.directory
        try:
            if sys.stdout.isatty():
                print(_SHOW_CURSOR, end="")
            if directory is not None:
                from ..results import abandon

                print(_message(directory), flush=True)
                abandon(directory)
        finally:
            os._exit(128 + number)


signals = _Signals()


def interruptible(program: Callable[[], Outcome], directory: Path) -> Outcome:
    """Run a program; after an interruption say what is kept, and how to continue.

    **Arguments:** `directory`, of the run.
    """
    signals.directory = directory
    try:
        return program()
    except KeyboardInterrupt:
        signals.notice()
        from ._print import say

        say(_message(directory))
        raise
    finally:
        signals.directory = None


def _message(directory: Path) -> str:
    from ..runs import kept

    return f"interrupted; {kept(directory)}"
