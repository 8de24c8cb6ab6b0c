"""Pictures of a training run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from ..config import given
from ..mechanics import AbstractRigidBody, State
from ..plot import energies, learning_curve, save
from ..results import filming
from ..simulate import LearnedModel
from ._evaluation import record_rollout
from ._state import TrainingState
from ._trainer import Trainer


def draw(
    trainer: Trainer,
    training: TrainingState,
    records: list[dict[str, Any]],
    out: Path,
    seed: int,
) -> None:
    """Draw a finished run: the learning curve, a film of an episode, and learned energies.

    Energies are drawn if the run has learned a Lagrangian.
    """
    config = trainer.config
    title, target = f"{config.task.env_id}, seed {config.seed}", config.task.target_return
    figure = learning_curve(records, title=title, target=target)
    save(figure, out / "learning_curve.png")
    with filming(out / "rollout.gif", config.task.action_time, width=240) as show:
        rollout = record_rollout(
            config.task,
            lambda states: np.asarray(trainer.act(training, states)),
            seed,
            config.evaluation.max_steps,
            show,
        )
    if training.world is None or not LearnedModel(training.world.transition).has_lagrangian:
        return
    model = LearnedModel(training.world.transition)
    system = model.system
    states = jax.tree.map(np.asarray, rollout.states)
    states = State(*(x[:, : config.task.n] for x in states))  # what moves
    energy = np.asarray(_along(system.energy, *states))
    kinetic = potential = None
    if isinstance(system.lagrangian, AbstractRigidBody):
        potential = np.asarray(_along(system.lagrangian.potential_energy, states.q))
        kinetic = energy - potential
    figure = energies(
        config.task.action_time * np.arange(len(energy)),
        energy,
        _work(trainer, states, rollout.actions),
        kinetic=kinetic,
        potential=potential,
        title=f"energies of the learned {given(config.model).name} along a real episode",
    )
    save(figure, out / "energy.png")


@eqx.filter_jit
def _along(function: Callable[..., Scalar], *args: Array) -> Float[Array, " time"]:
    """Evaluate a function along time; compiled once for all seeds."""
    return jax.vmap(function)(*args)


def _work(trainer: Trainer, states: State, actions: np.ndarray) -> np.ndarray:
    """Compute the work of the actuators up to each state, J."""
    coordinates, q = trainer.config.task.joint_coordinates, jnp.asarray(states.q)
    difference = eqx.filter_jit(coordinates.difference)  # ten programs otherwise
    displacements = np.asarray(difference(q[1:], q[:-1]))
    actuation = trainer.config.task.actuation
    forces = actions @ np.asarray(actuation.matrix).T
    if actuation.offset is not None:
        forces = forces + np.asarray(actuation.offset)
    return np.concatenate([[0.0], np.cumsum(np.sum(forces * displacements, axis=-1))])
