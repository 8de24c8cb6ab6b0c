"""Runs interrupted within an episode: in the suite, and where episodes do not repeat.

`test_resume.py` and `test_seeds.py` interrupt runs in other environments.
"""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lagdyna.config import Config
from lagdyna.runs import load_run, resume, train
from lagdyna.tasks import get_task
from lagdyna.training import Trainer, draw

from .. import environments as environments  # registers them
from ..small import small_config
from .watch import StopAfterEvaluations, StopAfterRounds, records_of, same_run

# Without a model, which compiles least.
QUICK: dict[str, Any] = {
    "agent": {
        **{"name": "dyna", "ratio": 0.0, "updates": 1, "batch": 8},
        "algorithm": {"hidden": [8]},
    },
    "evaluation": {"episodes": 1},
    **dict.fromkeys(("model", "learner", "reward")),
}


def stopped(config: Config, evaluations: int, out: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(config, out, progress=StopAfterEvaluations(evaluations))
    return out


@pytest.mark.usefixtures("no_pictures")
def test_a_run_of_the_suite_continues_after_its_last_phase(tmp_path: Path) -> None:
    collect = {"train_every": 120, "random_steps": 60}  # one round within an episode
    config = small_config(task="pendulum", steps=200, collect=collect, **QUICK)
    train(config, tmp_path / "whole")
    run = stopped(config, 1, tmp_path / "run")
    progress = StopAfterRounds()
    resume(run, progress=progress)
    assert progress.began == [120]
    same_run(tmp_path / "whole", run)
    # Drawing a whole episode, of 1,000 steps, takes longer than the rest of this test.
    loaded = load_run(run)
    evaluation = dataclasses.replace(config.evaluation, max_steps=5)
    short = Trainer(dataclasses.replace(config, evaluation=evaluation))
    draw(short, loaded.training, loaded.records, tmp_path, 0)
    with Image.open(tmp_path / "rollout.gif") as film:
        assert film.size == (240, 240)


@pytest.mark.usefixtures("no_pictures")
def test_an_episode_that_does_not_repeat_is_ended_with_a_warning(tmp_path: Path) -> None:
    task = dataclasses.replace(get_task("Pendulum-v1"), env_id="lagdyna-tests/Unrepeatable-v0")
    config = small_config(task=dataclasses.asdict(task), steps=40, **QUICK)
    run = stopped(config, 1, tmp_path / "run")
    with pytest.warns(UserWarning, match=r"Unrepeatable-v0' does not repeat .* a new one"):
        resume(run)
    assert [(each["env_steps"], each["episodes"]) for each in records_of(run)] == [
        (30, 2),  # ten steps of the episode that was left
        (40, 3),
    ]
