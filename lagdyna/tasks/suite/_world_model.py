"""World model of a suite task: its true equations and reward."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ...mechanics import Coordinates, State
from ...models import AbstractReward
from ...simulate import AbstractTransition, WorldModel
from ._task import SuiteTask


class SuiteTransition(AbstractTransition):
    """True transition of a suite task, over the steps for which an action is held.

    **Arguments:** `task`; `repeat`, the number of these steps.
    """

    task: SuiteTask
    repeat: int = eqx.field(static=True)
    coordinates: Coordinates

    def __init__(self, task: SuiteTask, repeat: int):
        self.task, self.repeat = task, repeat
        self.coordinates = task.system.coordinates

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        for _ in range(self.repeat):
            state = self.task.advance(state, action)
        return state


class SuiteReward(AbstractReward):
    """Sum of the true rewards of a suite task while an action is held.

    The steps between two actions are simulated, since a transition does not hold them.

    **Arguments:** `task`; `repeat`, the number of steps.
    """

    task: SuiteTask
    repeat: int = eqx.field(static=True)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        total = jnp.zeros((), state.q.dtype)
        for _ in range(self.repeat - 1):
            state, reward = self.task.step(state, action)
            total += reward
        return total + self.task.reward(next_state, action)


def suite_world_model(task: SuiteTask, repeat: int) -> WorldModel:
    """Construct the world model of a suite task.

    **Arguments:** `task`; `repeat`, the number of steps for which an action is held.
    """
    return WorldModel(SuiteTransition(task, repeat), SuiteReward(task, repeat))
