"""Runs that take seconds: complete, at sizes that learn nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lagdyna.config import Config, config_from_table
from lagdyna.data import Experience
from lagdyna.mechanics import State
from lagdyna.tasks import Outcome
from lagdyna.training import Trainer, TrainingState

TABLE = {
    "steps": 60,
    "model": {"hidden": [8]},
    "learner": {"updates": 20, "batch": 8},
    "reward": {"hidden": [8]},
    "agent": {"hidden": [8], "updates": 6, "batch": 8, "horizon": 3},
    "collect": {"random_steps": 20, "train_every": 10, "steps_per_round": 20},
    "evaluation": {"episodes": 2},
}

# Its programs are half as long as those of the default. Transitions of whole steps have none.
SOLVER = {"name": "euler"}
DISCRETE = ("mlp", "constrained-mlp")

# A model whose programs are half as long, for tests in which the model does not matter.
MLP = {"name": "mlp", "hidden": [8]}

# Options of the agent where starts do not matter: those in the replay buffer compile fastest.
REPLAYED = dict.fromkeys(("uniform_starts", "high_reward_starts", "initial_starts"), 0.0)

# Options of a small agent of the other kind, in place of those of imagination.
DYNA = {
    "name": "dyna",
    "updates": 1,
    "batch": 8,
    "rollouts": 4,
    "length": 2,
    "algorithm": {"hidden": [8]},
}


def small_config(**changes: object) -> Config:
    """A small config, with other tables merged in; an `agent` with a name replaces ours."""
    return config_from_table(small_table(**changes))


def small_table(**changes: object) -> dict[str, Any]:
    """The table of a small config."""
    table = {key: dict(v) if isinstance(v, dict) else v for key, v in TABLE.items()}
    for key, value in changes.items():
        if value is None:
            table.pop(key)
        elif isinstance(value, dict) and key in table and "name" not in value:
            table[key].update(value)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            table[key] = value  # pyright: ignore[reportArgumentType]
    model: Any = table.get("model")
    name = model.get("name") if isinstance(model, dict) else model
    if model is not None and name not in DISCRETE:
        solver: Any = changes.get("solver") or {}
        table["solver"] = solver if "name" in solver else {**SOLVER, **solver}
    return table


def flags(**changes: object) -> list[str]:
    """The same as options of the command line."""
    written = []
    for part, value in small_table(**changes).items():
        if isinstance(value, dict):
            name = [f"--{part}={value['name']}"] if "name" in value else []
            options = [(key, text) for key, text in value.items() if key != "name"]
            written += name + [f"--{part}.{key}={text}" for key, text in options]
        else:
            written += [f"--{part}", str(value)]
    return written


def recorded(
    trainer: Trainer,
    training: TrainingState,
    state: State,
    action: Float[np.ndarray, " m"],
    outcome: Outcome,
) -> TrainingState:
    """The state after one more stored transition."""
    fields = (state, action, outcome.reward, outcome.state, outcome.terminated)
    experience: Any = jax.tree.map(np.asarray, fields)
    steps = jnp.asarray(outcome.steps)
    return trainer.store(training, Experience(*experience), steps, jnp.ones((), bool))
