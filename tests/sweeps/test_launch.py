"""Workers of a sweep as jobs: two processes of this machine, one killed; and Slurm's files."""

import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lagdyna import UserError
from lagdyna.sweeps import (
    LocalConfig,
    begin_sweep,
    launch,
    read_trials,
    slurm_config,
    without_options,
)
from lagdyna.sweeps._launch import _devices

from .cheap import a_config

needs_submitit = pytest.mark.skipif(find_spec("submitit") is None, reason="no submitit")


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@needs_submitit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the signals of POSIX")
def test_a_killed_worker_loses_no_trial(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    out = tmp_path / "sweep"
    begin_sweep(a_config(), out)
    command = [sys.executable, "-m", "tests.sweeps.worker", str(out)]
    jobs = launch(command, "local", tmp_path / "jobs", count=2)
    assert len({*jobs.ids}) == 2
    until((out / "trial-0" / "processes").exists)
    until((out / "trial-2" / "processes").exists)  # so trial 1 has finished
    until(lambda: read_trials(out).trials[1].state == "finished")
    before = read_trials(out).trials[1]
    killed, other = (int((out / f"trial-{n}" / "processes").read_text()) for n in (0, 2))
    assert killed != other
    os.kill(killed, signal.SIGKILL)
    (tmp_path / "killed").touch()
    until(lambda: not jobs.running)
    found = read_trials(out)
    assert [each.state for each in found.trials] == ["finished"] * 4
    assert [each.values for each in found.trials] == [(n, 0.0) for n in (0.0, 1.0, 2.0, 3.0)]
    assert found.trials[1] == before
    both = (out / "trial-0" / "processes").read_text().split()
    assert both == [str(killed), str(other)]
    assert all((out / f"trial-{n}" / "processes").read_text().split() == [str(other)]
               for n in (1, 2, 3))  # fmt: skip


@needs_submitit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the signals of POSIX")
@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_stopped_jobs_end_their_commands(tmp_path: Path, handler: Any) -> None:
    # A shell lets what it runs in the background ignore SIGINT.
    before = signal.signal(signal.SIGINT, handler)
    try:
        stop_a_job(tmp_path)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def stop_a_job(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(120)"
    command = [sys.executable, "-c", f"print('begun', flush=True); {code}"]
    jobs = launch(command, "local", tmp_path)
    until(lambda: pid.exists() and bool(pid.read_text()))
    assert "begun" in jobs.log(0).read_text()
    jobs.stop()
    until(lambda: not jobs.running)
    until(lambda: not is_running(int(pid.read_text())))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@needs_submitit
def test_slurm_gets_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    program(programs / "srun", "exit 1")
    program(programs / "sbatch", f'cp "$1" {tmp_path}/sent; echo "Submitted batch job 12"')
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    asked = slurm_config(
        ["partition=gpu", "time=90", "gpus=1", "memory=8", "setup=['module load cuda']"]
    )
    assert asked.partition == "gpu"
    jobs = launch(["true"], "slurm", tmp_path / "jobs", count=3, name="mine", slurm=asked)
    assert jobs.ids == ("12_0", "12_1", "12_2")
    sent = (tmp_path / "sent").read_text().splitlines()
    for line in (
        *("#SBATCH --partition=gpu", "#SBATCH --time=90", "#SBATCH --gpus-per-node=1"),
        *("#SBATCH --mem=8GB", "#SBATCH --job-name=mine", "module load cuda"),
    ):
        assert line in sent
    assert any(line.startswith("#SBATCH --array=0-2") for line in sent)
    program(programs / "sbatch", "echo 'invalid partition' >&2; exit 1")
    with pytest.raises(UserError, match="the jobs were not accepted: .*invalid partition"):
        launch(["true"], "slurm", tmp_path / "jobs", slurm=asked)


def test_what_cannot_be_launched_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="`slurm.nodes` is not an option"):
        slurm_config(["nodes=2"])
    with pytest.raises(UserError, match="`slurm` was 'gpu'; OPTION=VALUE"):
        slurm_config(["gpu"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: object())
        with pytest.raises(UserError, match="this machine has no `sbatch`"):
            launch(["true"], "slurm", tmp_path / "jobs")
        with pytest.raises(UserError, match="`workers` was 0"):
            launch(["true"], "local", tmp_path / "jobs", count=0)
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(
            UserError, match=r"submitit; install it with `pip install 'lagdyna\["
        ):
            launch(["true"], "local", tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


def test_workers_share_the_gpus_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(gpus: int) -> list[str | None]:
        return [_devices(i, LocalConfig(gpus=gpus)) for i in range(3)]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert found(0) == [None] * 3
    assert found(2) == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert found(0) == ["4,7"] * 3
    assert found(2) == ["4", "7", "4"]


def test_a_command_is_submitted_without_its_launcher() -> None:
    given = ["reproduce", "arms", "--launcher", "slurm", "--slurm=gpus=1", "--quick", "--slurm"]
    found = without_options([*given, "time=60", "--out", "x"], ("--launcher", "--slurm"))
    assert found == ["reproduce", "arms", "--quick", "--out", "x"]
