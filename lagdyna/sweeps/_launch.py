"""Commands as jobs, on this machine or a Slurm cluster, through submitit."""

import os
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from .._errors import UserError
from ..options import convert, parse_value
from ..results import make_directory
from ._config import LocalConfig, SlurmConfig
from ._extra import check_installed

Launcher = Literal["local", "slurm"]
"""Place of jobs: this machine, or a cluster of Slurm."""
_FOREVER = 10 * 366 * 24 * 60  # minutes; submitit would end local jobs after five


class Jobs:
    """Jobs that were submitted.

    **Attributes:** `ids`, one of each job; `folder`, of their logs.
    """

    def __init__(self, jobs: Sequence[Any], folder: Path):
        self._jobs, self.folder = list(jobs), folder
        self.ids = tuple(str(job.job_id) for job in jobs)
        self._logs = tuple(Path(job.paths.stdout) for job in jobs)

    @property
    def running(self) -> int:
        """Number of jobs that have not ended."""
        # Ended jobs are dropped, since submitit's complain when Python itself ends.
        self._jobs = [job for job in self._jobs if not job.done()]
        return len(self._jobs)

    def stop(self) -> None:
        """End the jobs, as Ctrl-C does."""
        for job in self._jobs:
            job.cancel()

    def log(self, index: int) -> Path:
        """Path of what a job prints."""
        return self._logs[index]


def launch(
    command: Sequence[str],
    launcher: Launcher,
    folder: str | Path,
    *,
    count: int = 1,
    name: str = "lagdyna",
    slurm: SlurmConfig = SlurmConfig(),
    local: LocalConfig = LocalConfig(),
) -> Jobs:
    """Submit a command as one or more jobs, and return at once.

    Jobs on this machine share its processor cores equally. Jobs of Slurm that reach their time
    limit, or are preempted, are submitted again.

    **Arguments:**

    - `command`: program and arguments; it runs in the working directory of this process.
    - `launcher`: `local`, this machine, or `slurm`.
    - `folder`: for the logs, and for files of submitit's own.
    - `count`: how many jobs run it.
    - `name`: of the jobs.
    - `slurm`, `local`: what each job gets.

    **Raises:** `UserError` if submitit is not installed, there is no Slurm, or it refuses the
    jobs.
    """
    check_launcher(launcher, count)
    submitit = _submitit()
    folder = make_directory(Path(folder).resolve())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that the other launcher has
        executor = submitit.AutoExecutor(folder, cluster=launcher)
        executor.update_parameters(name=name, **_parameters(launcher, slurm))
        try:
            if launcher == "slurm":
                with executor.batch():
                    jobs = [executor.submit(_command(command)) for _ in range(count)]
            else:
                jobs = []
                for i in range(count):
                    with _share_of_cores(i, count), _interruptible():
                        jobs.append(executor.submit(_command(command, i, local)))
        except (submitit.core.utils.FailedJobError, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"the jobs were not accepted: {reason}") from error
    return Jobs(jobs, folder)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let new processes be interrupted, also by a process that a shell began with `&`.

    Such a one ignores SIGINT, which its children would inherit and submitit ends jobs by.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def check_launcher(launcher: Launcher, count: int = 1) -> None:
    """Refuse a launcher that cannot work here.

    **Arguments:** as for [`lagdyna.sweeps.launch`][].

    **Raises:** `UserError` if submitit is not installed, there is no Slurm, or `count` is not
    positive.
    """
    check_installed("submitit", f"the launcher {launcher!r}")
    if count < 1:
        raise UserError(f"`workers` was {count}: expected `int` >= 1")
    if launcher == "slurm" and shutil.which("sbatch") is None:
        raise UserError(
            "`launcher` was 'slurm', and this machine has no `sbatch`; call it on a login node "
            "of the cluster, or use the launcher local"
        )


def slurm_config(settings: Sequence[str]) -> SlurmConfig:
    """Convert texts such as `partition=gpu` to what a job asks Slurm for.

    **Raises:** `UserError` for an option that does not exist, or a value that is not accepted.
    """
    table = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"`slurm` was {setting!r}; OPTION=VALUE is accepted")
        table[key] = parse_value(text)
    return convert(table, SlurmConfig, "slurm")


def without_options(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """Remove options with a value from a command line.

    **Arguments:** `names`, such as `--launcher`.
    """
    kept, rest = [], [*arguments]
    while rest:
        token = rest.pop(0)
        if token in names:
            rest[:1] = []
        elif not token.startswith(tuple(f"{name}=" for name in names)):
            kept.append(token)
    return kept


def _submitit() -> Any:
    """Import submitit, which otherwise would close the log files of this process."""
    before = os.environ.get(_LOG)
    os.environ[_LOG] = "NOCONFIG"
    try:
        import submitit

        return submitit
    finally:
        if before is None:
            del os.environ[_LOG]
        else:
            os.environ[_LOG] = before


_LOG = "SUBMITIT_LOG_LEVEL"


def _command(command: Sequence[str], index: int = 0, local: LocalConfig | None = None) -> Any:
    from ._command import Command

    devices = None if local is None else _devices(index, local)
    return Command(command, devices, is_local=local is not None)


def _devices(index: int, local: LocalConfig) -> str | None:
    """Choose the GPU of a local job; `None` if nothing says which there are."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return str(index % local.gpus) if local.gpus else None
    names = [name for name in given.split(",") if name]
    if not local.gpus or not names:
        return given
    names = names[: local.gpus]
    return names[index % len(names)]


def _parameters(launcher: Launcher, slurm: SlurmConfig) -> dict[str, Any]:
    """Name what a job asks for as submitit does."""
    if launcher == "local":
        return {"timeout_min": _FOREVER}
    found = {
        "timeout_min": slurm.time,
        "gpus_per_node": slurm.gpus or None,
        "cpus_per_task": slurm.cpus,
        "mem_gb": slurm.memory,
        "slurm_partition": slurm.partition,
        "slurm_account": slurm.account,
        "slurm_qos": slurm.qos,
        "slurm_constraint": slurm.constraint,
        "slurm_setup": [*slurm.setup] or None,
        "slurm_additional_parameters": slurm.more or None,
    }
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def _share_of_cores(index: int, count: int) -> Iterator[None]:
    """Let jobs that start in this context use a share of the cores; there may be too few."""
    if not hasattr(os, "sched_setaffinity"):  # on Linux alone
        yield
        return
    every = os.sched_getaffinity(0)
    share = sorted(every)[index::count]
    try:
        os.sched_setaffinity(0, share or every)
        yield
    finally:
        os.sched_setaffinity(0, every)
