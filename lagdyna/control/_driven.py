import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..mechanics import Coordinates, State
from ..simulate import AbstractTransition


class DrivenTransition(AbstractTransition):
    """Transition of which some actions are 0: its actions are the others.

    A model that was fitted to forces takes one for each coordinate, also where there is no
    motor.

    **Arguments:**

    - `transition`: the transition with all actions.
    - `driven`: for each action of `transition`, whether it acts.
    """

    transition: AbstractTransition
    driven: tuple[bool, ...] = eqx.field(static=True)
    coordinates: Coordinates

    def __init__(self, transition: AbstractTransition, driven: tuple[bool, ...]):
        self.transition = transition
        self.driven = driven
        self.coordinates = transition.coordinates

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        return self.transition.step(state, self.full(action))

    def full(self, action: Float[Array, "*batch m"]) -> Float[Array, "*batch all"]:
        """Return all actions of the transition, zeros included."""
        everything = jnp.zeros((*action.shape[:-1], len(self.driven)), action.dtype)
        return everything.at[..., np.flatnonzero(self.driven)].set(action)
