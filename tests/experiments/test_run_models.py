"""The models that a training run may learn, other than a DeLaN."""

import dataclasses
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.cli._display import _heading
from lagdyna.experiments import (
    Config,
    Trainer,
    Training,
    UserError,
    load_run,
    resume,
    train,
    train_seeds,
)
from lagdyna.mechanics import State
from lagdyna.models import LNN, DeLaN
from lagdyna.simulate import LagrangianField, MLPTransition, SolvedTransition
from lagdyna.tasks import Outcome, get_task

from .. import environments as environments  # registers them
from .small import recorded, small_config
from .test_run import _Stop, records_of, same_run

TASK = dataclasses.replace(
    get_task("Pendulum-v1"), env_id="lagdyna-tests/Countdown-v0", repeat=2
)
MODELS = ("lnn", "mlp")


def tiny(model: str, **changes: object) -> Config:
    """Episodes of one to nine steps, two for each action."""
    return small_config(
        task=dataclasses.asdict(TASK),
        model={"name": model},
        solver={"name": "euler"},
        agent={"updates": 3},
        **{"learner": {"updates": 5}, **changes},
    )


def moved(trainer: Trainer, training: Training, way: float, steps: int = 6) -> Training:
    """After some steps: the angle moves by `way` in each, and the velocity twice that."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        here, there = (
            State(np.asarray([0.3 + x], np.float32), np.asarray([2 * x - 1.0], np.float32))
            for x in (0.0, way)
        )
        action = rng.uniform(-1, 1, 1).astype(np.float32)
        outcome = Outcome(there, float(action[0]), False, False, 2)
        training = recorded(trainer, training, here, action, outcome)
    return training


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with each model."""
    out = tmp_path_factory.mktemp("models")
    for model in MODELS:
        train(tiny(model), out / model)
    return {model: out / model for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_a_run_says_which_model_it_learned(runs: dict[str, Path], model: str) -> None:
    summary = json.loads((runs[model] / "summary.json").read_text())
    assert summary["model"] == model
    assert summary["solver"] == {"lnn": "euler", "mlp": None}[model]
    for record in records_of(runs[model]):
        assert np.isfinite(record["model_loss"])
        assert record["skipped_updates"] == 0
    assert (runs[model] / "learning_curve.png").exists()
    assert (runs[model] / "energy.png").exists() == (model == "lnn")
    heading = _heading(tiny(model), Path("out"), 0, (0,)).plain
    assert f"{model} model" in heading
    assert ("euler solver" in heading) == (model == "lnn")
    assert ("no solver" in heading) == (model == "mlp")


def test_what_is_loaded_is_the_model_that_was_named(runs: dict[str, Path]) -> None:
    lnn, mlp = (load_run(runs[model]) for model in MODELS)
    assert isinstance(lnn.transition, SolvedTransition)
    assert isinstance(lnn.transition.field, LagrangianField)
    assert isinstance(lnn.model.lagrangian, LNN)
    q, qd, tau = (jnp.asarray([x]) for x in (0.3, 0.7, 0.5))
    qdd = lnn.model.lagrangian.forward_dynamics(q, qd, tau)
    np.testing.assert_allclose(lnn.model.lagrangian.inverse_dynamics(q, qd, qdd), tau, 1e-3)
    assert isinstance(mlp.transition, MLPTransition)
    assert not mlp.model.has_lagrangian
    with pytest.raises(ValueError, match="`MLPTransition` has no Lagrangian"):
        mlp.model.energy(q, qd)
    assert mlp.transition.velocity_limits == TASK.velocity_limits
    np.testing.assert_array_equal(mlp.model.step(State(q, qd), tau).q.shape, (1,))


@pytest.mark.parametrize("model", [pytest.param("lnn", marks=pytest.mark.slow), "mlp"])
def test_interrupted_it_resumes_to_the_same_end(
    runs: dict[str, Path], model: str, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tiny(model), tmp_path / "run", progress=_Stop(14))
    assert (tmp_path / "run" / "checkpoint" / "training.npz").exists()
    resume(tmp_path / "run")
    same_run(runs[model], tmp_path / "run")


def test_several_seeds_of_a_network_for_whole_steps_are_one_program(tmp_path: Path) -> None:
    # The pendulum's angle, unlike the countdown's, moves.
    config = dataclasses.replace(tiny("mlp"), task=get_task("Pendulum-v1"))
    summary = train_seeds(config, 2, tmp_path / "run")
    assert (summary["model"], summary["solver"]) == ("mlp", None)
    first, second = (load_run(tmp_path / "run" / f"seed-{seed}") for seed in (0, 1))
    assert isinstance(first.transition, MLPTransition)
    for one, other in zip(first.transition.scale, second.transition.scale, strict=True):
        assert float(one[0]) != float(other[0])
    assert not (tmp_path / "run" / "seed-0" / "energy.png").exists()


def test_the_scale_of_a_step_is_the_data_s_and_may_only_grow() -> None:
    trainer = Trainer(tiny("mlp"))
    begun = trainer.begin_fit(moved(trainer, trainer.init(), 0.2))
    assert isinstance(begun.transition, MLPTransition)
    np.testing.assert_allclose(begun.transition.scale.q, [0.2], rtol=1e-5)
    np.testing.assert_allclose(begun.transition.scale.qd, [0.4], rtol=1e-5)
    slower = trainer.begin_fit(moved(trainer, begun, 0.01))
    np.testing.assert_allclose(slower.transition.scale.q, [0.2], rtol=1e-5)
    faster = trainer.begin_fit(moved(trainer, slower, 0.8))
    expected = np.sqrt(np.mean(np.square([0.2, 0.01, 0.8])))
    np.testing.assert_allclose(faster.transition.scale.q, [expected], rtol=1e-5)
    np.testing.assert_allclose(faster.transition.scale.qd, [2 * expected], rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "learner"), [("lnn", "ekf"), ("mlp", "enkf"), ("mlp", "lion")]
)
def test_learners_change_weights_and_nothing_that_is_set_from_data(
    model: str, learner: str
) -> None:
    options = {"name": learner, "updates": 30, "batch": 4, "filter": {"members": 64}}
    trainer = Trainer(tiny(model, learner=options))
    begun = trainer.begin_fit(moved(trainer, trainer.init(), 0.2))
    going, first = trainer.fit(begun, jnp.asarray(0), 15)
    after, last = trainer.fit(going, jnp.asarray(1), 15)
    assert float(last["model_loss"]) < float(first["model_loss"])
    assert float(last["model_skipped"]) == float(last["reward_skipped"]) == 0

    def of_data(training: Training) -> list[np.ndarray]:
        held = [training.reward.location, training.reward.scale]
        if isinstance(training.transition, MLPTransition):
            held += [*training.transition.scale]
        return [np.asarray(x) for x in held]

    assert len(of_data(after)) == {"lnn": 2, "mlp": 4}[model]
    for before, now in zip(of_data(begun), of_data(after), strict=True):
        np.testing.assert_array_equal(before, now)
    posterior = trainer.posterior(after)
    assert (posterior is None) == (learner == "lion")
    if posterior is None:
        return
    drawn = posterior.sample(jax.random.key(0), 3)
    assert isinstance(drawn, type(after.transition))
    # Two may make the same step, where velocities are clipped; their weights differ.
    weights = jax.tree.leaves(eqx.filter(drawn, eqx.is_inexact_array))
    rows = np.concatenate([np.reshape(leaf, (3, -1)) for leaf in weights], axis=1)
    assert len(np.unique(rows, axis=0)) == 3


def test_friction_of_a_model_that_knows_no_forces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`dissipation` was 'viscous' with the model 'mlp'"):
        train(small_config(model={"name": "mlp", "dissipation": "viscous"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    lagrangian = Trainer(small_config(model={"name": "lnn", "dissipation": "viscous"})).init()
    assert isinstance(lagrangian.transition, SolvedTransition)
    assert not isinstance(lagrangian.transition.field.system.lagrangian, DeLaN)
