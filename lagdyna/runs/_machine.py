"""Description of the machine and of the code of a run."""

import functools
import os
import platform
import subprocess
from pathlib import Path

_CLONE = Path(__file__).parents[2]
_INFO = Path("/proc/cpuinfo")


@functools.cache
def commit() -> str | None:
    """Look up the Git commit of lagdyna's code, with `-dirty` if files were changed.

    A process looks it up once.

    **Returns:** `None` if lagdyna was not installed from a clone, or there is no Git.
    """
    if not (_CLONE / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=_CLONE, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def processor() -> str:
    """Look up the name of the processor."""
    try:
        lines = _INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
