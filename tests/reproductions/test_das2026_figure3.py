from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lagdyna.config import given
from lagdyna.reproductions import REPRODUCTIONS, Result, Results
from lagdyna.reproductions._das2026_figure3 import COMPETITORS, run_config
from lagdyna.training import Trainer

FIGURE = REPRODUCTIONS["das2026-figure3"]


def part(returns: list[float]) -> Result:
    steps = 50 * np.arange(1, len(returns) + 1)
    return {"steps": steps, "returns": np.asarray(returns), "seconds": np.asarray(1.0)}


def test_entries_of_made_up_runs(tmp_path: Path) -> None:
    good = [[-900.0, -200.0, -150.0], [-900.0, -199.0, -250.0], [-100.0, -900.0, -170.0]]
    never = [-900.0, -900.0, -200.1]
    parts = {
        "lnn-ekf": [part(returns) for returns in good],
        "model-free": [part(never), part(good[0])],
    }
    found = {each.name: each for each in FIGURE.report(tmp_path, Results(parts), False)}
    assert list(found) == [
        *("steps_to_target.lnn-ekf", "steps_to_target.model-free"),
        *("return.lnn-ekf", "return.model-free"),
        "fewer_steps.lnn-ekf.model-free",
    ]
    steps = found["steps_to_target.lnn-ekf"]
    assert (steps.paper, steps.low, steps.high, steps.seeds) == (28_500, 50, 100, 3)
    assert steps.ours == pytest.approx(250 / 3)
    free = found["steps_to_target.model-free"]
    assert (free.paper, free.ours) == (90_000, 100)
    assert "1 of 2 seeds never reached it in 150 steps" in free.note
    assert found["return.lnn-ekf"].ours == pytest.approx(np.mean([-150, -250, -170]))
    fewer = found["fewer_steps.lnn-ekf.model-free"]
    # 100, 100 and 50 steps against never and 100, all of 150 steps: two ties in six pairs.
    assert fewer.ours == pytest.approx((3 + 1 + 2 * 0.5) / 6)
    assert fewer.low is not None
    assert fewer.ours is not None
    assert fewer.low <= fewer.ours
    assert "95 % bootstrap interval" in fewer.note
    assert "95 % from" in steps.note
    with Image.open(tmp_path / "curves.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50


@pytest.mark.parametrize("quick", [False, True])
def test_competitors_differ_by_their_names(quick: bool) -> None:
    trainers = {kind: Trainer(run_config(kind, quick, 3)) for kind in FIGURE.kinds}
    configs = {kind: trainer.config for kind, trainer in trainers.items()}
    assert {config.seed for config in configs.values()} == {3}
    assert {config.task.env_id for config in configs.values()} == {"Pendulum-v1"}
    agents = {kind: config.agent.name for kind, config in configs.items()}
    assert agents.pop("imagination") == "imagination"
    assert set(agents.values()) == {"dyna"}
    for kind, config in configs.items():
        trainers[kind].check_sizes()
        competitor = COMPETITORS[kind]
        assert config.steps == (competitor.quick_steps if quick else competitor.steps)
    free = configs.pop("model-free")
    assert (free.model_updates, free.agent_updates) == (0, free.collect.train_every)
    assert all(config.model_updates > 0 for config in configs.values())
    parts = {
        kind: (given(config.model).name, given(config.learner).name)
        for kind, config in configs.items()
    }
    assert parts == {
        "lnn-ekf": ("lnn", "ekf"),
        "lnn-adam": ("lnn", "adam"),
        "constrained-mlp": ("constrained-mlp", "adam"),
        "imagination": ("delan", "adam"),
    }
    dyna = {config.agent for kind, config in configs.items() if kind != "imagination"}
    assert len(dyna) == 1
