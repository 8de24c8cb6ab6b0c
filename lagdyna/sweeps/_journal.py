"""Journal of a study, whole after a kill. Imports Optuna."""

import json
import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from ..results import cannot_write, locked
from ._checks import own_directory


class Journal(JournalFileBackend):
    """File of one JSON object a line, to which several processes append.

    Optuna reads no further than a line that a killed process left unfinished, and would append
    to that line. It is removed here first. Optuna's own lock also stays after a kill, and
    others would wait for it half a minute.

    **Arguments:** `path`, of the file; `guard`, directory that is locked to append.
    """

    def __init__(self, path: Path, guard: Path):
        self._path, self._guard = path, guard
        super().__init__(str(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in logs)
        with locked(own_directory(self._guard), patience=_PATIENCE):
            try:
                with self._path.open("rb+") as file:
                    _cut(file)
                    file.write(lines.encode("utf-8"))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise cannot_write(self._path, error) from error


_PATIENCE = 60.0  # seconds until a process that holds the lock counts as stuck


def _cut(file: Any) -> None:
    """Remove an unfinished last line, and go to the end."""
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(end - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
