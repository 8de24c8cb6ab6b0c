import abc

import equinox as eqx
from jaxtyping import Array, Float, Scalar

from ..mechanics import MechanicalSystem, State

RealScalarLike = float | int | Scalar


class AbstractVectorField(eqx.Module):
    """The right-hand side of a second-order equation of motion."""

    @abc.abstractmethod
    def acceleration(
        self,
        t: RealScalarLike,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        action: Float[Array, " m"],
    ) -> Float[Array, " n"]:
        """`qdd` at time `t` in state `(q, qd)` under `action`, shape `(n,)`."""

    def __call__(self, t: RealScalarLike, state: State, action: Float[Array, " m"]) -> State:
        """The time derivative of `state`, as a `State` of `(qd, qdd)`."""
        return State(state.qd, self.acceleration(t, state.q, state.qd, action))


class LagrangianField(AbstractVectorField):
    """The motion of a mechanical system, analytic or learned.

    **Arguments:**

    - `system`: a [`lagdyna.mechanics.MechanicalSystem`][].
    """

    system: MechanicalSystem

    def acceleration(
        self,
        t: RealScalarLike,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        action: Float[Array, " m"],
    ) -> Float[Array, " n"]:
        del t  # the Lagrangians of this library do not depend on time
        return self.system.forward_dynamics(q, qd, action)
