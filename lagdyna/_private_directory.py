"""Directories that other users cannot write to."""

import os
import stat
from pathlib import Path


def is_private(directory: Path) -> bool:
    """Whether a directory is this user's, and nobody else can write to it."""
    if not hasattr(os, "getuid"):  # Windows, where the directory is within the user's profile
        return True
    status = directory.lstat()
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return mine and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
