"""Runs that take seconds: the whole way through, at sizes that learn nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lagdyna.data import Experience
from lagdyna.experiments import Config, Trainer, Training, config_from_table
from lagdyna.mechanics import State
from lagdyna.tasks import Outcome

TABLE = {
    "steps": 60,
    "model": {"hidden": [8]},
    "learner": {"updates": 20, "batch": 8},
    "reward": {"hidden": [8]},
    "agent": {"hidden": [8], "updates": 6, "batch": 8, "horizon": 3},
    "collect": {"random_steps": 20, "train_every": 10, "steps_per_round": 20},
    "evaluation": {"episodes": 2},
}


def small_config(**changes: object) -> Config:
    table = {key: dict(v) if isinstance(v, dict) else v for key, v in TABLE.items()}
    for key, value in changes.items():
        if isinstance(value, dict) and key in table:
            table[key].update(value)
        else:
            table[key] = value
    return config_from_table(table)


def flags() -> list[str]:
    """The same as options of the command line."""
    written = []
    for part, value in TABLE.items():
        if isinstance(value, dict):
            written += [f"--{part}.{key}={text}" for key, text in value.items()]
        else:
            written += [f"--{part}", str(value)]
    return written


def recorded(
    trainer: Trainer,
    training: Training,
    state: State,
    action: Float[np.ndarray, " m"],
    outcome: Outcome,
) -> Training:
    """After one more action, `action` in `state` with that outcome, which is stored."""
    fields = (state, action, outcome.reward, outcome.state, outcome.terminated)
    experience: Any = jax.tree.map(np.asarray, fields)
    steps = jnp.asarray(outcome.steps)
    return trainer.store(training, Experience(*experience), steps, jnp.ones((), bool))
