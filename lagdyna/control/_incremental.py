import jax.numpy as jnp
from jaxtyping import Array, Float

from ..mechanics import Coordinates, State
from ..simulate import AbstractTransition
from ._action_box import ActionBox
from ._equilibria import Equilibrium


class IncrementalTransition(AbstractTransition):
    """Transition whose actions are changes of the actions of another one.

    The last action becomes part of the state, so a cost can penalise changes of the action,
    and regulators and plans become smooth. This is the incremental form of predictive control
    (Maciejowski 2002, "Predictive Control with Constraints", section 2.4).

    `q` has the last actions behind the coordinates, and `qd` has zeros there. A step adds the
    change, clips the sum to its limits, and applies it at once.

    **Arguments:**

    - `transition`: the transition with actions.
    - `box`: limits of its actions. The limits of changes are those of the planner.
    """

    transition: AbstractTransition
    box: ActionBox
    coordinates: Coordinates

    def __init__(self, transition: AbstractTransition, box: ActionBox):
        self.transition = transition
        self.box = box
        inner = transition.coordinates
        self.coordinates = Coordinates(inner.angles + (False,) * box.size, inner.chain)

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        inner, last = self.split(state)
        action = self.box.clip(last + action)
        return self.join(self.transition.step(inner, action), action)

    def join(self, state: State, action: Float[Array, "*batch m"]) -> State:
        """Combine a state and the last action."""
        return State(
            jnp.concatenate([state.q, action], axis=-1),
            jnp.concatenate([state.qd, jnp.zeros_like(action)], axis=-1),
        )

    def split(self, state: State) -> tuple[State, Float[Array, "*batch m"]]:
        """Separate the state and the last action."""
        n = self.transition.coordinates.n
        return State(state.q[..., :n], state.qd[..., :n]), state.q[..., n:]

    def equilibrium(self, equilibrium: Equilibrium) -> Equilibrium:
        """Extend an equilibrium of the transition: its action is held by changes of 0."""
        state, action = equilibrium
        return Equilibrium(self.join(state, action), jnp.zeros_like(action))
