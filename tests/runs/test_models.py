"""Runs with models other than the default, and their summaries."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from lagdyna.config import Config
from lagdyna.mechanics import State
from lagdyna.models import LNN
from lagdyna.runs import load_run, resume, train, train_seeds
from lagdyna.simulate import LagrangianField, MLPTransition, SolvedTransition
from lagdyna.tasks import get_task

from .. import environments as environments  # registers them
from ..small import REPLAYED, small_config
from .watch import StopAfterEvents, records_of, same_run

TASK = dataclasses.replace(
    get_task("Pendulum-v1"), env_id="lagdyna-tests/Countdown-v0", repeat=2, unchecked=True
)
MODELS = ("lnn", "mlp")


def tiny(model: str, **changes: Any) -> Config:
    """Episodes of one to nine steps, two for each action."""
    if model == "lnn":
        changes["solver"] = {"name": "euler"}
    return small_config(
        task=dataclasses.asdict(TASK),
        model={"name": model, "hidden": [8]},
        agent={"updates": 3, **REPLAYED},
        **{"learner": {"updates": 5}, **changes},
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with each model."""
    out = tmp_path_factory.mktemp("models")
    for model in MODELS:
        train(tiny(model), out / model)
    return {model: out / model for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_the_summary_names_the_model_and_the_solver(runs: dict[str, Path], model: str) -> None:
    summary = json.loads((runs[model] / "summary.json").read_text())
    assert summary["model"] == model
    assert summary["solver"] == {"lnn": "euler", "mlp": None}[model]
    for record in records_of(runs[model]):
        assert np.isfinite(record["model_loss"])
        assert record["skipped_updates"] == 0
    assert (runs[model] / "learning_curve.png").exists()
    assert (runs[model] / "energy.png").exists() == (model == "lnn")


def test_a_loaded_run_has_its_model(runs: dict[str, Path]) -> None:
    lnn, mlp = (load_run(runs[model]) for model in MODELS)
    assert isinstance(lnn.transition, SolvedTransition)
    assert isinstance(lnn.transition.field, LagrangianField)
    assert isinstance(lnn.model.lagrangian, LNN)
    q, qd, tau = (jnp.asarray([x]) for x in (0.3, 0.7, 0.5))

    @jax.jit
    def torque(q: Array, qd: Array, tau: Array) -> Array:
        """The force of the acceleration that a force causes."""
        qdd = lnn.model.lagrangian.forward_dynamics(q, qd, tau)
        return lnn.model.lagrangian.inverse_dynamics(q, qd, qdd)

    np.testing.assert_allclose(torque(q, qd, tau), tau, 1e-3)
    assert isinstance(mlp.transition, MLPTransition)
    assert not mlp.model.has_lagrangian
    with pytest.raises(ValueError, match="`MLPTransition` has no Lagrangian"):
        mlp.model.energy(q, qd)
    assert mlp.transition.velocity_limits == TASK.velocity_limits
    assert eqx.filter_jit(mlp.model.step)(State(q, qd), tau).q.shape == (1,)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("model", [pytest.param("lnn", marks=pytest.mark.slow), "mlp"])
def test_an_interrupted_run_resumes_to_the_same_end(
    runs: dict[str, Path], model: str, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tiny(model), tmp_path / "run", progress=StopAfterEvents(14))
    assert (tmp_path / "run" / "checkpoint" / "training.npz").exists()
    resume(tmp_path / "run")
    same_run(runs[model], tmp_path / "run")


def test_several_seeds_of_a_network_for_whole_steps_are_one_program(tmp_path: Path) -> None:
    # The pendulum's angle moves, unlike that of the countdown.
    task = dataclasses.replace(TASK, env_id="lagdyna-tests/ShortPendulum-v0", repeat=1)
    config = dataclasses.replace(tiny("mlp"), task=task)
    summary = train_seeds(config, 2, tmp_path / "run")
    assert (summary["model"], summary["solver"]) == ("mlp", None)
    first, second = (load_run(tmp_path / "run" / f"seed-{seed}") for seed in (0, 1))
    assert isinstance(first.transition, MLPTransition)
    assert isinstance(second.transition, MLPTransition)
    for one, other in zip(first.transition.scale, second.transition.scale, strict=True):
        assert float(one[0]) != float(other[0])
    assert not (tmp_path / "run" / "seed-0" / "energy.png").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {
            "model": {"name": "known"},
            "learner": {"name": "levenberg-marquardt", "updates": 3, "batch": 20},
        },
        pytest.param(
            {"model": {"name": "hnn", "hidden": [4]}, "learner": {"name": "ekf", "updates": 5}},
            marks=pytest.mark.slow,
        ),
        pytest.param({"model": {"name": "residual", "hidden": [4]}}, marks=pytest.mark.slow),
        pytest.param(
            {"model": {"name": "constrained-mlp", "hidden": [8]}}, marks=pytest.mark.slow
        ),
    ],
    ids=["known", "hnn", "residual", "constrained-mlp"],
)
def test_a_whole_run_with_another_model(changes: dict[str, Any], tmp_path: Path) -> None:
    """`tests/training/test_catalogue.py` has a training phase of every model."""
    task = {**dataclasses.asdict(get_task("Pendulum-v1")), "max_episode_steps": 20}
    agent = {"updates": 3, **REPLAYED}
    config = small_config(steps=40, task=task, agent=agent, **changes)
    train(config, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.records[-1]["model_loss"] > 0
    assert loaded.records[-1]["skipped_updates"] == 0
    has_lagrangian = changes["model"]["name"] == "known"
    assert loaded.model.has_lagrangian == has_lagrangian
    assert (tmp_path / "run" / "energy.png").exists() == has_lagrangian
