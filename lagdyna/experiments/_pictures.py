from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..mechanics import AbstractRigidBody, MechanicalSystem, State
from ..simulate import LagrangianField
from ._evaluation import record_rollout
from ._plots import plot_energy, plot_learning_curve, write_gif
from ._trainer import Trainer, Training


def draw(
    trainer: Trainer,
    training: Training,
    records: list[dict[str, Any]],
    out: Path,
    seed: int,
) -> None:
    """The pictures of a finished run: learning curve, a rollout, and its learned energies."""
    config = trainer.config
    plot_learning_curve(
        out / "learning_curve.png",
        records,
        f"{config.task.env_id}, seed {config.seed}",
        config.task.target_return,
    )
    rollout = record_rollout(
        config.task,
        lambda states: np.asarray(trainer.act(training, states)),
        seed,
        config.evaluation.max_steps,
    )
    if rollout.frames is not None:
        write_gif(out / "rollout.gif", rollout.frames, config.task.dt)
    system = _system(training)
    states = jax.tree.map(np.asarray, rollout.states)
    states = State(*(x[:, : config.task.n] for x in states))  # what moves
    energy = np.asarray(jax.jit(jax.vmap(system.energy))(*states))
    kinetic = potential = None
    if isinstance(system.lagrangian, AbstractRigidBody):
        potential = np.asarray(jax.jit(jax.vmap(system.lagrangian.potential_energy))(states.q))
        kinetic = energy - potential
    plot_energy(
        out / "energy.png",
        config.task.dt * np.arange(len(energy)),
        energy,
        _work(trainer, states, rollout.actions),
        kinetic,
        potential,
        f"energies of the learned {config.model.name} along a real episode",
    )


def _system(training: Training) -> MechanicalSystem:
    field = training.transition.field
    assert isinstance(field, LagrangianField)
    return field.system


def _work(trainer: Trainer, states: State, actions: np.ndarray) -> np.ndarray:
    """Work done by the actuators up to each state: force times way, J."""
    coordinates, q = trainer.config.task.joint_coordinates, jnp.asarray(states.q)
    ways = np.asarray(coordinates.difference(q[1:], q[:-1]))
    forces = actions @ np.asarray(trainer.config.task.force).T
    return np.concatenate([[0.0], np.cumsum(np.sum(forces * ways, axis=-1))])
