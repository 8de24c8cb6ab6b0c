"""Training runs of the agent that learns from transitions."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import load_run, resume, train
from lagdyna.agents import DynaBehaviour
from lagdyna.cli._display import _heading
from lagdyna.experiments import (
    Config,
    PosteriorConfig,
    Silence,
    Trainer,
    UserError,
    config_from_table,
)
from lagdyna.experiments.reproductions._runs import train_or_resume
from lagdyna.mechanics import State
from lagdyna.simulate import SampledTransition

from .small import TABLE, small_config

DYNA = {"hidden": [8], "updates": 1, "batch": 8, "rollouts": 4, "length": 2, "capacity": 12}


def dyna_config(dyna: dict[str, Any], **changes: Any) -> Config:
    agent = {"name": "dyna", "dyna": {**DYNA, **dyna}}
    task = "pendulum"
    collect = {"random_steps": 20, "train_every": 20, "steps_per_round": 1000}
    return small_config(agent=agent, task=task, steps=60, collect=collect, **changes)


class Stop(Silence):
    """Interrupts the run in its second training."""

    trainings = 0

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        self.trainings += name == "imagine"
        if self.trainings == 2:
            raise KeyboardInterrupt


def weights_of(out: Path, part: str) -> dict[str, np.ndarray]:
    with np.load(out / "checkpoint" / "training.npz") as file:
        return {name: file[name] for name in file.files if name.startswith(f".{part}.")}


def test_a_model_learned_by_a_filter_and_a_soft_agent(tmp_path: Path) -> None:
    """Every part is another than by default; interrupted, the run comes to the same end."""
    config = dyna_config(
        {"algorithm": "sac"}, model={"name": "mlp", "hidden": [4]}, learner={"name": "ekf"}
    )
    out, stopped = tmp_path / "run", tmp_path / "stopped"
    train(config, out)
    with pytest.raises(KeyboardInterrupt):
        train(config, stopped, progress=Stop())
    resume(stopped)
    whole, again = weights_of(out, "behaviour"), weights_of(stopped, "behaviour")
    assert whole.keys() == again.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], again[name])
    run = load_run(out)
    assert isinstance(run.training.behaviour, DynaBehaviour)
    imagined = run.training.behaviour.imagined
    # Three trainings, each of 8 transitions, in a buffer for 12.
    assert imagined is not None
    assert (int(imagined.added), int(imagined.size)) == (24, 12)
    record = run.records[-1]
    assert record["skipped_updates"] == 0
    assert {"critic_loss", "value", "entropy", "model_loss"} <= record.keys()


def test_without_a_model_none_is_learned(tmp_path: Path) -> None:
    config = dyna_config({"ratio": 0.0})
    out = tmp_path / "run"
    train(config, out)
    first = Trainer(config).init()
    run = load_run(out)
    assert run.training.behaviour.imagined is None  # pyright: ignore
    before, after = (
        np.concatenate([np.ravel(layer.weight) for layer in model.layers])
        for model in (
            part.field.system.lagrangian.potential_network  # pyright: ignore
            for part in (first.transition, run.training.transition)
        )
    )
    np.testing.assert_array_equal(before, after)
    assert "model_loss" not in run.records[-1]
    assert run.records[-1]["critic_loss"] > 0
    summary = json.loads((out / "summary.json").read_text())
    assert [summary[part] for part in ("model", "learner", "solver")] == [None] * 3
    assert not (out / "energy.png").exists()
    assert "dyna agent, no model, seed 0" in _heading(config, out, 0, (0,)).plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"agent": {"name": "dyna", "dyna": {"batch": 64, "capacity": 40, "rollouts": 4}}},
            "`capacity` was 40, and a `batch` of 64 at a `ratio` of 0.9 takes 58 imagined",
        ),
        (
            {"agent": {"name": "dyna"}, "collect": {"capacity": 5}},
            "`collect.capacity` was 5, and a batch of the agent takes 13 real",
        ),
        (
            {"agent": {"posterior": {"samples": 4}}},
            "`agent.posterior.samples` was 4 with the learner 'adam', which leaves no post",
        ),
        (
            {"learner": {"name": "ekf"}, "agent": {"posterior": {"samples": 3}}},
            "`posterior.samples` was 3 and `batch` 64; a multiple",
        ),
        (
            {
                "learner": {"name": "ekf"},
                "agent": {"name": "dyna", "dyna": {"ratio": 0.0}, "posterior": {"samples": 4}},
            },
            "`agent.posterior.samples` was 4 with `agent.dyna.ratio` 0",
        ),
        (
            {"agent": {"posterior": {"pessimism": 1.0}}},
            "`pessimism` was 1 with 0 `samples`; at least 2",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError) as error:
        config_from_table(changes)
    assert message in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["dyna", "imagination"])
def test_rollouts_in_samples_of_a_posterior(agent: str, tmp_path: Path) -> None:
    config = dyna_config({}, learner={"name": "ekf"}, model={"hidden": [4]})
    posterior = PosteriorConfig(samples=4, pessimism=0.5)
    options = dataclasses.replace(config.agent, name=agent, posterior=posterior)
    config = dataclasses.replace(config, agent=options, steps=20)
    train(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert run.config.agent.posterior == posterior
    assert run.records[-1]["skipped_updates"] == 0
    sampled = run.trainer._imagined_in(run.training, jnp.asarray(0))
    assert isinstance(sampled, SampledTransition)
    state = State(jnp.asarray([[0.5]]), jnp.asarray([[1.0]]))
    after = sampled.all_steps(state, jnp.ones((1, 1))).qd.ravel()
    assert len(np.unique(after)) == 4
    mean = run.transition.step(State(*(x[0] for x in state)), jnp.ones(1)).qd[0]
    assert abs(np.mean(after) - mean) < 3 * np.std(after)


def test_a_run_is_not_gone_on_with_under_another_config(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(dyna_config({"ratio": 0.0}), out, progress=Stop())
    written = out / "config.toml"
    text = written.read_text()
    # Interrupted before the first checkpoint nothing is known that could differ.
    resume(out)
    changed = text.replace("batch = 8", "batch = 9")
    assert changed != text
    written.write_text(changed)
    with pytest.raises(UserError) as error:
        load_run(out)
    said = str(error.value)
    assert "was begun with another config: " in said
    assert "`learner.batch` was 8 and is 9" in said
    assert "discount" not in said
    with pytest.raises(UserError, match="`seed` was 0 and is 1"):
        train_or_resume(
            dyna_config({"ratio": 0.0}, seed=1), tmp_path / "run", lambda text: None
        )


def test_more_imagined_at_a_time_than_is_kept_is_refused() -> None:
    table = {**TABLE, "agent": {"name": "dyna", "dyna": {"rollouts": 30, "capacity": 200}}}
    with pytest.raises(UserError, match="`capacity` was 200, and `rollouts` x `length`"):
        config_from_table(table)
