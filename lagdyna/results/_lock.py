"""Locks of run directories: one process at a time writes to a run."""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from .._errors import UserError
from ._files import LOCK_FILE, check_empty, new_directory, remove_temporaries

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_PAUSE = 0.05  # seconds between two attempts


class InUse(UserError):
    """Another process holds the lock of a directory."""


@contextmanager
def new_run(out: Path) -> Iterator[Path]:
    """Create the directory of a new run, or use an empty one, and lock it.

    **Returns:** a context manager that gives the path, and unlocks the directory at its end.

    **Raises:** `UserError` if the directory is not empty, is in use, or cannot be written.
    """
    path = new_directory(out)
    with locked(path):
        check_empty(path)  # another process may have been faster
        yield path


@contextmanager
def locked(*directories: Path, patience: float = 0.0) -> Iterator[None]:
    """Lock run directories, so that no other process writes to them.

    The operating system holds the locks: those of a process that was killed are free. Files
    that such a process left half written are removed.

    **Arguments:** `patience`, seconds to wait for a lock that another process holds.

    **Raises:** [`lagdyna.results.InUse`][], a `UserError`, if another process holds one of the
    locks; `UserError` if a directory cannot be written.
    """
    with ExitStack() as stack:
        for directory in directories:
            stack.enter_context(_locked(directory, patience))
            remove_temporaries(directory)
        yield


@contextmanager
def _locked(directory: Path, patience: float) -> Iterator[None]:
    path, end = directory / LOCK_FILE, time.monotonic() + patience
    while True:
        try:
            handle = _acquire(path)
        except InUse:
            if time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)
        else:
            break
    try:
        yield
    finally:
        # Removed before it is unlocked; nobody can hold a lock on a file without a name.
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def _acquire(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    while True:
        try:
            handle = os.open(path, flags, 0o666)
        except OSError as error:
            raise UserError(
                f"{str(path.parent)!r} cannot be written: {error.strerror}; a directory that "
                "can be written is needed"
            ) from error
        try:
            owner = _owner(handle)
            if not _take(handle, owner):
                raise InUse(_in_use(path, owner))
            # The process before may have removed the file since it was opened.
            if path.exists() and os.stat(path).st_ino == os.fstat(handle).st_ino:
                with suppress(OSError):  # a full disk; the lock itself needs no space
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, json.dumps(_this_process()).encode(), 0)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, owner: dict[str, Any]) -> bool:
    """Lock an open file, unless another process has."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return False
            # Some network file systems have no locks; what the file says has to do.
        else:
            return True
    return not _is_running(owner)


def _owner(handle: int) -> dict[str, Any]:
    """Read what the process that holds, or held, a lock wrote about itself."""
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _this_process() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "began": _began(os.getpid()),
        "host": socket.gethostname(),
        "boot": _boot(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _boot() -> str | None:
    """Identify the boot of this machine, on Linux."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None


def _began(pid: int) -> str | None:
    """Find out when a process began, on Linux: numbers of processes are used again."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def _is_running(owner: dict[str, Any]) -> bool:
    """Whether the process that an unlocked file names may still be running."""
    pid = owner.get("pid")
    if type(pid) is not int or pid == os.getpid():
        return False
    if owner.get("host") != socket.gethostname():
        return True
    if owner.get("boot") != _boot():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # of another user
    return owner.get("began") == _began(pid)


def _in_use(path: Path, owner: dict[str, Any]) -> str:
    who, host = "another process", owner.get("host")
    if type(owner.get("pid")) is int:
        who = f"process {owner['pid']} on host {str(host)!r} since {owner.get('since')}"
    text = (
        f"{str(path.parent)!r} is in use by {who}, and a run is written by one process at a "
        "time; wait until it ends, or stop it"
    )
    if host is not None and host != socket.gethostname():
        text += f". If that host is gone, delete {str(path)!r}"
    return text


def abandon(run: Path) -> None:
    """Remove what this process, which is about to end, would leave in a run: its lock, files
    that are half written, and the directory if nothing else is there.
    """
    with suppress(OSError):
        remove_temporaries(run)
        for path in run.rglob(LOCK_FILE):
            path.unlink()
        run.rmdir()
