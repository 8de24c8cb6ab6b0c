"""Training states with some stored experience."""

import numpy as np

from lagdyna.mechanics import State
from lagdyna.tasks import Outcome
from lagdyna.training import Trainer, TrainingState

from ..small import recorded

HERE = State(np.asarray([0.3], np.float32), np.asarray([-1.0], np.float32))


def explored(
    trainer: Trainer, training: TrainingState, steps: int, reward: float = -1.0
) -> TrainingState:
    """The state after some steps from nearly the same state, with growing rewards."""
    for i in range(steps):
        there = State(HERE.q + np.float32(0.01 * i), HERE.qd)
        action = np.asarray(trainer.explore(training, there))
        outcome = Outcome(HERE, reward * (1 + i), False, False)
        training = recorded(trainer, training, there, action, outcome)
    return training


def moved(
    trainer: Trainer, training: TrainingState, way: float, steps: int = 6
) -> TrainingState:
    """The state after steps that move the angle by `way`, and the velocity by twice that."""
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
