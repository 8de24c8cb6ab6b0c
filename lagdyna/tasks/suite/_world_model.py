"""World model of a suite task: its true equations and reward."""

import equinox as eqx
import jax
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
        def body(state: State, _: None) -> tuple[State, None]:
            return self.task.advance(state, action), None

        return jax.lax.scan(body, state, length=self.repeat)[0]


class SuiteReward(AbstractReward):
    """Sum of the rewards of a suite task while an action is held.

    The states between two actions are interpolated by cubic Hermite polynomials. Derivatives
    of the reward are then as cheap as those of a single state.

    **Arguments:** `task`; `repeat`, the number of steps.
    """

    task: SuiteTask
    repeat: int = eqx.field(static=True)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        time = self.repeat * self.task.dt
        change = self.task.system.coordinates.difference(next_state.q, state.q)
        first, last = time * state.qd, time * next_state.qd
        total = self.task.reward(next_state, action)
        for step in range(1, self.repeat):
            s = step / self.repeat
            q = state.q + (
                (3 * s**2 - 2 * s**3) * change
                + (s - 2 * s**2 + s**3) * first
                + (s**3 - s**2) * last
            )
            qd = (
                6 * (s - s**2) * change
                + (1 - 4 * s + 3 * s**2) * first
                + (3 * s**2 - 2 * s) * last
            ) / time
            total += self.task.reward(State(q, qd), action)
        return total


def suite_world_model(task: SuiteTask, repeat: int) -> WorldModel:
    """Construct the world model of a suite task.

    **Arguments:** `task`; `repeat`, the number of steps for which an action is held.
    """
    return WorldModel(SuiteTransition(task, repeat), SuiteReward(task, repeat))
