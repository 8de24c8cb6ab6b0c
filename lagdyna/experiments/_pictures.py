from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractRigidBody, State
from ._evaluation import record_rollout
from ._fitted_model import FittedModel
from ._plots import plot_energy, plot_learning_curve
from ._trainer import Trainer, Training
from ._video import filming


def draw(
    trainer: Trainer,
    training: Training,
    records: list[dict[str, Any]],
    out: Path,
    seed: int,
) -> None:
    """The pictures of a finished run: learning curve, a rollout, and its learned energies.

    A model without a Lagrangian knows of no energies, nor does one that was not learned.
    """
    config = trainer.config
    plot_learning_curve(
        out / "learning_curve.png",
        records,
        f"{config.task.env_id}, seed {config.seed}",
        config.task.target_return,
    )
    with filming(out / "rollout.gif", config.task.action_time, width=240) as show:
        rollout = record_rollout(
            config.task,
            lambda states: np.asarray(trainer.act(training, states)),
            seed,
            config.evaluation.max_steps,
            show,
        )
    model = FittedModel(training.transition)
    if config.agent.model_free or not model.has_lagrangian:
        return
    system = model.system
    states = jax.tree.map(np.asarray, rollout.states)
    states = State(*(x[:, : config.task.n] for x in states))  # what moves
    energy = np.asarray(_along(system.energy, *states))
    kinetic = potential = None
    if isinstance(system.lagrangian, AbstractRigidBody):
        potential = np.asarray(_along(system.lagrangian.potential_energy, states.q))
        kinetic = energy - potential
    plot_energy(
        out / "energy.png",
        config.task.action_time * np.arange(len(energy)),
        energy,
        _work(trainer, states, rollout.actions),
        kinetic,
        potential,
        f"energies of the learned {config.model.name} along a real episode",
    )


@eqx.filter_jit
def _along(function: Callable[..., Scalar], *args: Array) -> Float[Array, " time"]:
    """Compiled once for all seeds, whose systems differ in their numbers alone."""
    return jax.vmap(function)(*args)


def _work(trainer: Trainer, states: State, actions: np.ndarray) -> np.ndarray:
    """Work done by the actuators up to each state: force times way, J."""
    coordinates, q = trainer.config.task.joint_coordinates, jnp.asarray(states.q)
    ways = np.asarray(coordinates.difference(q[1:], q[:-1]))
    forces = actions @ np.asarray(trainer.config.task.force).T
    return np.concatenate([[0.0], np.cumsum(np.sum(forces * ways, axis=-1))])
