"""Command that a job runs. Imports submitit, which stores it in a file and reads it there."""

import os
from collections.abc import Sequence
from typing import Any

from submitit.helpers import CommandFunction, DelayedSubmission


class Command(CommandFunction):
    """Command that is submitted again when Slurm ends it at its time limit, or preempts it.

    **Arguments:**

    - `command`: program and arguments.
    - `devices`: value of `CUDA_VISIBLE_DEVICES` of a job on this machine; `None` to unset it.
    - `is_local`: whether the job runs on this machine, where submitit hides all GPUs.
    """

    def __init__(self, command: Sequence[str], devices: str | None, is_local: bool):
        super().__init__([*command], verbose=True, cwd=os.getcwd())
        self.devices, self.is_local = devices, is_local

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        if self.is_local:
            os.environ.pop(_DEVICES, None)
            if self.devices is not None:
                os.environ[_DEVICES] = self.devices
        super().__call__(*args, **kwargs)
        return ""  # what it prints is in the log

    def checkpoint(self, *args: Any, **kwargs: Any) -> DelayedSubmission:
        """Submit the same command again."""
        return DelayedSubmission(self, *args, **kwargs)


_DEVICES = "CUDA_VISIBLE_DEVICES"
