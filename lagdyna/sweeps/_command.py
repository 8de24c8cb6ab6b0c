"""Command that a job runs. submitit stores it in a file, and reads it there on the node."""

import os
import subprocess
from collections.abc import Sequence
from typing import Any


class Command:
    """Command that is submitted again when Slurm ends it at its time limit, or preempts it.

    **Arguments:**

    - `command`: program and arguments; what it prints is in the log of the job.
    - `devices`: value of `CUDA_VISIBLE_DEVICES` of a job on this machine; `None` to unset it.
    - `is_local`: whether the job runs on this machine, where submitit hides all GPUs.
    """

    def __init__(self, command: Sequence[str], devices: str | None, is_local: bool):
        self.command, self.folder = [*command], os.getcwd()
        self.devices, self.is_local = devices, is_local

    def __call__(self) -> None:
        """Run the command.

        **Raises:** `subprocess.CalledProcessError` if it fails.
        """
        environment = dict(os.environ)
        if self.is_local:
            environment.pop(_DEVICES, None)
            if self.devices is not None:
                environment[_DEVICES] = self.devices
        process = subprocess.Popen(self.command, cwd=self.folder, env=environment)
        try:
            code = process.wait()
        except BaseException:  # the job is stopped, or submitted again
            process.terminate()
            process.wait()
            raise
        if code:
            raise subprocess.CalledProcessError(code, self.command)

    def checkpoint(self) -> Any:
        """Submit the same command again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


_DEVICES = "CUDA_VISIBLE_DEVICES"
