"""Small transitions for the tests of controllers."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lagdyna.mechanics import Coordinates, State
from lagdyna.simulate import AbstractTransition, SolvedTransition

from ..helpers import PENDULUM, pendulum_field

DT = 0.05


def pendulum(dt: float = DT) -> SolvedTransition:
    """Gymnasium's pendulum: 1/3 qdd = 5 sin(q) + 2 action."""
    return SolvedTransition(pendulum_field(), PENDULUM, dt)


class LinearTransition(AbstractTransition):
    """`x' = A x + B u` with linear coordinates."""

    a: Float[Array, "two_n two_n"]
    b: Float[Array, "two_n m"]
    coordinates: Coordinates

    def __init__(self, a, b):
        self.a, self.b = jax.device_put((np.asarray(a), np.asarray(b)))
        self.coordinates = Coordinates((False,) * (len(a) // 2))

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        x = self.a @ jnp.concatenate(state) + self.b @ action
        n = self.coordinates.n
        return State(x[:n], x[n:])
