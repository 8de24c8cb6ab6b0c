"""Every model, kind of friction, learner and loss in a training run."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Scalar

from lagdyna import UserError
from lagdyna.agents import Metrics
from lagdyna.config import given
from lagdyna.data import Experience
from lagdyna.learners import partition
from lagdyna.mechanics import State
from lagdyna.results import load_checkpoint, save_checkpoint
from lagdyna.tasks import GymnasiumTask, get_task
from lagdyna.training import Trainer, TrainingState

from ..helpers import identical
from ..small import REPLAYED, small_config

STEPS = 24
KNOWN = {"name": "known"}
CASES: dict[str, dict[str, Any]] = {
    "hnn": {"model": {"name": "hnn", "hidden": [4]}},
    "structured-hnn": {"model": {"name": "structured-hnn", "hidden": [4]}},
    "neural-ode": {"model": {"name": "neural-ode", "hidden": [4]}},
    "known": {"model": KNOWN},
    "known, one parameter fixed": {"model": KNOWN | {"fixed": ["gravity"]}},
    "known, all fixed": {"model": KNOWN | {"fixed": ["all"]}},
    "known, all fixed, filter": {
        "model": KNOWN | {"fixed": ["all"]},
        "learner": {"name": "ekf"},
    },
    "residual": {"model": {"name": "residual", "hidden": [4]}},
    "residual and known": {
        "model": {"name": "residual", "hidden": [4], "learn_known": True, "fixed": ["mass"]}
    },
    "viscous": {"model": {"hidden": [4], "dissipation": "viscous"}},
    "coulomb": {"model": {"hidden": [4], "dissipation": "coulomb"}},
    "both": {"model": {"hidden": [4], "dissipation": "both"}},
    "levenberg-marquardt": {
        "model": KNOWN,
        "learner": {"name": "levenberg-marquardt"},
        "solver": {"name": "heun"},  # true parameters are the best for Euler's method
    },
    "filter": {"model": {"hidden": [2]}, "learner": {"name": "ekf"}},
    "multi-step": {"model": KNOWN, "loss": {"name": "multi-step", "window": 3}},
}
# An agent learns in the dynamics of these in another case.
SAME_DYNAMICS = (
    "known, one parameter fixed",
    "known, all fixed",
    "known, all fixed, filter",
    "residual and known",
    "filter",
    "viscous",
    "coulomb",
    "levenberg-marquardt",
    "multi-step",
)


@pytest.fixture(scope="module")
def experience() -> Experience:
    """The first steps of an episode of the pendulum, under random actions."""
    env, rng = GymnasiumTask(get_task("Pendulum-v1")), np.random.default_rng(0)
    state, entries = env.reset(0), []
    for _ in range(STEPS):
        action = rng.uniform(-1, 1, 1).astype(np.float32)
        outcome = env.step(action)
        entries.append((state, action, outcome.reward, outcome.state, outcome.terminated))
        state = outcome.state
    env.close()
    stacked: Any = jax.tree.map(lambda *leaves: np.stack(leaves), *entries)
    return Experience(*stacked)


def reward(state: State, action: Array, next_state: State) -> Scalar:
    """A given reward, so that no reward network is compiled for every case."""
    return jnp.cos(next_state.q[0])


def tiny(changes: dict[str, Any]) -> Trainer:
    changes = {"learner": {}, **changes}
    config = small_config(
        steps=STEPS,
        learner={"updates": 8, "batch": 8, **changes.pop("learner")},
        reward=None,
        agent={"hidden": [2], "updates": 2, "batch": 4, "horizon": 2, **REPLAYED},
        **changes,
    )
    return Trainer(config, reward)


def with_experience(training: TrainingState, experience: Experience) -> TrainingState:
    buffer = eqx.tree_at(
        lambda b: (b.experience, b.episode, b.added),
        training.buffer,
        (
            jax.tree.map(jnp.asarray, experience),
            jnp.zeros_like(training.buffer.episode),
            jnp.full_like(training.buffer.added, STEPS),
        ),
    )
    return dataclasses.replace(training, buffer=buffer)


@pytest.mark.parametrize("case", CASES)
def test_a_phase_learns_finite_weights_that_a_checkpoint_holds(
    case: str, experience: Experience, tmp_path: Path
) -> None:
    trainer = tiny(CASES[case])
    first = trainer.init()
    program = phase(trainer, case not in SAME_DYNAMICS)
    after, fitted, improved = program(with_experience(first, experience))

    fixed = given(trainer.config.model).fixed_parameters()
    free, frozen = partition(given(first.world).transition, fixed)
    learned, kept = partition(given(after.world).transition, fixed)
    identical(eqx.filter(kept, eqx.is_array), eqx.filter(frozen, eqx.is_array))
    if "all fixed" in case:
        assert not fitted
    else:
        assert float(fitted["model_skipped"]) == 0
        assert np.isfinite(float(fitted["model_loss"]))
        assert different(learned, free)
    assert improved or case in SAME_DYNAMICS
    assert float(improved.get("agent_skipped", 0)) == 0
    assert all(np.isfinite(value) for value in improved.values())
    assert all(np.all(np.isfinite(leaf)) for leaf in weights(given(after.world).transition))

    save_checkpoint(tmp_path / "training.npz", after, {})
    loaded, _ = load_checkpoint(tmp_path / "training.npz", first)
    identical(eqx.filter(loaded, eqx.is_array), eqx.filter(after, eqx.is_array))


@pytest.mark.parametrize(
    "learner",
    [
        {"name": "adam"},
        {"name": "enkf", "members": 8},
    ],
    ids=["adam", "enkf"],
)
def test_a_residual_leaves_the_known_parameters_as_they_are(
    learner: dict[str, Any], experience: Experience
) -> None:
    trainer = tiny({"model": {"name": "residual", "hidden": [4]}, "learner": learner})
    training = with_experience(trainer.init(), experience)
    after, _ = trainer.fit(trainer.begin_phase(training), jnp.zeros((), int), 8)
    parts: list[Any] = [given(each.world).transition for each in (training, after)]
    before, learned = (part.field.dynamics for part in parts)
    assert different(before.network, learned.network)
    assert not different(before.known, learned.known)


def test_posterior_samples_of_a_model_without_free_parameters_are_refused() -> None:
    config = small_config(
        model=KNOWN | {"fixed": ["all"]},
        learner={"name": "ekf"},
        agent={"posterior": {"samples": 4}},
    )
    with pytest.raises(UserError, match="no parameter of the model 'known' is learned"):
        Trainer(config).init()


def phase(
    trainer: Trainer, improve: bool
) -> Callable[[TrainingState], tuple[TrainingState, Metrics, Metrics]]:
    """A training phase as one program."""

    @eqx.filter_jit
    def program(training: TrainingState) -> tuple[TrainingState, Metrics, Metrics]:
        chunk, config = jnp.zeros((), int), trainer.config
        training = trainer.begin_phase(training)
        training, fitted = trainer.fit(training, chunk, config.model_updates)
        if not improve:
            return training, fitted, {}
        training, improved = trainer.improve(training, chunk, config.agent_updates)
        return training, fitted, improved

    return program


def weights(model: Any) -> list[np.ndarray]:
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return [np.asarray(leaf) for leaf in leaves]


def different(a: Any, b: Any) -> bool:
    """Whether any weight differs."""
    return any((x != y).any() for x, y in zip(weights(a), weights(b), strict=True))
