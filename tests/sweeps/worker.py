"""Worker of a sweep for the tests: `python worker.py SWEEP`.

Trial 0 waits to be killed the first time. Trial 2 waits until somebody says that it was.
"""

import os
import sys
import time
from pathlib import Path

from lagdyna.sweeps import Assignment, Outcome, resume_sweep


def trial(assignment: Assignment) -> Outcome:
    directory = assignment.directory
    begun = directory.exists()
    directory.mkdir(exist_ok=True)
    with (directory / "processes").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if directory.name == "trial-0" and not begun:
        wait_for(directory / "never")
    if directory.name == "trial-2":
        wait_for(directory.parent.parent / "killed")
    return Outcome((float(directory.name[-1]), 0.0), 0.1)


def wait_for(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.02)


if __name__ == "__main__":
    resume_sweep(sys.argv[1], run_trial=trial)
