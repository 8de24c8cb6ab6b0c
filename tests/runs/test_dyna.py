"""Training runs of Dyna, with and without a model."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.agents import DynaState, Phase
from lagdyna.config import Config, config_from_table
from lagdyna.mechanics import State
from lagdyna.progress import Silence
from lagdyna.progress._text import heading
from lagdyna.reproductions._runs import train_or_resume
from lagdyna.runs import load_run, resume, train
from lagdyna.simulate import SampledTransition
from lagdyna.tasks import get_task

from .. import environments as environments  # registers them
from ..small import DYNA, small_config
from .numerics import same_numbers

# On the host, which compiles no loops; `tests/training/test_environment_loops.py` has those.
TASK = dataclasses.replace(get_task("Pendulum-v1"), env_id="lagdyna-tests/ShortPendulum-v0")


def dyna_config(**changes: Any) -> Config:
    collect = {"random_steps": 20, "train_every": 20, "steps_per_round": 1000}
    options: dict[str, Any] = {"agent": DYNA | {"capacity": 12}, "steps": 60}
    return small_config(
        task=dataclasses.asdict(TASK), collect=collect, **{**options, **changes}
    )


def model_free(**changes: Any) -> Config:
    agent = {"name": "dyna", "ratio": 0.0, "updates": 1, "batch": 8}
    agent["algorithm"] = {"hidden": [8]}
    empty = dict.fromkeys(("model", "learner", "reward"))
    return dyna_config(agent=agent, **empty, **changes)


class StopInSecondPhase(Silence):
    """Interrupts the run in its second training phase."""

    phases = 0

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        self.phases += name == "imagine"
        if self.phases == 2:
            raise KeyboardInterrupt


def arrays_of(out: Path, part: str) -> dict[str, np.ndarray]:
    with np.load(out / "checkpoint" / "training.npz") as file:
        return {name: file[name] for name in file.files if name.startswith(f".{part}.")}


@pytest.mark.usefixtures("no_pictures")
def test_a_filter_and_sac_learn_and_resume_to_the_same_end(tmp_path: Path) -> None:
    """Every part differs from its default."""
    agent = DYNA | {"capacity": 12, "algorithm": {"name": "sac", "hidden": [8]}}
    learner = {"name": "ekf", "updates": 20, "batch": 8}
    config = dyna_config(agent=agent, model={"name": "mlp", "hidden": [4]}, learner=learner)
    out, stopped = tmp_path / "run", tmp_path / "stopped"
    train(config, out)
    same_numbers("dyna", out)
    with pytest.raises(KeyboardInterrupt):
        train(config, stopped, progress=StopInSecondPhase())
    resume(stopped)
    whole, again = arrays_of(out, "agent"), arrays_of(stopped, "agent")
    assert whole.keys() == again.keys() != set()
    for name in whole:
        np.testing.assert_array_equal(whole[name], again[name])
    run = load_run(out)
    assert isinstance(run.training.agent, DynaState)
    imagined = run.training.agent.imagined
    # Three phases imagined 8 transitions each, in a buffer for 12.
    assert imagined is not None
    assert (int(imagined.added), int(imagined.size)) == (24, 12)
    record = run.records[-1]
    assert record["skipped_updates"] == 0
    assert {"critic_loss", "value", "entropy", "model_loss"} <= record.keys()


def test_a_model_free_run_has_no_world(tmp_path: Path) -> None:
    config, out = model_free(), tmp_path / "run"
    train(config, out)
    same_numbers("model-free", out)
    table = tomllib.loads((out / "config.toml").read_text())
    assert table.keys().isdisjoint({"model", "solver", "loss", "learner", "reward"})
    assert config_from_table(table) == config.resolved()
    run = load_run(out)
    assert isinstance(run.training.agent, DynaState)
    assert run.training.agent.imagined is None
    assert run.training.world is run.training.learners is run.posterior is None
    for read in ("world_model", "transition", "reward", "model"):
        with pytest.raises(UserError, match="the run has no model: its agent, 'dyna', uses no"):
            getattr(run, read)
    assert not arrays_of(out, "world")
    assert not arrays_of(out, "learners")
    assert "model_loss" not in run.records[-1]
    assert run.records[-1]["critic_loss"] > 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["agent"] == "dyna"
    assert [summary[part] for part in ("model", "learner", "solver")] == [None] * 3
    assert not (out / "energy.png").exists()
    assert "dyna agent, no model, seed 0" in heading(config, out, 0, (0,))


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["dyna", "imagination"])
def test_rollouts_in_posterior_samples(agent: str, tmp_path: Path) -> None:
    posterior = {"samples": 4, "pessimism": 0.5}
    options = DYNA if agent == "dyna" else {}
    config = dyna_config(
        agent={**options, "posterior": posterior},
        learner={"name": "ekf", "updates": 20, "batch": 8},
        model={"hidden": [4]},
        steps=20,
    )
    train(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    read: Any = run.config.agent
    assert (read.posterior.samples, read.posterior.pessimism) == (4, 0.5)
    assert run.records[-1]["skipped_updates"] == 0
    learner, training = run.trainer.model_learner, run.training
    assert learner is not None
    assert training.learners is not None
    place = Phase(training.seed, training.phases, jnp.asarray(0))
    sampled = eqx.filter_jit(learner.sampled)(
        run.world_model, training.learners, training.buffer, place
    )
    assert isinstance(sampled.imagined, SampledTransition)
    state = State(jnp.asarray([[0.5]]), jnp.asarray([[1.0]]))
    after = sampled.imagined.all_steps(state, jnp.ones((1, 1))).qd.ravel()
    assert len(np.unique(after)) == 4
    mean = run.transition.step(State(*(x[0] for x in state)), jnp.ones(1)).qd[0]
    assert abs(np.mean(after) - mean) < 3 * np.std(after)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_does_not_continue_under_another_config(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(model_free(), out, progress=StopInSecondPhase())
    written = out / "config.toml"
    text = written.read_text()
    # Without a checkpoint there is nothing that could differ.
    resume(out)
    changed = text.replace("batch = 8", "batch = 9")
    assert changed != text
    written.write_text(changed)
    with pytest.raises(UserError) as error:
        load_run(out)
    message = str(error.value)
    assert "was begun with another config: " in message
    assert "`agent.batch` was 8 and is 9" in message
    assert "discount" not in message
    with pytest.raises(UserError, match="`seed` was 0 and is 1"):
        train_or_resume(model_free(seed=1), tmp_path / "run", lambda text: None)
