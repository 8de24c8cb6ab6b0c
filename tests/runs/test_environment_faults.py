"""Environments that do not fit or that fail: said before the run, or kept and resumed."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lagdyna import UserError
from lagdyna.config import Config, given
from lagdyna.progress import Silence
from lagdyna.runs import config_of, resume, train
from lagdyna.runs._check_environment import check_environment
from lagdyna.tasks import TaskSpec, get_task

from ..small import MLP, small_config
from ..tasks.swing import Damped, Swing, registered, spec_of
from .watch import StopAfterRounds, same_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")


def config_for(task: TaskSpec, **changes: Any) -> Config:
    """A run without a model, which compiles little."""
    agent = {"name": "dyna", "ratio": 0.0, "updates": 1, "batch": 8}
    agent["algorithm"] = {"hidden": [8]}
    empty = dict.fromkeys(("model", "learner", "reward"))
    small = small_config(agent=agent, **empty, **changes)
    return dataclasses.replace(small, task=task)


class Notes(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_wrong_description_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with registered(Swing) as env_id:
        config = config_for(spec_of(env_id=env_id, dt=0.5))
        with pytest.raises(
            UserError, match=r"0.1 times velocity.*`task.unchecked = true`"
        ) as e:
            train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()
        assert "\n" not in str(e.value)
        unchecked = dataclasses.replace(config.task, unchecked=True)
        check_environment(dataclasses.replace(config, task=unchecked), Notes())


def test_doubts_are_notes_of_the_progress(tmp_path: Path) -> None:
    with registered(Damped) as env_id:
        config, notes = config_for(spec_of(env_id=env_id)), Notes()
        check_environment(config, notes)
        (note,) = notes.notes
        assert note.startswith(f"{env_id}: dissipation: the velocity seems to decay")
        with pytest.warns(UserWarning, match="the velocity seems to decay"):
            check_environment(config, Silence())


def test_the_solver_of_the_environment_is_a_note_if_the_model_has_another() -> None:
    task = dataclasses.replace(get_task("Pendulum-v1"), dissipation="viscous")
    for changes, count in (
        ({}, 1),
        ({"solver": {"name": "semi_implicit_euler"}}, 0),
        ({"model": MLP}, 0),
    ):
        notes = Notes()
        config = dataclasses.replace(small_config(**changes), task=task)
        check_environment(config, notes)
        assert sum("--solver semi_implicit_euler" in each for each in notes.notes) == count


def test_described_tasks_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise AssertionError("checked")

    monkeypatch.setattr("lagdyna.runs._check_environment.check_task", fail)
    longer = dataclasses.replace(get_task("Pendulum-v1"), target_return=0.0, repeat=2)
    for task in (get_task("acrobot"), longer):
        check_environment(config_for(task), Notes())
    with pytest.raises(AssertionError, match="checked"):
        check_environment(config_for(dataclasses.replace(longer, dt=0.1)), Notes())


def test_a_run_survives_an_environment_that_raises(tmp_path: Path) -> None:
    class Raises(Swing):
        steps: ClassVar[int] = 0

        def step(self, action: Any) -> Any:
            Raises.steps += 1
            if Raises.steps == 93:  # 50 belong to the check, 10 to the first evaluation
                raise RuntimeError("device disconnected")
            return super().step(action)

    with registered(Raises, limit=5) as env_id:
        config = config_for(spec_of(env_id=env_id), evaluation={"episodes": 2})
        out = tmp_path / "run"
        with pytest.raises(UserError) as error:
            train(config, out)
        said = str(error.value)
        assert "`step` raised RuntimeError: device disconnected (" in said
        assert f"`lagdyna resume {out}` goes on" in said
        assert resume(out)["env_steps"] == 60


@pytest.mark.usefixtures("no_pictures")
def test_a_phase_is_kept_when_its_evaluation_fails(tmp_path: Path) -> None:
    class Fails(Swing):
        failing: ClassVar[bool] = False

        def step(self, action: Any) -> Any:
            if Fails.failing:
                Fails.failing = False
                raise RuntimeError("device disconnected")
            return super().step(action)

    class FailAtFirst(Silence):
        def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
            Fails.failing = name == "evaluate"

    with registered(Fails, limit=5) as env_id:
        config = config_for(spec_of(env_id=env_id), evaluation={"episodes": 2})
        out = tmp_path / "run"
        with pytest.raises(UserError, match="device disconnected"):
            train(config, out, progress=FailAtFirst())
        progress = StopAfterRounds()
        resume(out, progress=progress)
        assert progress.began == [given(config.collect.train_every)]
        assert progress.names[0] == "evaluate"
        train(config, tmp_path / "whole")
        same_run(tmp_path / "whole", out)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_without_a_time_limit_names_the_option_and_goes_on_with_it(
    tmp_path: Path,
) -> None:
    with registered(Swing, limit=None) as env_id:
        config = config_for(
            spec_of(env_id=env_id), evaluation={"episodes": 2, "max_steps": 30}, steps=20
        )
        out, notes = tmp_path / "run", Notes()
        with pytest.raises(UserError, match="`task.max_episode_steps`"):
            train(config, out, progress=notes)
        assert "`task.max_episode_steps`" in notes.notes[-1]
        path = out / "config.toml"
        text = path.read_text()
        path.write_text(text.replace("[task]\n", "[task]\nmax_episode_steps = 10\n"))
        assert config_of(out).task.max_episode_steps == 10
        assert resume(out)["env_steps"] == 20


@pytest.mark.usefixtures("no_pictures")
def test_action_bounds_are_stored_with_the_run(tmp_path: Path) -> None:
    class Positive(Swing):
        bounds = (0.0, 4.0)

    with registered(Positive, limit=10) as env_id:
        config = config_for(spec_of(env_id=env_id, force=((4.0,),)), steps=20)
        train(config, tmp_path / "run")
        assert config_of(tmp_path / "run").task.action_bounds == ((0.0, 4.0),)
