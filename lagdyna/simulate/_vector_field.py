import abc

import equinox as eqx
from jaxtyping import Array, Float, Scalar

from ..mechanics import (
    AbstractActuation,
    AbstractDissipation,
    AbstractDynamics,
    AbstractHamiltonian,
    MechanicalSystem,
    NoDissipation,
    State,
)

RealScalarLike = float | int | Scalar


class AbstractVectorField(eqx.Module):
    """The right-hand side of an equation of motion, in variables of its own.

    Most fields move `(q, qd)`. A Hamiltonian one moves `(q, p)`: it encodes a state before
    the solver sees it and decodes it after, so that everyone else deals in velocities. What
    a solver sees is a `State` either way, its second part whatever the field makes of it.
    """

    @abc.abstractmethod
    def __call__(self, t: RealScalarLike, state: State, action: Float[Array, " m"]) -> State:
        """The time derivative of an encoded `state`."""

    @abc.abstractmethod
    def encode(self, state: State) -> State:
        """The field's own variables at the state `(q, qd)`."""

    @abc.abstractmethod
    def decode(self, state: State) -> State:
        """The state `(q, qd)` at the field's own variables."""


class AbstractSecondOrderField(AbstractVectorField):
    """A field that moves `(q, qd)`: subclasses give the acceleration."""

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
        return State(state.qd, self.acceleration(t, state.q, state.qd, action))

    def encode(self, state: State) -> State:
        return state

    def decode(self, state: State) -> State:
        return state


class LagrangianField(AbstractSecondOrderField):
    """The motion of a mechanical system, analytic or learned.

    The one field that the variational integrator takes, since that needs the Lagrangian.

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


class AccelerationField(AbstractSecondOrderField):
    """The motion of anything that gives an acceleration, mechanical or not.

    **Arguments:**

    - `dynamics`: say, a [`lagdyna.models.NeuralODE`][].
    """

    dynamics: AbstractDynamics

    def acceleration(
        self,
        t: RealScalarLike,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        action: Float[Array, " m"],
    ) -> Float[Array, " n"]:
        del t
        return self.dynamics.forward_dynamics(q, qd, action)


class HamiltonianField(AbstractVectorField):
    """Hamilton's equations, `qd = dH/dp` and `pd = -dH/dq + tau`, solved in `(q, p)`.

    **Arguments:**

    - `hamiltonian`: a [`lagdyna.mechanics.AbstractHamiltonian`][].
    - `actuation`: the map from an action to a generalised force.
    - `dissipation`: friction, at the velocity `dH/dp`; none by default.
    """

    hamiltonian: AbstractHamiltonian
    actuation: AbstractActuation
    dissipation: AbstractDissipation = NoDissipation()

    def __call__(self, t: RealScalarLike, state: State, action: Float[Array, " m"]) -> State:
        del t
        slope, velocity = self.hamiltonian.gradient(state.q, state.qd)
        tau = self.actuation(state.q, action) + self.dissipation(state.q, velocity)
        return State(velocity, tau - slope)

    def encode(self, state: State) -> State:
        return State(state.q, self.hamiltonian.momentum(state.q, state.qd))

    def decode(self, state: State) -> State:
        return State(state.q, self.hamiltonian.velocity(state.q, state.qd))
