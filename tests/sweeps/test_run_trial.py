"""Runs of trials: training that is pruned and continued, and fits."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from lagdyna.config import config_from_table, fit_config
from lagdyna.data import write
from lagdyna.options import table_of
from lagdyna.runs import resume
from lagdyna.sweeps import (
    Assignment,
    Pruned,
    begin_sweep,
    read_trials,
    resume_sweep,
    run_fits,
    run_training,
    sweep_config,
)
from lagdyna.sweeps._run_trial import error_of
from lagdyna.tasks import get_task

from .. import environments as environments  # registers them
from ..identification.small import pendulum
from ..runs.watch import records_of
from ..small import small_table

# Without a model, which compiles least.
TABLE = {
    **small_table(
        steps=60,
        agent={"name": "dyna", "ratio": 0.0, "updates": 1, "batch": 8},
        **dict.fromkeys(("model", "learner", "reward")),
    ),
    "task": "pendulum",
}


# Four training phases.
ROUNDS = {"random_steps": 200, "train_every": 100, "steps_per_round": 200}


def an_assignment(directory: Path, report: Any) -> Assignment:
    # Its episodes end after a few steps, so there are two rounds.
    task = {**table_of(get_task("Pendulum-v1")), "env_id": "lagdyna-tests/Countdown-v0"}
    config = config_from_table({**TABLE, "task": {**task, "repeat": 2, "unchecked": True}})
    return Assignment(config, 2, directory, report, pytest.fail, "rollout_q", False)


@pytest.mark.usefixtures("no_pictures")
def test_a_pruned_trial_is_a_run_that_can_be_continued(tmp_path: Path) -> None:
    reports: list[tuple[int, float]] = []

    def stops(rounds: int, value: float) -> None:
        reports.append((rounds, value))
        if len(reports) == 1:
            raise Pruned

    (tmp_path / "trial" / "seed-0").mkdir(parents=True)  # killed before its first checkpoint
    with pytest.raises(Pruned):
        run_training(an_assignment(tmp_path / "trial", stops))
    assert not (tmp_path / "trial" / "summary.json").exists()
    found = run_training(an_assignment(tmp_path / "trial", stops))
    summary = json.loads((tmp_path / "trial" / "summary.json").read_text())
    assert found.values == tuple(summary["returns"])
    assert found.seconds == summary["wall_seconds"]
    assert [rounds for rounds, _ in reports] == [1, 2]
    lines = [records_of(tmp_path / "trial" / f"seed-{seed}")[1] for seed in (0, 1)]
    means = [line["evaluations"][-1]["return_mean"] for line in lines]
    assert reports[1] == (2, pytest.approx(np.mean(means)))
    assert resume(tmp_path / "trial") == summary
    assert run_training(an_assignment(tmp_path / "trial", stops)) == found


def test_each_seed_of_a_trial_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(seed: int) -> dict[str, Any]:
        errors = {"q": [[9.0, 9.0], [3.0, 4.0 + seed]], "qd": [[1.0, 1.0]] * 2}
        return {"validation": {"rollout": errors, "one_step": {"q": [0.1], "qd": [None]}}}

    def fit_model(config: Any, out: Path) -> dict[str, Any]:
        assert out == tmp_path / f"seed-{config.seed}"
        return report(config.seed)

    monkeypatch.setattr("lagdyna.sweeps._run_trial.fit_model", fit_model)
    config = fit_config({"data": "none.csv", "seed": 3})
    assignment = Assignment(config, 2, tmp_path, pytest.fail, pytest.fail, "rollout_q", False)
    root = np.sqrt
    assert run_fits(assignment).values == (root((9 + 49) / 2), root((9 + 64) / 2))
    assert error_of(report(0), "rollout_qd") == 1.0
    assert error_of(report(0), "one_step_q") == 0.1
    assert np.isnan(error_of(report(0), "one_step_qd"))


def lagdyna(folder: Path, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lagdyna", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_two_training_workers_one_killed(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    pytest.importorskip("submitit")
    (tmp_path / "sweep.toml").write_text(
        tomli_w.dumps(
            {
                "sampler": "grid",
                "seeds": 2,
                "train": {**TABLE, "steps": 400, "collect": ROUNDS},
                "space": {"agent.batch": [8, 9, 10, 11]},
            }
        )
    )
    out = tmp_path / "sweep"
    started = ["sweep", "sweep.toml", "--out", out, "--launcher", "local", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lagdyna", *map(str, started)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )

    def reached(path: Path) -> bool:
        assert process.poll() is None
        return path.exists()

    checkpoint = out / "trial-3" / "checkpoint" / "training.npz"
    while not reached(checkpoint):
        time.sleep(0.05)
    before = [each for each in read_trials(out).trials if each.state == "finished"]
    lock = json.loads((out / "claims" / "trial-3" / "run.lock").read_text())
    os.kill(lock["pid"], signal.SIGKILL)
    said, _ = process.communicate(timeout=600)
    done = lagdyna(tmp_path, "resume", out)
    assert done.returncode == 0, done.stderr
    found = read_trials(out)
    assert [each.state for each in found.trials] == ["finished"] * 4, said
    assert len(before) >= 1
    assert [each for each in found.trials if each in before] == before
    # The killed trial came to the end that it would have had.
    whole = lagdyna(tmp_path, "train", "--config", out / "trial-3/seed-0/config.toml",
                    "--seeds", 2, "--out", "whole")  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    returns = json.loads((tmp_path / "whole" / "summary.json").read_text())["returns"]
    assert found.trials[3].values == pytest.approx(returns)
    compared = lagdyna(tmp_path, "compare", out, "--best", 2)
    assert compared.returncode == 0, compared.stderr
    assert "P(higher return)" in compared.stdout


@pytest.mark.slow
def test_a_sweep_over_fits(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    write(tmp_path / "pendulum.npz", pendulum())
    config = sweep_config(
        {
            "sampler": "grid",
            "seeds": 2,
            "fit": {
                "data": {"file": str(tmp_path / "pendulum.npz"), "angles": "all"},
                "model": {"name": "delan", "hidden": [8]},
                "learner": {"batch": 16},
            },
            "space": {"learner.updates": [1, 400]},
        }
    )
    begin_sweep(config, tmp_path / "sweep")
    found = resume_sweep(tmp_path / "sweep")
    assert [each.state for each in found.trials] == ["finished"] * 2
    assert not found.maximise
    assert [each.options["learner.updates"] for each in found.best] == [400, 1]
    assert resume_sweep(tmp_path / "sweep") == found
    compared = lagdyna(tmp_path, "compare", "sweep", "--best", 1)
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout.splitlines()[0].split() == ["run", "seed-0", "seed-1"]
