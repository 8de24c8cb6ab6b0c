"""Parts in a user's own files, through the whole library."""

import dataclasses
from pathlib import Path

import equinox as eqx
import numpy as np
import pytest

import lagdyna
from lagdyna import UserError
from lagdyna.config import config_from_table, fit_config
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.options import read_table
from lagdyna.parts import MLPConfig
from lagdyna.progress import AbstractProgress
from lagdyna.runs import compare, load_fit, load_run, resume_run
from lagdyna.tasks import get_task

from . import environments as environments  # registers them
from .small import DYNA, SOLVER, small_table

pytestmark = pytest.mark.usefixtures("no_pictures")

PLUGINS = Path(__file__).parents[1] / "examples" / "plugins"
MODEL, LEARNER, AGENT = (
    f"{PLUGINS / file}.py:{name}"
    for file, name in (
        ("port_hamiltonian", "PortHamiltonian"),
        ("sharpness_aware", "SharpnessAware"),
        ("redq", "REDQAgent"),
    )
)

TASK = dataclasses.replace(get_task("Pendulum-v1"), env_id="lagdyna-tests/ShortPendulum-v0")
LEARNER_OPTIONS = {"name": LEARNER, "updates": 20, "batch": 8, "rho": 0.02}
AGENT_OPTIONS = {"name": AGENT, "hidden": [8], "critics": 3, "updates": 1}


def small(**parts: object) -> lagdyna.Config:
    """A run of two training phases."""
    task, collect = dataclasses.asdict(TASK), {"train_every": 20}
    return config_from_table(small_table(steps=40, task=task, collect=collect, **parts))


class Interruption(AbstractProgress):
    """Progress receiver that interrupts the run at its first evaluation."""

    def begin(self, *_): ...

    def phase(self, *_): ...

    def evaluation(self, _):
        raise KeyboardInterrupt

    def record(self, _): ...

    def end(self): ...


def test_a_run_with_three_parts_of_our_own(tmp_path: Path) -> None:
    parts = {"learner": LEARNER_OPTIONS, "agent": AGENT_OPTIONS}
    config = small(model={"name": MODEL, "hidden": [8]}, **parts)
    run, seeds = tmp_path / "run", tmp_path / "two"
    with pytest.raises(KeyboardInterrupt):
        lagdyna.train(config, run, progress=Interruption())
    table = read_table(run / "config.toml")
    names = [table[part]["name"] for part in ("model", "learner", "agent")]
    assert names == [MODEL, LEARNER, AGENT]
    assert table["learner"]["rho"] == 0.02
    with pytest.raises(UserError, match="not run unasked"):
        resume_run(run)
    summary = resume_run(run, trust=True)
    assert (summary["model"], summary["learner"], summary["agent"]) == (MODEL, LEARNER, AGENT)
    loaded = load_run(run, trust={"model": MODEL, "learner": LEARNER, "agent": AGENT})
    energy = eqx.filter_jit(lambda model: model.energy([0.0], [1.0]))
    assert np.isfinite(energy(loaded.model))
    assert loaded.records[-1]["skipped_updates"] == 0
    assert lagdyna.evaluate(run, episodes=1, trust=True)["eval_episodes"] == 1
    both = lagdyna.train_seeds(config, 2, seeds)
    # The same result for a seed, interrupted or not, alone or with others.
    assert both["returns"][0] == pytest.approx(summary["return_mean"], rel=1e-3)
    assert [row["seeds"] for row in compare([run, seeds])] == [1, 2]


def test_a_fit_with_a_model_and_a_learner_of_our_own(tmp_path: Path) -> None:
    t = 0.05 * np.arange(40)
    swings = [
        Trajectory(t, a * np.cos(3 * t)[:, None], -3 * a * np.sin(3 * t)[:, None])
        for a in (0.1, 0.2, 0.3, 0.4)
    ]
    write(tmp_path / "swings.npz", TrajectorySet(swings))
    table = {
        "data": str(tmp_path / "swings.npz"),
        "model": {"name": MODEL, "hidden": [8]},
        "solver": SOLVER,
        "learner": {"name": LEARNER, "updates": 400, "batch": 64},
    }
    run = tmp_path / "run"
    report = lagdyna.fit_model(fit_config(table), run)
    fitted = load_fit(run, trust=True)
    assert fitted.config.model.name == MODEL
    assert fitted.config.learner.name == LEARNER
    assert fitted.records[-1]["validation_loss"] < fitted.records[0]["validation_loss"] / 4
    assert report["validation"]["energy_drift"] is not None  # it is a Hamiltonian


def test_a_class_given_in_python_is_given_again(tmp_path: Path) -> None:
    class Mine(MLPConfig, frozen=True, kw_only=True):
        """A class that no file or name in the config leads to."""

        hidden: tuple[int, ...] = (8,)

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        lagdyna.train(small(model=None, agent=DYNA), run, model=Mine, progress=Interruption())
    assert "Mine" in read_table(run / "config.toml")["model"]["name"]
    said = "an object of Python; give the object again, as `model=...`"
    for command in (resume_run, load_run, lagdyna.evaluate):
        with pytest.raises(UserError, match=said):
            command(run, trust=True)
    resume_run(run, model=Mine, trust=True)
    assert isinstance(load_run(run, model=Mine, trust=True).config.model, Mine)
