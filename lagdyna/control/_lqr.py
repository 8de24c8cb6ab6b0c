import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from ..mechanics import Coordinates, State
from ..simulate import AbstractTransition
from ._action_box import ActionBox
from ._controller import AbstractController
from ._equilibria import Equilibrium
from ._float64 import float64, to_float64
from ._linearise import linearise
from ._riccati import solve_riccati
from ._vectors import difference
from ._weights import Weights, weight_matrix

_linearise = eqx.filter_jit(linearise)


class LQR(AbstractController):
    """Linear-quadratic regulator about an equilibrium, with clipped actions.

        action = clip(u* - K x),    x = (q - q*, qd)

    Differences of angles are along the shorter arc. Construct it by `LQR.design`.

    **Arguments:**

    - `equilibrium`: the state `q*` and the action `u*` that holds it.
    - `gain`: `K`, shape `(m, 2 n)`.
    - `value`: `P` of the value function `x' P x`, shape `(2 n, 2 n)`.
    - `box`: limits of the action.
    - `coordinates`: which coordinates are angles.
    """

    equilibrium: Equilibrium
    gain: Float[Array, "m two_n"]
    value: Float[Array, "two_n two_n"]
    box: ActionBox
    coordinates: Coordinates

    @classmethod
    def design(
        cls,
        transition: AbstractTransition,
        equilibrium: Equilibrium,
        box: ActionBox,
        *,
        state_weights: Weights = 1.0,
        action_weights: Weights | None = None,
    ) -> "LQR":
        """Design the regulator of infinite horizon from the transition itself, in float64.

        It minimises the sum over all steps of `x' Q x + u' R u`. The step that is linearised
        contains solver, substeps and held action of the transition.

        **Arguments:**

        - `transition`: the dynamics.
        - `equilibrium`: from [`lagdyna.control.find_equilibrium`][].
        - `box`: limits of the action.
        - `state_weights`: `Q`: one number, `2 n` for coordinates and velocities, or a matrix.
        - `action_weights`: `R`, likewise with `m`. The default weighs half the width of the
            box as a deviation of 1.

        **Raises:** [`lagdyna.UserError`][] if the linearised dynamics are not stabilisable, or
        for weights that are not positive.
        """
        n = transition.coordinates.n
        if action_weights is None:
            action_weights = 4 / (np.asarray(box.upper) - np.asarray(box.lower)) ** 2
        q = weight_matrix("state_weights", state_weights, 2 * n)
        r = weight_matrix("action_weights", action_weights, box.size, definite=True)
        a, b = linear_dynamics(transition, equilibrium)
        names = [f"{kind}[{i}]" for kind in ("q", "qd") for i in range(n)]
        gain, value = (jnp.asarray(x, float) for x in solve_riccati(a, b, q, r, names))
        return cls(equilibrium, gain, value, box, transition.coordinates)

    def init(self, state: State) -> tuple[()]:
        return ()

    def control(self, memory: tuple[()], state: State) -> tuple[Float[Array, " m"], tuple[()]]:
        return self(state), memory

    def __call__(self, state: State) -> Float[Array, " m"]:
        """Compute the action in a state, shape `(m,)`."""
        action = self.equilibrium.action - self.gain @ self._deviation(state)
        return self.box.clip(action)

    def value_of(self, state: State) -> Scalar:
        """Compute `x' P x`, the cost to come without limits of the action."""
        x = self._deviation(state)
        return x @ self.value @ x

    def _deviation(self, state: State) -> Float[Array, " two_n"]:
        return difference(self.coordinates, state, self.equilibrium.state)


def linear_dynamics(
    transition: AbstractTransition, equilibrium: Equilibrium
) -> tuple[Float[np.ndarray, "two_n two_n"], Float[np.ndarray, "two_n m"]]:
    """Linearise a transition at an equilibrium in float64, and return `A` and `B`."""
    with float64():
        model, point = to_float64((transition, equilibrium))
        a, b = _linearise(model, point.state, point.action)
        return np.asarray(a), np.asarray(b)
