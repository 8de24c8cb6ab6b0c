"""`lagdyna sweep`, and what other commands make of a sweep."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lagdyna.cli._sweep import short_names
from lagdyna.sweeps import Outcome, read_trials

from ..reports.test_reports import a_fit
from ..sweeps.cheap import cheap, everything

pytest.importorskip("optuna")

SWEEP = """
trials = 3
seeds = 2
sampler = "random"
[train]
task = "Pendulum-v1"
steps = 60
[space]
agent.horizon = [4, 8, 16]
"""
FITS = """
seeds = 2
sampler = "grid"
[fit]
data = { file = "swings.npz" }
[space]
learner.updates = [1, 2]
"""
GRID = ["--set", "sampler=grid", "--space.agent.horizon=[4, 8]", "--set", "trials=2"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run nothing; the values of the two seeds are the horizon and 0."""
    monkeypatch.setattr("lagdyna.sweeps._run_trial.run_training", cheap)


@pytest.fixture
def sweep(here: Any, tmp_path: Path, quick: None) -> Any:
    """Run `lagdyna sweep`."""
    (tmp_path / "sweep.toml").write_text(SWEEP)
    return lambda *options: here("sweep", "sweep.toml", *options)


def test_a_sweep_prints_its_trials_and_goes_on(sweep: Any, here: Any, tmp_path: Path) -> None:
    done = sweep(*GRID)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("sweep of 2 trials x 2 seeds, sampler grid, over agent.horizon")
    assert "trial 1 (agent.horizon 8): 4 (0 to 8), 0 s" in lines
    assert "lagdyna train --config runs/sweep-1/trial-1/seed-0/config.toml" in lines[-1]
    out = tmp_path / "runs" / "sweep-1"
    assert [each.objective for each in read_trials(out).trials] == [2.0, 4.0]
    before = everything(out)
    again = here("resume", "runs/sweep-1")
    assert again.returncode == 0, again.stderr
    assert [line for line in again.stdout.splitlines() if line.startswith("trial ")] == []
    assert everything(out) == before
    other = sweep("--out", "runs/sweep-1")
    assert other.returncode == 2
    assert "`sampler` was 'grid' and is 'random'" in other.stderr
    assert everything(out) == before


def test_trials_are_listed(sweep: Any, here: Any, tmp_path: Path) -> None:
    assert sweep(*GRID, "--out", "s").returncode == 0
    done = here("compare", "s", "--out", "side")
    assert done.returncode == 0, done.stderr
    first, second = (line.split() for line in done.stdout.splitlines()[1:3])
    assert first == ["1", "8", "4", "(0", "to", "8)", "0", "finished"]
    assert second[:2] == ["0", "4"]
    rows = json.loads((tmp_path / "side" / "compare.json").read_text())
    assert [row["values"] for row in rows] == [[4.0, 0.0], [8.0, 0.0]]


def test_no_job_is_submitted_for_a_sweep_that_has_ended(
    sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("submitit") is None:  # to import it here would end pytest's log
        pytest.skip("needs submitit")
    before = sweep(*GRID, "--out", "s")
    monkeypatch.setattr("lagdyna.sweeps.launch", lambda *args, **kwargs: pytest.fail("a job"))
    again = sweep(*GRID, "--out", "s", "--launcher", "local")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == before.stdout.splitlines()[-5:]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ([], []),
        (["agent.horizon", "learner.rate", "steps"], ["horizon", "rate", "steps"]),
        (["agent.algorithm.name", "agent.updates"], ["algorithm", "updates"]),
        (["model.hidden", "agent.hidden"], ["model.hidden", "agent.hidden"]),
        (["model.name", "model"], ["model.name", "model"]),
    ],
)
def test_headings_are_the_ends_of_names(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short


def test_each_seed_of_a_fit_is_compared(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_fits(assignment: Any) -> Outcome:
        for seed in range(2):
            a_fit(assignment.directory / f"seed-{seed}")
        return Outcome((1.0, 2.0), 0.5)

    monkeypatch.setattr("lagdyna.sweeps._run_trial.run_fits", two_fits)
    (tmp_path / "sweep.toml").write_text(FITS)
    assert here("sweep", "sweep.toml", "--out", "s").returncode == 0
    done = here("compare", "s", "--best", "2")
    assert done.returncode == 0, done.stderr
    names = [f"trial-{trial}/seed-{seed}" for trial in range(2) for seed in range(2)]
    assert done.stdout.splitlines()[0].split() == ["run", *names]


def test_the_best_trials_take_the_place_of_a_sweep(
    sweep: Any, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweep(*GRID, "--out", "s").returncode == 0
    seen: list[Any] = []
    monkeypatch.setattr(
        "lagdyna.cli._compare._compare_fits", lambda runs, out: seen.append(runs)
    )
    assert here("compare", "s", "--best", "2").returncode == 0
    assert here("compare", "other", "s").returncode == 0
    assert seen == [
        [Path("s/trial-1"), Path("s/trial-0")],
        [Path("other"), Path("s/trial-1")],
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "2"], "`--workers` was 2 without `--launcher`"),
        (["--set", "space.agent.horizn=[1]"], "sweep.toml: `agent.horizn` is not an option"),
        (["--set", "train.stepz=1"], "sweep.toml: `stepz` is not an option; nearest: steps"),
        (["--launcher", "slurm"], "has no `sbatch`"),
        (["--launcher", "cloud"], "cloud"),
    ],
)
def test_mistakes_are_one_sentence(
    sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, said: str
) -> None:
    monkeypatch.setenv("PATH", "")
    if "slurm" in arguments and find_spec("submitit") is None:
        said = "needs the package submitit"
    done = sweep(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_commands_that_take_no_sweep_say_so(sweep: Any, here: Any) -> None:
    assert sweep(*GRID, "--out", "s").returncode == 0
    for command, said in (
        (["evaluate", "s"], "holds a run of `lagdyna sweep`"),
        (["pack", "s", "s.zip"], "as trial-0, is accepted"),
        (
            ["report", "s"],
            "holds a sweep; the directory of one of its trials",
        ),
        (["compare", "s", "--target", "3"], "add `--best 3`"),
        (["compare", "s", "--best", "0"], "`best` was 0"),
        (["compare", "other", "--best", "2"], "none of the runs is a sweep"),
        (["resume", "s", "--log", "csv"], "holds a sweep; leave it out"),
        (["resume", "s", "--steps", "3"], "holds no training run"),
    ):
        done = here(*command)
        assert done.returncode == 2, command
        assert said in done.stderr


def test_an_interruption_says_what_is_kept(
    sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(assignment: Any) -> Any:
        if assignment.directory.name == "trial-1":
            raise KeyboardInterrupt
        return cheap(assignment)

    monkeypatch.setattr("lagdyna.sweeps._run_trial.run_training", stops)
    done = sweep("--out", "s")
    assert done.returncode == 130
    assert "interrupted; 1 of 3 trials have ended" in done.stdout
    assert "`lagdyna resume s` continues" in done.stdout


def test_a_reproduction_is_launched_as_the_same_command(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    class Jobs:
        ids = ("12",)

        def log(self, index: int) -> Path:
            return Path("runs/jobs/12_0_log.out")

    def launch(command: Any, launcher: str, folder: Path, **options: Any) -> Jobs:
        sent.append((command, launcher, options["slurm"].partition))
        return Jobs()

    monkeypatch.setattr("lagdyna.sweeps.launch", launch, raising=False)
    options = ["arms", "--tasks", "panda", "--quick"]
    done = here(
        "reproduce", *options, "--launcher", "slurm", "--slurm", "partition=gpu", "--out", "x"
    )
    assert done.returncode == 0, done.stderr
    assert "1 job was submitted: 12; what it prints is in runs/jobs" in done.stdout
    command = [sys.executable, "-m", "lagdyna", "reproduce", *options, "--out", "x"]
    assert sent == [(command, "slurm", "gpu")]
    assert not (tmp_path / "x").exists()
    refused = here("reproduce", "arms", "--slurm", "partition=gpu")
    assert "`--slurm` was given without `--launcher slurm`" in refused.stderr
