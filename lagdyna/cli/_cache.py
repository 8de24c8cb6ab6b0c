"""Compiled programs that are kept from one command to the next."""

import hashlib
import os
import platform
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

from .._private_directory import is_private

CACHE = "LAGDYNA_CACHE"
_OFF = "off"
_JAX = "JAX_COMPILATION_CACHE_DIR"
_OLD = 30 * 86_400  # seconds after which a program that nobody has written again is deleted
_LIMIT_BYTES = 2 * 2**30
_WRITER = ".writer-"


def use_cache() -> None:
    """Let JAX keep compiled programs in the user's cache directory, before it is imported.

    The environment variable `LAGDYNA_CACHE` names another directory, or is `off`. A directory
    of JAX's own variable is left as it is. Programs of other versions, another processor or
    another user are in other directories, and one that others can write to is not used. Where
    anything fails, programs are compiled as without a cache.
    """
    chosen = os.environ.get(CACHE, "")
    if chosen == _OFF or _JAX in os.environ:
        return
    base = Path(chosen) if chosen else user_cache_path("lagdyna") / "programs"
    directory = base / _fingerprint()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not is_private(directory):
            return
        clean(directory)
        # JAX does not write its files as a whole. The next command deletes what a process
        # that was killed may have left half written; this marks when we began.
        (directory / f"{_WRITER}{os.getpid()}").touch()
    except OSError:
        return
    os.environ[_JAX] = str(directory)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


def leave_cache(interrupted: bool = False) -> None:
    """Say that this process has written its programs; not called by one that is killed.

    **Arguments:** `interrupted`, whether it may have been interrupted while it wrote one, which
    is the newest; that is deleted.
    """
    if _JAX not in os.environ:
        return
    directory = Path(os.environ[_JAX])
    marker = directory / f"{_WRITER}{os.getpid()}"
    with suppress(OSError):
        if interrupted and marker.exists():
            programs = [x for x in directory.iterdir() if not x.name.startswith(_WRITER)]
            newest = max(programs, key=lambda x: x.stat().st_mtime, default=None)
            if newest is not None and newest.stat().st_mtime >= marker.stat().st_mtime:
                newest.unlink(missing_ok=True)
        marker.unlink(missing_ok=True)


def clean(directory: Path) -> None:
    """Delete programs that may be half written, old ones, and the oldest beyond a size."""
    dead = [path for path in directory.glob(f"{_WRITER}*") if not _runs(path)]
    doubtful = min((path.stat().st_mtime for path in dead), default=float("inf"))
    kept = []
    for path in directory.iterdir():
        if path.name.startswith(_WRITER) or not path.is_file():
            continue
        status = path.stat()
        # Timestamps of files may be a little earlier than the clock.
        if status.st_mtime >= doubtful - 1 or time.time() - status.st_mtime > _OLD:
            path.unlink(missing_ok=True)
        else:
            kept.append((status.st_mtime, status.st_size, path))
    for path in dead:
        path.unlink(missing_ok=True)
    size = sum(each for _, each, _ in kept)
    for _, each, path in sorted(kept):
        if size <= _LIMIT_BYTES:
            break
        path.unlink(missing_ok=True)
        size -= each


def _runs(path: Path) -> bool:
    """Whether the process that a file is named after runs."""
    number = path.name.removeprefix(_WRITER)
    if not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _fingerprint() -> str:
    """Digest of what compiled programs depend on: versions, and the processor."""
    parts = [f"{name} {version(name)}" for name in ("jax", "jaxlib")]
    parts += [platform.python_version(), platform.system(), platform.machine(), _processor()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """Describe the processor with all its instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    first = text.partition("\n\n")[0]
    names = ("vendor_id", "model name", "flags", "Features")
    return "\n".join(line for line in first.splitlines() if line.startswith(names))
